"""`facesets discover`."""

from typing import Annotated

from facesets.cli import console
from facesets.cli.exporting import CropOptions, UnderOfDiscover, exporting, left_out
from facesets.cli.flags import Only
from facesets.cli.params import DatabaseOption, PackOption, ProviderOption
from facesets.cli.results import CacheOrOutArgument, ExportIfCacheArgument, cache_and_out, report
from facesets.files import printable
from facesets.operations.options.cache import RefineOptions
from facesets.operations.options.face_sets import DiscoverOptions
from facesets.plurals import counted
from facesets.words.phrases import would

GATES = ("initial_threshold", "min_faces", "min_short", "min_blur", "min_det_score", "min_norm")
_Gates = Annotated[RefineOptions, Only(*GATES)]
_SHOWN = 40


def discover(
    first: CacheOrOutArgument,
    second: ExportIfCacheArgument = None,
    source_root: UnderOfDiscover = (),
    database: DatabaseOption = None,
    *,
    options: DiscoverOptions,
    gates: _Gates,
    crops: CropOptions,
    pack: PackOption = None,
    provider: ProviderOption = "auto",
) -> None:
    """Make face sets of people who are in none yet, and add them to the export OUT.

    The sets that are there stay as they are.
    """
    from facesets.operations.face_sets.discover import discover as run

    cache, out = cache_and_out("discover", first, second)
    with exporting(cache, database, pack, provider, crops) as (store, checker, progress, stop):
        summary = run(
            store,
            out,
            list(source_root),
            checker,
            options,
            gates,
            crops,
            progress=progress,
            stop=stop,
            modeller=checker,
        )
    rows = [
        (cluster.name or "-", cluster.faces, cluster.images, cluster.survivors)
        for cluster in summary.clusters[: _SHOWN if not crops.dry_run else None]
    ]
    lines = [
        (
            f"{printable(out)}: {counted(summary.faces, 'face')}, {summary.known} of them known; "
            f"{counted(len(summary.clusters), 'group')} of others, {counted(len(summary.sets), 'face set')} "
            f"{would(crops.dry_run, 'added', 'to add')}."
        )
    ]
    if rows:
        lines.append(console.table(("face set", "faces", "photos", "photos through the gates"), rows))
    if summary.export:
        lines.append(left_out(summary.export))
    report(summary, lines)
