"""`facesets extend`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facesets.cli import console
from facesets.cli.params import DatabaseOption, DebugOption, DryRunOption, JsonOption
from facesets.cli.results import ReplaceOption, SheetOption, learned_lines, report, would
from facesets.files import printable
from facesets.operations.options.face_sets import ExtendOptions
from facesets.plurals import counted

if TYPE_CHECKING:
    from facesets.operations.grouping.extended_result import ExtendedResult

_DEFAULT = ExtendOptions()


def extend(
    first: Annotated[
        Path,
        typer.Argument(
            metavar="[CACHE]", help="The cache file; without one, the library.", show_default=False
        ),
    ],
    second: Annotated[
        Path | None, typer.Argument(metavar="RAW", help="What `cluster` wrote.", show_default=False)
    ] = None,
    refine_out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="What `refine` wrote; its face sets grow, too.", show_default=False),
    ] = None,
    database: DatabaseOption = None,
    threshold: Annotated[
        float, typer.Option(help="Most cosine distance of a new face from the person that it joins.")
    ] = _DEFAULT.threshold,
    cluster_threshold: Annotated[
        float, typer.Option(help="Cosine distance at which the other new faces are clustered.")
    ] = _DEFAULT.cluster_threshold,
    same_image_ok: Annotated[
        bool,
        typer.Option("--same-image-ok", help="Two faces in one photo may be one person (collages, mirrors)."),
    ] = _DEFAULT.same_image_ok,
    sheet: SheetOption = _DEFAULT.sheet,
    replace: ReplaceOption = _DEFAULT.replace,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Fold the faces that are new in CACHE, or in the library, into results that exist.

    Nothing there is renumbered or moved. What you moved, renamed or deleted in the folders is respected.
    """
    from facesets import settings
    from facesets.assembly.stores import open_store
    from facesets.errors import WrongUsage
    from facesets.operations.grouping.extend import extend as run

    cache, raw = (None, first) if second is None else (first, second)
    if cache is None and first.is_file():
        raise WrongUsage(f"Extend what? Say `facesets extend {printable(first)} RAW`.")
    options = ExtendOptions(
        threshold=threshold,
        cluster_threshold=cluster_threshold,
        same_image_ok=same_image_ok,
        sheet=sheet,
        replace=replace,
        dry_run=dry_run,
    )
    with (
        console.stoppable() as stop,
        console.progress() as progress,
        open_store(cache, database, settings.load(), console) as store,
    ):
        summary = run(store, raw, options, refine_out=refine_out, progress=progress, stop=stop)
    lines = _lines(summary.raw, "people", "stay single", dry_run=dry_run)
    if summary.sets:
        lines += _lines(summary.sets, "face sets", "were dropped", dry_run=dry_run)
    report(summary, lines)


def _lines(result: "ExtendedResult", what: str, alone: str, *, dry_run: bool) -> list[str]:
    by_gate = ", ".join(f"{count} by {gate}" for gate, count in result.dropped_by.items())
    lines = [
        f"{printable(result.out)}: {counted(result.new, 'new face')}: {sum(result.joined.values())} joined "
        f"{len(result.joined)} {what}, {sum(result.made.values())} made "
        f"{counted(len(result.made), 'new one')}, "
        f"{result.alone} {alone}" + (f" ({by_gate})." if by_gate else "."),
        f"  {counted(len(result.written), 'photo')} {would(dry_run, 'written', 'to write')}, "
        f"{result.unchanged} there already."
        + (f" Take it back: facesets undo {printable(result.out)} {result.run}" if result.run else ""),
        *learned_lines(result.learned),
    ]
    if dry_run:
        lines += [f"  {printable(name)}: {counted(count, 'face')}" for name, count in result.joined.items()]
        lines += [
            f"  {printable(name)} (new): {counted(count, 'face')}" for name, count in result.made.items()
        ]
        lines += [f"  + {printable(name)}" for name in result.written]
    return lines
