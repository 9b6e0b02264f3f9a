"""`facesets export-xmp`."""

from typing import TYPE_CHECKING, Annotated

import typer

from facesets.cli import console
from facesets.cli.index_stage import say_which_are_empty
from facesets.cli.opening import working
from facesets.cli.params import DatabaseOption
from facesets.errors import WrongUsage
from facesets.files import plain_path
from facesets.operations.options.declaration import Option
from facesets.operations.options.library import ExportXmpOptions
from facesets.words import interchange as words

if TYPE_CHECKING:
    from facesets.result import Result


def export_xmp(
    who: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[WHO...]",
            help="Names, or ids as listed; without any, everybody who has a name.",
            show_default=False,
        ),
    ] = None,
    database: DatabaseOption = None,
    undo: Annotated[
        str | None,
        Option("Put back what the sidecars held before a run: its number, or `last`.", metavar="RUN"),
    ] = None,
    *,
    options: ExportXmpOptions,
) -> None:
    """Write who is where on each photo into XMP sidecars beside the photos, for other programs.

    Photos are never changed, and of a sidecar only what facesets wrote there. What is not true any more is
    removed by the next run, which writes nothing else again.
    """
    if undo is not None and (who or options.target or options.replace or options.microsoft):
        raise WrongUsage("--undo RUN takes back a whole run, and goes with --dry-run alone.")
    from facesets import settings
    from facesets.assembly.stores import open_database
    from facesets.operations.interchange.export_xmp import export_xmp as run
    from facesets.operations.interchange.undo_xmp import undo_xmp
    from facesets.store.postgres.library import Library

    console.only_the_result_unless_watched()
    with working() as work, open_database(database, settings.load(), console) as session:
        if undo is not None:
            done = undo_xmp(session, undo, dry_run=options.dry_run, work=work)
            console.show(done, words.export_xmp_undo(done), asked_for=options.dry_run)
            _finish(done, undo=True)
            return
        library = Library(session)
        done = run(library, who or (), options, work=work)
        say_which_are_empty(library, [str(plain_path(each)) for each in options.target])
    console.show(done, words.export_xmp(done), asked_for=options.dry_run)
    if not done.people and not done.unfit:
        console.notice(words.NOBODY_NAMED)
    _finish(done)


def _finish(done: "Result", *, undo: bool = False) -> None:
    if done.edited:
        console.notice(words.sidecars_left(done, undo=undo))
        console.failures([(each.path, each.reason) for each in done.edited])
    for line in words.folders_with_nothing(done) if undo else ():
        console.notice(line)
    console.failures([(each.path, each.reason) for each in done.failures])
    console.finish(failed=len(done.failures))
