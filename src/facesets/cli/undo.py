"""`facesets undo`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facesets.cli import console
from facesets.files import is_there, printable
from facesets.operations.options.shared import DryRun
from facesets.plurals import counted
from facesets.words.phrases import local_time, would

if TYPE_CHECKING:
    from facesets.operations.undo import KnownRun, UndoneFolder


def undo(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A folder of results.", show_default=False)],
    run: Annotated[
        str,
        typer.Argument(
            metavar="[RUN]", help="Its name or number; without one, the runs are listed.", show_default=False
        ),
    ] = "",
    dry_run: DryRun = False,
) -> None:
    """List the runs that changed OUT, or take one back: the newest first, and never over an edit of yours.

    Whatever a command wrote in OUT is taken back, drawings too. What `relocate` changed lies in the cache or
    the library: move the folder back and relocate it back. OUT keeps what its last 10 runs replaced, in
    .facesets-journal, fewer where that is more than 2 GiB.
    """
    from facesets.operations.run import PEOPLE, SETS
    from facesets.operations.undo import known_runs
    from facesets.operations.undo import undo as take_back

    if not run:
        listed = known_runs(out)
        below = [path for path in (out / PEOPLE, out / SETS) if is_there(path)]
        elsewhere = f" Those of `run` are in {' and '.join(map(printable, below))}." if below else ""
        console.show(
            listed,
            [_line(entry) for entry in listed.runs] or [f"{printable(out)}: no run to take back.{elsewhere}"],
            asked_for=True,
        )
        return
    done = take_back(out, run, dry_run=dry_run)
    console.show(
        done,
        [line for folder in done.folders for line in _lines(folder, done.run, dry_run=dry_run)],
    )


def _line(run: "KnownRun") -> str:
    when = local_time(run.began) if run.began else "at some time"
    cut = "" if run.complete else " (undo was cut off)" if run.half_undone else " (was cut off)"
    also = f"; also {', '.join(map(printable, run.also))}" if run.also else ""
    return (
        f"{run.run}: {when}, {counted(run.made, 'file')} made, {run.replaced} replaced, "
        f"{run.removed} removed{cut}{also}"
    )


def _lines(folder: "UndoneFolder", run: str, *, dry_run: bool) -> list[str]:
    from facesets.results.set_aside import WITHOUT_ORIGINAL

    are = would(dry_run, "are", "would be")
    lines = [
        (
            f"{printable(folder.folder)}: {counted(len(folder.restored), 'file')} "
            f"{would(dry_run, 'restored', 'to restore')} as before {run}, "
            f"{len(folder.removed)} {would(dry_run, 'removed', 'to remove')}."
        )
    ]
    if folder.set_aside:
        aside = printable(Path(folder.folder) / WITHOUT_ORIGINAL)
        is_kept = would(dry_run, "is", "would be")
        one = f"photo whose original is not where it was {is_kept}"
        many = f"photos whose originals are not where they were {are}"
        lines.append(
            f"{counted(len(folder.set_aside), one, many)} kept in {aside}. If `relocate` followed them, that "
            "is not taken back."
        )
    if count := len(folder.stay_deleted):
        one, many = "file that you deleted since stays", "files that you deleted since stay"
        lines.append(f"{counted(count, one, many)} deleted.")
    if count := len(folder.elsewhere):
        one, many = "file that it made is", "files that it made are"
        lines.append(
            f"{counted(count, one, many)} no longer where it was put: what you moved stays as it is."
        )
    lines += [f"{printable(link)} is a link: what it leads to stays as it is." for link in folder.links]
    return lines
