"""`facesets refine`."""

from typing import Annotated

import typer

from facesets.cli import console
from facesets.cli.params import (
    DatabaseOption,
    DebugOption,
    DryRunOption,
    JsonOption,
    MinFacesOption,
    whole_number_or_auto,
)
from facesets.cli.results import (
    CacheOrOutArgument,
    MaterializeOption,
    OutIfCacheArgument,
    ReplaceOption,
    SheetOption,
    cache_and_out,
    hint_lines,
    learned_lines,
    photos_line,
    report,
)
from facesets.operations.options.cache import RefineOptions
from facesets.plurals import counted

_DEFAULT = RefineOptions()


def refine(
    first: CacheOrOutArgument,
    second: OutIfCacheArgument = None,
    database: DatabaseOption = None,
    initial_threshold: Annotated[
        float, typer.Option(help="Cosine distance of the first clustering.")
    ] = _DEFAULT.initial_threshold,
    merge_threshold: Annotated[
        float | None,
        typer.Option(
            help="Clusters whose centroids are this close in cosine distance are one. "
            "[default: 0.40; 0.30 with the open pack]",
            show_default=False,
        ),
    ] = _DEFAULT.merge_threshold,
    outlier_threshold: Annotated[
        float,
        typer.Option(
            help="A face farther than this from its centroid is dropped; only in clusters of "
            f"{_DEFAULT.outlier_min_cluster} or more."
        ),
    ] = _DEFAULT.outlier_threshold,
    min_faces: MinFacesOption = "auto",
    min_short: Annotated[
        float, typer.Option(help="Fewest pixels of the short edge of the box.")
    ] = _DEFAULT.min_short,
    min_blur: Annotated[
        float, typer.Option(help="Least sharpness, as variance of the Laplacian.")
    ] = _DEFAULT.min_blur,
    min_det_score: Annotated[float, typer.Option(help="Least detector score.")] = _DEFAULT.min_det_score,
    same_image_ok: Annotated[
        bool,
        typer.Option("--same-image-ok", help="Two faces in one photo may be one person (collages, mirrors)."),
    ] = _DEFAULT.same_image_ok,
    materialize: MaterializeOption = _DEFAULT.materialize,
    sheet: SheetOption = _DEFAULT.sheet,
    replace: ReplaceOption = _DEFAULT.replace,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Make clean face sets of the faces of CACHE, or of the library: OUT/faceset_001 and so on.

    refine_manifest.json says for every face that was dropped which gate dropped it.
    """
    from facesets import settings
    from facesets.assembly.stores import open_store
    from facesets.operations.grouping.refine import refine as run

    cache, out = cache_and_out("refine", first, second)

    options = RefineOptions(
        initial_threshold=initial_threshold,
        merge_threshold=merge_threshold,
        outlier_threshold=outlier_threshold,
        min_faces=whole_number_or_auto("--min-faces", min_faces),
        min_short=min_short,
        min_blur=min_blur,
        min_det_score=min_det_score,
        same_image_ok=same_image_ok,
        materialize=materialize,
        sheet=sheet,
        replace=replace,
        dry_run=dry_run,
    )
    with (
        console.stoppable() as stop,
        console.progress() as progress,
        open_store(cache, database, settings.load(), console) as store,
    ):
        summary = run(store, out, options, progress=progress, stop=stop)
    by_gate = ", ".join(f"{count} by {gate}" for gate, count in summary.dropped_by.items())
    report(
        summary,
        [
            f"{counted(summary.faces, 'face')}: {counted(summary.facesets, 'face set')} "
            f"with {counted(summary.kept, 'face')}, {summary.dropped} dropped"
            + (f" ({by_gate})." if by_gate else "."),
            photos_line(summary, out, dry_run=dry_run),
            *hint_lines(summary, cache, out),
            *learned_lines(summary.learned),
        ],
    )
