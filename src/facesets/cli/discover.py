"""`facesets discover`."""

from typing import Annotated

from facesets.cli.exporting import CropOptions, UnderOfDiscover, exporting
from facesets.cli.flags import Only
from facesets.cli.params import DatabaseOption, PackOption, ProviderOption
from facesets.cli.results import CacheOrOutArgument, ExportIfCacheArgument, cache_and_out, report
from facesets.operations.options.results import DiscoverOptions
from facesets.operations.options.start import RefineOptions
from facesets.words import face_sets as words

GATES = ("initial_threshold", "min_faces", "min_short", "min_blur", "min_det_score", "min_norm")
_Gates = Annotated[RefineOptions, Only(*GATES)]


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
    with exporting(cache, database, pack, provider, crops) as (store, checker, work):
        done = run(store, out, list(source_root), checker, options, gates, crops, work=work, modeller=checker)
    report(done, words.discover(done))
