"""`facesets split-eras`."""

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facesets.cli import console
from facesets.cli.exporting import (
    ExportFlags,
    SourceRootOption,
    left_out,
    takes_export_flags,
)
from facesets.cli.params import DatabaseOption
from facesets.cli.results import (
    CacheOrOutArgument,
    ExportIfCacheArgument,
    cache_and_out,
    report,
    would,
)
from facesets.files import printable
from facesets.operations.options.face_sets import SplitErasOptions
from facesets.plurals import counted

if TYPE_CHECKING:
    from facesets.operations.eras.summaries import ProbeSummary, SplitErasSummary
    from facesets.settings import Settings

_DEFAULT = SplitErasOptions()


@takes_export_flags
def split_eras(
    first: CacheOrOutArgument,
    second: ExportIfCacheArgument = None,
    name: Annotated[
        str,
        typer.Option(
            "--set",
            envvar="FACESETS_SPLIT_ERAS_SET",
            metavar="NAME",
            help="The set in OUT to start from.",
            show_default=False,
        ),
    ] = "",
    source_root: SourceRootOption = None,
    probe: Annotated[
        bool,
        typer.Option(
            "--probe", help="Only report whether it makes sense: as text, and as a picture in OUT/_eras."
        ),
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Split though the probe says that it makes no sense.")
    ] = False,
    database: DatabaseOption = None,
    recover_threshold: Annotated[
        float, typer.Option(help="Cosine distance from the set's centroid within which faces are found.")
    ] = _DEFAULT.recover_threshold,
    recentre_threshold: Annotated[
        float, typer.Option(help="Cosine distance from their common centroid within which they stay.")
    ] = _DEFAULT.recentre_threshold,
    split_threshold: Annotated[
        float, typer.Option(help="Cosine distance at which average linkage is cut into sub-clusters.")
    ] = _DEFAULT.split_threshold,
    join_threshold: Annotated[
        float, typer.Option(help="Cosine distance from its nearest anchor within which a fragment joins it.")
    ] = _DEFAULT.join_threshold,
    join_years: Annotated[
        int, typer.Option(help="Most years between their dominant capture years.")
    ] = _DEFAULT.join_years,
    min_era_faces: Annotated[
        int, typer.Option(help="Fewest faces of an anchor, and of an era that is not thin.")
    ] = _DEFAULT.min_era_faces,
    min_fragment_faces: Annotated[
        int, typer.Option(help="Fewest faces of a fragment that becomes a thin era of its own.")
    ] = _DEFAULT.min_fragment_faces,
    min_short: Annotated[
        float, typer.Option(help="Fewest pixels of the short edge of the box.")
    ] = _DEFAULT.min_short,
    min_blur: Annotated[
        float, typer.Option(help="Least sharpness, as variance of the Laplacian.")
    ] = _DEFAULT.min_blur,
    min_det_score: Annotated[float, typer.Option(help="Least detector score.")] = _DEFAULT.min_det_score,
    years: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Where capture years are kept. [default: in the user's cache directory]",
            show_default=False,
        ),
    ] = None,
    *,
    export: ExportFlags,
) -> None:
    """Split a person of the export OUT, photographed over many years, into a set for each era."""
    from facesets import settings
    from facesets.assembly.crop_checker import crop_checker
    from facesets.assembly.stores import open_store
    from facesets.errors import WrongUsage
    from facesets.operations.eras import split_eras as operation
    from facesets.operations.eras.person import EraRequest

    cache, out = cache_and_out("split-eras", first, second)
    if not name:
        raise WrongUsage("Which person? Name a set of OUT by --set.")
    options = SplitErasOptions(
        recover_threshold=recover_threshold,
        recentre_threshold=recentre_threshold,
        split_threshold=split_threshold,
        join_threshold=join_threshold,
        join_years=join_years,
        min_era_faces=min_era_faces,
        min_fragment_faces=min_fragment_faces,
        min_short=min_short,
        min_blur=min_blur,
        min_det_score=min_det_score,
    )
    crops = export.options()
    conf = settings.load()
    today = date.today()  # noqa: DTZ011 - cameras have the local date as well
    roots = [root.absolute() for root in source_root or ()]
    request = EraRequest(out, name, roots, years or _kept_years(conf), today.year, force)
    done: ProbeSummary | SplitErasSummary
    with (
        console.stoppable() as stop,
        console.progress() as progress,
        open_store(cache, database, conf, console) as store,
    ):
        if probe:
            done = operation.probe_eras(
                store,
                request,
                options,
                replace=export.replace,
                dry_run=export.dry_run,
                progress=progress,
                stop=stop,
            )
            lines = _probe_lines(done)
        else:
            embedder = crop_checker(
                store, export.pack, export.provider, conf, console, progress, stop, fetch=not export.dry_run
            )
            done = operation.split_eras(
                store, request, embedder, options, crops, progress=progress, stop=stop
            )
            lines = _split_lines(done)
    report(done, lines)


def _kept_years(conf: "Settings") -> Path:
    from facesets.operations.eras.year_cache import FILE_NAME

    return conf.cache_dir / FILE_NAME


def _probe_lines(summary: "ProbeSummary") -> list[str]:
    written = "" if summary.dry_run else f"{printable(summary.chart)} shows the same as a picture."
    return [summary.text + written]


def _split_lines(summary: "SplitErasSummary") -> list[str]:
    rows = [
        (
            era.state,
            printable(era.set) or "-",
            era.faces,
            era.dominant or "",
            f"{era.first} to {era.last}" if era.first else "unknown",
            era.fragments,
        )
        for era in summary.eras
    ]
    dry_run = summary.dry_run
    lines = [console.table(("", "set", "faces", "mostly", "years", "joined fragments"), rows)]
    lines += [f"{would(dry_run, 'gone', 'to go')}: {printable(name)}" for name in summary.gone]
    lines.append(
        f"{printable(summary.out)}: {counted(summary.recovered, 'face')} of {printable(summary.set)} in "
        f"{counted(sum(not era.thin for era in summary.eras), 'era')} and "
        f"{sum(era.thin for era in summary.eras)} thin ones; {summary.left_out} alone."
    )
    if summary.forced:
        lines.append(f"Split by --force: {summary.forced}")
    if summary.export is not None:
        lines.append(left_out(summary.export))
    return lines
