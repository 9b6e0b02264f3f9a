"""`facesets people forget`: a person erased for good."""

import sys
from pathlib import Path
from typing import Annotated

from facesets.cli import console
from facesets.cli.opening import opened_library
from facesets.cli.params import DatabaseOption
from facesets.cli.people import WhoArgument
from facesets.cli.user import current_user
from facesets.errors import FacesetsError, Field, WrongUsage
from facesets.files import printable
from facesets.operations.options.declaration import Option
from facesets.plurals import counted
from facesets.result import Result
from facesets.words import corrections as words
from facesets.words.phrases import name_and_number


def forget(
    who: WhoArgument,
    database: DatabaseOption = None,
    yes: Annotated[bool, Option("Do not ask.")] = False,
    cache: Annotated[
        tuple[Path, ...], Option("Forget in this cache, too; with several, in all of them.", metavar="FILE")
    ] = (),
    results: Annotated[
        tuple[Path, ...],
        Option(
            "A folder of results, besides those that the caches and the library know; with several, all.",
            metavar="FOLDER",
        ),
    ] = (),
    exports: Annotated[
        bool, Option("Remove the person from results and exports; without it these are listed.")
    ] = False,
) -> None:
    """Erase a person for good: faces, vectors, names, and what the log says; this cannot be undone."""
    from facesets.assembly.stores import open_cache
    from facesets.operations.people.forgetting.forget import forget as run
    from facesets.operations.people.forgetting.forget import plan_forget
    from facesets.settings import load
    from facesets.store.kept_pictures import FOLDER
    from facesets.work import Work

    caches = [open_cache(path) for path in cache]
    folders = [path.absolute() for path in results]
    with console.progress() as progress, opened_library(database) as session:
        if not yes:
            with console.paused(progress):
                _ask(plan_forget(session, who, caches, folders))
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
        raise FacesetsError("Not everything of the person is gone: the lines above say what is left.")


def _ask(plan: Result) -> None:
    if plan.was_cut_off:
        return
    what = f"{name_and_number(plan.name, plan.number)}, {counted(plan.faces, 'face')}"
    if plan.loose_faces:
        what += f" and {plan.loose_faces} like them without a person"
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise WrongUsage(f"This erases {what} for good. Say {Field('yes')} if you mean it.")
    for result in plan.results:
        console.remark(f"{printable(result.folder)} holds {counted(result.faces, 'face')} of them.")
    if not console.agrees(f"Erase {what} for good? This cannot be undone."):
        raise WrongUsage("Nothing was erased.")
