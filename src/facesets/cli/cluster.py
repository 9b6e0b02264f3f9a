"""`facesets cluster`."""

from typing import Annotated

import typer

from facesets.cli import console
from facesets.cli.params import CacheArgument, DebugOption, DryRunOption, JsonOption
from facesets.cli.results import MaterializeOption, OutArgument, SheetOption, photos_line, report
from facesets.operations.options import ClusterOptions, Method

_DEFAULT = ClusterOptions()


def cluster(
    cache: CacheArgument,
    out: OutArgument,
    method: Annotated[Method, typer.Option(help="How to group.")] = _DEFAULT.method,
    threshold: Annotated[
        str,
        typer.Option(help="agglomerative: cosine distance at which clusters are cut, or auto to measure it."),
    ] = f"{_DEFAULT.threshold:g}",
    min_cosine_similarity: Annotated[
        float, typer.Option(help="components: faces this similar are connected.")
    ] = _DEFAULT.min_cosine_similarity,
    min_cluster_size: Annotated[
        int, typer.Option(help="hdbscan: fewest faces of a person.")
    ] = _DEFAULT.min_cluster_size,
    min_samples: Annotated[
        int, typer.Option(help="hdbscan: neighbours that make a dense place.")
    ] = _DEFAULT.min_samples,
    same_image_ok: Annotated[
        bool,
        typer.Option(
            "--same-image-ok",
            help="agglomerative, auto: two faces in one photo may be one person (collages, mirrors).",
        ),
    ] = _DEFAULT.same_image_ok,
    materialize: MaterializeOption = _DEFAULT.materialize,
    sheet: SheetOption = _DEFAULT.sheet,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Group the faces of CACHE into raw clusters: OUT/person_001 and so on, largest first."""
    from facesets.cli import assemble
    from facesets.operations.cluster import cluster as run

    options = ClusterOptions(
        method=method,
        threshold=assemble.number_or_auto("--threshold", threshold),
        min_cosine_similarity=min_cosine_similarity,
        min_cluster_size=min_cluster_size,
        min_samples=min_samples,
        same_image_ok=same_image_ok,
        materialize=materialize,
        sheet=sheet,
        dry_run=dry_run,
    )
    with console.stoppable() as stop, console.progress() as progress:
        summary = run(assemble.open_cache(cache), out, options, progress=progress, stop=stop)
    report(
        summary,
        [
            (
                f"{summary.faces} faces in {summary.images} images: {summary.persons} people, "
                f"{summary.singletons} single faces, {summary.no_face} images without a face."
            ),
            *summary.reasons,
            photos_line(summary, out, dry_run=dry_run),
        ],
    )
