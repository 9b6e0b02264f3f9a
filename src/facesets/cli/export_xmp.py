"""`facesets export-xmp`."""

from typing import TYPE_CHECKING, Annotated

import typer

from facesets.cli import console
from facesets.cli.index_stage import say_which_are_empty
from facesets.cli.params import DatabaseOption
from facesets.errors import WrongUsage
from facesets.files import plain_path, printable
from facesets.operations.options.declaration import Option
from facesets.operations.options.xmp import ExportXmpOptions
from facesets.plurals import counted
from facesets.plurals import people as counted_people
from facesets.words.phrases import GO_ON

if TYPE_CHECKING:
    from facesets.operations.interchange.export_xmp import ExportXmpSummary, LeftSidecar
    from facesets.operations.interchange.undo_xmp import UndoXmpSummary


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
    with (
        console.stoppable() as stop,
        console.progress() as progress,
        open_database(database, settings.load(), console) as session,
    ):
        if undo is not None:
            _finish_undo(undo_xmp(session, undo, dry_run=options.dry_run, progress=progress, stop=stop))
            return
        library = Library(session)
        summary = run(library, who or (), options, progress=progress, stop=stop)
        say_which_are_empty(library, [str(plain_path(each)) for each in options.target])
    console.show(summary, _lines(summary), asked_for=options.dry_run)
    if not summary.people and not summary.unfit:
        console.notice("Nobody has a name to write: give somebody one with `facesets people name WHO NAME`.")
    _say_what_was_left(summary.edited, " --replace writes again what is ours there.")
    _finish(summary.failures)


def _lines(summary: "ExportXmpSummary") -> list[str]:
    would = " Nothing was written." if summary.dry_run else ""
    whose = f"{counted_people(summary.people)}, {counted(summary.photos, 'photo')}"
    did = f"{summary.changed} changed, {summary.removed} removed, {summary.unchanged} unchanged"
    lines = [f"{whose}: {counted(summary.new, 'sidecar')} new, {did}.{would}"]
    if summary.left_behind:
        whose = "its photo is" if summary.left_behind == 1 else "their photos are"
        these = counted(summary.left_behind, "sidecar")
        lines.append(f"{these} changed or removed because {whose} gone or not in the library any more.")
    if summary.empty:
        files = counted(
            summary.empty, "of these sidecars was an empty file", "of these sidecars were empty files"
        )
        lines.append(f"{files}: a program may have been cut off writing there.")
    if summary.missing:
        lines.append(f"{counted(summary.missing, 'photo is', 'photos are')} not there: mounted elsewhere?")
    if summary.unfit:
        lines.append(f"No names for XMP: {', '.join(map(printable, summary.unfit))}.")
    if summary.stopped:
        lines.append(GO_ON)
    if summary.run:
        lines.append(f"Take it back with: facesets export-xmp --undo {summary.run}")
    return lines


def _finish_undo(summary: "UndoXmpSummary") -> None:
    would = " Nothing was written." if summary.dry_run else ""
    did = f"{summary.removed} removed, {summary.as_before} as before already"
    lines = [f"Run {summary.run}: {counted(summary.restored, 'sidecar')} restored, {did}.{would}"]
    if summary.stopped:
        lines.append(GO_ON)
    console.show(summary, lines, asked_for=summary.dry_run)
    _say_what_was_left(summary.edited)
    if summary.gone:
        these = counted(summary.gone, "sidecar is", "sidecars are")
        console.notice(
            f"{these} of photos that are not in the library any more, in folders with nothing in them. "
            "Is it a disk that is not mounted? Mount it, and the next export-xmp takes out what is ours."
        )
    if summary.not_there:
        console.notice(
            "Is a folder emptied for good? Say so with `facesets relocate FOLDER --forget`, then take the "
            "run back again."
        )
    _finish(summary.failures)


def _say_what_was_left(left: "list[LeftSidecar]", what_to_do: str = "") -> None:
    if left:
        one, many = "sidecar stays as it is", "sidecars stay as they are"
        console.notice(f"{counted(len(left), one, many)}.{what_to_do}")
        console.failures([(each.path, each.reason) for each in left])


def _finish(failures: "list[LeftSidecar]") -> None:
    console.failures([(each.path, each.reason) for each in failures])
    console.finish(failed=len(failures))
