"""`facesets people export | import | forget`: names and corrections, moved or erased."""

from pathlib import Path
from typing import Annotated

import typer

from facesets.cli import console
from facesets.cli.opening import current_user, opened_session
from facesets.cli.params import DatabaseOption
from facesets.cli.people.lists import WhoArgument
from facesets.errors import FacesetsError, Field, WrongUsage
from facesets.files import printable
from facesets.operations.options.declaration import Option
from facesets.operations.options.shared import DryRun
from facesets.plurals import counted
from facesets.result import Result
from facesets.words import corrections as words
from facesets.words import interchange as carried
from facesets.words.phrases import name_and_number


def export(
    file: Annotated[Path, typer.Argument(metavar="FILE.json", show_default=False)],
    database: DatabaseOption = None,
) -> None:
    """Export all names and corrections to a file.

    The file identifies each face by the photo's content and the face's box.
    """
    from facesets.operations.people.exchange.export_people import export_people as run

    with opened_session(database) as session:
        done = run(session, file)
    console.show(done, carried.people_export(done))


def import_(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="FILE.json|FOLDER",
            help="A file of `people export`, or a result folder with named people.",
            show_default=False,
        ),
    ],
    database: DatabaseOption = None,
    dry_run: DryRun = False,
) -> None:
    """Import names and corrections from a file or folders.

    Entries that contradict your own corrections are skipped.
    """
    from facesets.operations.people.exchange.import_people import import_people as run
    from facesets.operations.people.exchange.people_file import read_people
    from facesets.operations.people.exchange.result_names import people_of_result
    from facesets.store.postgres.library import Library

    with opened_session(database) as session:
        if source.is_dir():
            brought = people_of_result(Library(session), source)
            file, members = brought.file, brought.members
        else:
            file, members = read_people(source), {}
        done = run(session, file, source.name, by=current_user(), members=members, dry_run=dry_run)
    console.show(done, carried.people_import(done), asked_for=dry_run)


def forget(
    who: WhoArgument,
    database: DatabaseOption = None,
    yes: Annotated[bool, Option("Skip the question.")] = False,
    cache: Annotated[
        tuple[Path, ...],
        Option("Also erase the person from this cache, or from all of several.", metavar="FILE"),
    ] = (),
    results: Annotated[
        tuple[Path, ...],
        Option(
            "A further result folder, beside all that the caches and the library know.",
            metavar="DIR",
        ),
    ] = (),
    exports: Annotated[
        bool, Option("Also remove the person from results and exports; without it, only list them.")
    ] = False,
    dry_run: DryRun = False,
) -> None:
    """Erase a person for good.

    Deletes faces, embeddings, names and log entries. This cannot be undone.
    """
    from facesets.assembly.stores import open_cache
    from facesets.operations.people.forgetting.forget import forget as run
    from facesets.operations.people.forgetting.person_to_erase import plan_forget
    from facesets.settings import load
    from facesets.store.stored_crops import FOLDER
    from facesets.work import Work

    caches = [open_cache(path) for path in cache]
    folders = [path.absolute() for path in results]
    with console.progress() as progress, opened_session(database) as session:
        plan = None if yes and not dry_run else plan_forget(session, who, caches, folders, exports=exports)
        if plan is not None and dry_run:
            console.show(plan, words.forget_plan(plan, exports=exports), asked_for=True)
            return
        if plan is not None:
            with console.paused(progress):
                _ask(plan)
        summary = run(
            session,
            who,
            caches,
            folders,
            exports=exports,
            pictures=load().cache_dir / FOLDER,
            work=Work(by=current_user(), progress=progress),
        )
    console.show(summary, words.forget(summary, exports=exports))
    if not summary.proof.is_clean:
        raise FacesetsError("The person was not fully erased. The lines above list what is left.")


def _ask(plan: Result) -> None:
    if plan.was_cut_off:
        return
    what = f"{name_and_number(plan.name, plan.number)}, {counted(plan.faces, 'face')}"
    if plan.loose_faces:
        what += f" and {counted(plan.loose_faces, 'similar unassigned face')}"
    if not console.can_ask():
        raise WrongUsage(f"This erases {what} for good. Add {Field('yes')} to confirm.")
    for result in plan.results:
        console.remark(f"{printable(result.folder)} holds {counted(result.faces, 'face')} of this person.")
    if not console.agrees(f"Erase {what} for good? This cannot be undone."):
        raise WrongUsage("Nothing was erased.")
