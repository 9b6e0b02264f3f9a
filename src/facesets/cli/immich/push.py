"""`facesets immich-push`."""

from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facesets import settings
from facesets.cli import console
from facesets.cli.opening import working
from facesets.cli.params import DatabaseOption
from facesets.errors import WrongUsage
from facesets.operations.options.declaration import Option
from facesets.operations.options.immich import PushOptions, ServerOptions
from facesets.words import immich as words

if TYPE_CHECKING:
    from facesets.interfaces import Progress
    from facesets.remote.immich_people import ImmichPeople
    from facesets.result import Result
    from facesets.work import Work


UndoOption = Annotated[
    str | None,
    Option(
        "Show what a run changed, by its name or `last`; with --apply, undo it.",
        metavar="RUN",
    ),
]


def immich_push(
    staged: Annotated[
        Path,
        typer.Argument(
            metavar="STAGED", help="The folder OUT/USER that `immich-stage` made.", show_default=False
        ),
    ],
    people: Annotated[
        Path | None,
        Option(
            "A result folder of `cluster` or `refine` whose folders you named.",
            unset="the library",
        ),
    ] = None,
    cache: Annotated[Path | None, Option("The cache that --people was made from.")] = None,
    apply: Annotated[bool, Option("Show the plan and carry it out without asking.")] = False,
    undo: UndoOption = None,
    give_up: Annotated[bool, Option("With --undo: finish even if a part cannot be undone.")] = False,
    database: DatabaseOption = None,
    *,
    access: ServerOptions,
    options: PushOptions,
) -> None:
    """Write people and their names back to Immich.

    Shows the plan, and changes nothing before you agree or give --apply. Names, hidden people and faces
    that an Immich user decided on stay as they are. --undo undoes a run.
    """
    from facesets.assembly.immich import access_to, local_people_source
    from facesets.operations.immich.push import immich_push as run
    from facesets.remote.immich_people import ImmichPeople

    if give_up and undo is None:
        raise WrongUsage("--give-up needs --undo RUN.")
    conf = settings.load()
    where = access_to(conf, access, connections=options.workers)
    with working() as work, closing(ImmichPeople(where, stop=work.stop)) as server:
        if undo is not None:
            _undo(server, staged, undo, options, apply=apply, give_up=give_up, work=work)
            return
        with local_people_source(people, cache, database, conf, console) as read_people:
            done = run(
                server,
                staged,
                read_people,
                options,
                lambda plan: _confirmed(plan, work.progress, apply=apply),
                when=datetime.now().astimezone().strftime("%Y%m%d-%H%M%S"),
                work=work,
            )
    lines = words.immich_push(done, staged, dry_run=options.dry_run, was_ended=work.stop.requested)
    console.show(done, lines)
    console.failures(done.failures)
    console.finish(failed=done.failed)


def _undo(
    server: "ImmichPeople",
    staged: Path,
    run: str,
    options: PushOptions,
    *,
    apply: bool,
    give_up: bool,
    work: "Work",
) -> None:
    from facesets.operations.immich.push_undo import immich_push_undo

    done = immich_push_undo(
        server,
        staged,
        run,
        lambda plan: apply or _agrees(f"{words.immich_push_undo_plan(plan)} Undo it?", work.progress),
        workers=options.workers,
        dry_run=options.dry_run,
        give_up=give_up,
        work=work,
    )
    console.show(done, words.immich_push_undo(done, give_up=give_up, was_ended=work.stop.requested))
    console.failures(done.failures)
    console.finish(failed=done.failed + len(done.left))


def _confirmed(plan: "Result", progress: "Progress", *, apply: bool) -> bool:
    if not console.session.json:
        with console.paused(progress):
            console.out("\n".join(words.immich_push_plan(plan)))
    return apply or _agrees("Apply these changes to the server?", progress)


def _agrees(question: str, progress: "Progress") -> bool:
    """Ask on a terminal; return False without one."""
    if console.session.json or not console.can_ask():
        return False
    with console.paused(progress):
        return console.agrees(question)
