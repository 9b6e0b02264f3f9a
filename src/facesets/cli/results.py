"""What the commands that write result folders have in common on the command line."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from facesets.cli import console
from facesets.errors import Command, WrongUsage
from facesets.files import PEOPLE, RUN_RECORD, SETS, printable
from facesets.result import Result
from facesets.words.phrases import GO_ON

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
    if (folder / RUN_RECORD).is_file():
        each = " or ".join(f"{Command(command, printable(folder / name))}" for name in (PEOPLE, SETS))
        raise WrongUsage(f"{printable(folder)} holds all results of `facesets run`. Say which: {each}.")


def report(done: Result, lines: Sequence[str]) -> None:
    """Print a result, name what failed, and end with the right status."""
    if done.stopped:
        lines = [*lines, GO_ON]
    console.show(done, lines)
    console.failures([(failure.path, failure.reason) for failure in done.failures])
    console.finish(failed=done.failed)
