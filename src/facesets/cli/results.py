"""What the commands that write result folders have in common on the command line."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Protocol

import typer

from facesets.cli import console
from facesets.errors import Command, WrongUsage
from facesets.files import RUN_RECORD, printable
from facesets.plurals import counted
from facesets.words.phrases import GO_ON, would

if TYPE_CHECKING:
    from facesets.operations.grouping.cluster import ClusterSummary
    from facesets.operations.grouping.refine import RefineSummary
    from facesets.operations.run import RunSummary
    from facesets.results.manifest import Failure

CacheOrOutArgument = Annotated[
    Path,
    typer.Argument(
        metavar="[CACHE]",
        help="The cache file. Leave it out, and the faces are those of the library.",
        show_default=False,
    ),
]
CacheOrResultArgument = Annotated[
    Path,
    typer.Argument(metavar="[CACHE]", help="The cache file; without one, the library.", show_default=False),
]
"""The same where another result comes second, and may be the first."""
OutIfCacheArgument = Annotated[
    Path | None, typer.Argument(metavar="OUT", help="Folder for the results.", show_default=False)
]
ExportIfCacheArgument = Annotated[
    Path | None,
    typer.Argument(metavar="OUT", help="The export: what `export-swap` wrote, or new.", show_default=False),
]


def cache_and_out(command: str, first: Path, second: Path | None) -> tuple[Path | None, Path]:
    """Read `[CACHE] OUT`: of one argument alone it is OUT.

    Raises
    ------
    WrongUsage
        The one argument is a cache.
    """
    if second is not None:
        return first, second
    if first.is_file():
        raise WrongUsage(f"Where to? Say {Command(command, printable(first), 'OUT')}.")
    return None, first


def refuse_several_results(folder: Path, command: str) -> None:
    """Refuse the OUT of `run` where one result is wanted, and name those in it.

    Raises
    ------
    WrongUsage
        The folder holds several.
    """
    from facesets.operations.run import PEOPLE, SETS

    if (folder / RUN_RECORD).is_file():
        each = " or ".join(f"{Command(command, printable(folder / name))}" for name in (PEOPLE, SETS))
        raise WrongUsage(f"{printable(folder)} holds all results of `facesets run`. Say which: {each}.")


class Summary(Protocol):
    """What every result says of itself."""

    @property
    def failed(self) -> int:
        """How many inputs failed."""
        ...

    @property
    def failures(self) -> "list[Failure]":
        """Which, and why."""
        ...

    @property
    def stopped(self) -> bool:
        """Whether a signal ended the run early."""
        ...


def report(summary: Summary, lines: Sequence[str]) -> None:
    """Print a summary, name what failed, and end with the right status."""
    if summary.stopped:
        lines = [*lines, GO_ON]
    console.show(summary, lines)
    console.failures([(failure.path, failure.reason) for failure in summary.failures])
    console.finish(failed=summary.failed)


def hint_lines(summary: "RefineSummary | RunSummary", cache: Path | None, out: Path) -> list[str]:
    """What the gates cost, and the command that would give the most."""
    if not summary.hint:
        return []
    places = [printable(path) for path in (cache, out) if path is not None]
    refine = Command("refine", *places, *" ".join(summary.try_flags).split())
    return [summary.hint, *([f"  {refine.line}"] if summary.try_flags else [])]


def photos_line(summary: "ClusterSummary | RefineSummary", out: Path, *, dry_run: bool) -> str:
    """Say what happened to the photos in `out`."""
    renamed = f" ({summary.renamed} {would(dry_run, 'renamed', 'to rename')})" if summary.renamed else ""
    return (
        f"{printable(out)}: {counted(summary.copied, 'photo')} {would(dry_run, 'written', 'to write')}, "
        f"{summary.unchanged} there already{renamed}, "
        f"{summary.removed} {would(dry_run, 'removed', 'to remove')}."
    )
