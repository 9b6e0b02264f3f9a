"""`facesets discover`."""

from typing import Annotated

import typer

from facesets.cli import console
from facesets.cli.exporting import (
    ExportFlags,
    SourceRootOption,
    left_out,
    takes_export_flags,
)
from facesets.cli.params import DatabaseOption, MinFacesOption, whole_number_or_auto
from facesets.cli.results import (
    CacheOrOutArgument,
    ExportIfCacheArgument,
    cache_and_out,
    report,
    would,
)
from facesets.files import printable
from facesets.operations.options.cache import RefineOptions
from facesets.operations.options.face_sets import DiscoverOptions
from facesets.plurals import counted

_DEFAULT = DiscoverOptions()
_GATES = RefineOptions()
_SHOWN = 40


@takes_export_flags
def discover(
    first: CacheOrOutArgument,
    second: ExportIfCacheArgument = None,
    source_root: SourceRootOption = None,
    database: DatabaseOption = None,
    known_threshold: Annotated[
        float, typer.Option(help="A face this close in cosine distance to a known face set is known.")
    ] = _DEFAULT.known_threshold,
    initial_threshold: Annotated[
        float, typer.Option(help="Cosine distance at which the other faces are clustered.")
    ] = _GATES.initial_threshold,
    min_faces: MinFacesOption = "auto",
    min_short: Annotated[
        float, typer.Option(help="Fewest pixels of the short edge of the box.")
    ] = _GATES.min_short,
    min_blur: Annotated[
        float, typer.Option(help="Least sharpness, as variance of the Laplacian.")
    ] = _GATES.min_blur,
    min_det_score: Annotated[float, typer.Option(help="Least detector score.")] = _GATES.min_det_score,
    *,
    export: ExportFlags,
) -> None:
    """Make face sets of people who are in none yet, and add them to the export OUT.

    The sets that are there stay as they are.
    """
    from facesets import settings
    from facesets.assembly.crop_checker import crop_checker
    from facesets.assembly.stores import open_store
    from facesets.operations.face_sets.discover import discover as run

    cache, out = cache_and_out("discover", first, second)
    gates = RefineOptions(
        initial_threshold=initial_threshold,
        min_faces=whole_number_or_auto("--min-faces", min_faces),
        min_short=min_short,
        min_blur=min_blur,
        min_det_score=min_det_score,
    )
    options = DiscoverOptions(known_threshold=known_threshold)
    crops = export.options()
    conf = settings.load()
    with (
        console.stoppable() as stop,
        console.progress() as progress,
        open_store(cache, database, conf, console) as store,
    ):
        embedder = crop_checker(
            store, export.pack, export.provider, conf, console, progress, stop, fetch=not export.dry_run
        )
        summary = run(
            store,
            out,
            source_root or [],
            embedder,
            options,
            gates,
            crops,
            progress=progress,
            stop=stop,
        )
    rows = [
        (cluster.name or "-", cluster.faces, cluster.images, cluster.survivors)
        for cluster in summary.clusters[: _SHOWN if not export.dry_run else None]
    ]
    lines = [
        (
            f"{printable(out)}: {counted(summary.faces, 'face')}, {summary.known} of them known; "
            f"{counted(len(summary.clusters), 'group')} of others, {counted(len(summary.sets), 'face set')} "
            f"{would(export.dry_run, 'added', 'to add')}."
        )
    ]
    if rows:
        lines.append(console.table(("face set", "faces", "photos", "photos through the gates"), rows))
    if summary.export:
        lines.append(left_out(summary.export))
    report(summary, lines)
