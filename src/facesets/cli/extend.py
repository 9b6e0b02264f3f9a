"""`facesets extend`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facesets.cli.opening import work_on_store
from facesets.cli.params import DatabaseOption
from facesets.cli.results import CacheOrResultArgument, report
from facesets.errors import Command, WrongUsage
from facesets.files import printable
from facesets.operations.options.declaration import Option
from facesets.operations.options.face_sets import ExtendOptions
from facesets.plurals import counted
from facesets.words.phrases import by_gate, learned_lines, would

if TYPE_CHECKING:
    from facesets.operations.grouping.extended_result import ExtendedResult


def extend(
    first: CacheOrResultArgument,
    second: Annotated[
        Path | None, typer.Argument(metavar="RAW", help="What `cluster` wrote.", show_default=False)
    ] = None,
    refine_out: Annotated[
        Path | None,
        Option("What `refine` wrote; its face sets grow, too.", metavar="DIR"),
    ] = None,
    database: DatabaseOption = None,
    *,
    options: ExtendOptions,
) -> None:
    """Fold the faces that are new in CACHE, or in the library, into results that exist.

    Nothing there is renumbered or moved. What you moved, renamed or deleted in the folders is respected.
    """
    from facesets.operations.grouping.extend import extend as run

    cache, raw = (None, first) if second is None else (first, second)
    if cache is None and first.is_file():
        raise WrongUsage(f"Extend what? Say {Command('extend', printable(first), 'RAW')}.")
    with work_on_store(cache, database) as (store, progress, stop):
        summary = run(store, raw, options, refine_out=refine_out, progress=progress, stop=stop)
    lines = _lines(summary.raw, "people", "stay single", dry_run=options.dry_run)
    if summary.sets:
        lines += _lines(summary.sets, "face sets", "were dropped", dry_run=options.dry_run)
    report(summary, lines)


def _lines(result: "ExtendedResult", what: str, alone: str, *, dry_run: bool) -> list[str]:
    lines = [
        f"{printable(result.out)}: {counted(result.new, 'new face')}: {sum(result.joined.values())} joined "
        f"{len(result.joined)} {what}, {sum(result.made.values())} made "
        f"{counted(len(result.made), 'new one')}, "
        f"{result.alone} {alone}" + (f" ({by_gate(result.dropped_by)})." if result.dropped_by else "."),
        f"  {counted(len(result.written), 'photo')} {would(dry_run, 'written', 'to write')}, "
        f"{result.unchanged} there already."
        + (f" Take it back: {Command('undo', printable(result.out), result.run).line}" if result.run else ""),
        *learned_lines(result.learned),
    ]
    if dry_run:
        lines += [f"  {printable(name)}: {counted(count, 'face')}" for name, count in result.joined.items()]
        lines += [
            f"  {printable(name)} (new): {counted(count, 'face')}" for name, count in result.made.items()
        ]
        lines += [f"  + {printable(name)}" for name in result.written]
    return lines
