"""`facesets refine`."""

from facesets.cli.opening import work_on_store
from facesets.cli.params import DatabaseOption
from facesets.cli.results import CacheOrOutArgument, OutIfCacheArgument, cache_and_out, report
from facesets.operations.options.start import RefineOptions
from facesets.words import results as words


def refine(
    first: CacheOrOutArgument,
    second: OutIfCacheArgument = None,
    database: DatabaseOption = None,
    *,
    options: RefineOptions,
) -> None:
    """Make clean face sets of the faces of CACHE, or of the library: OUT/faceset_001 and so on.

    refine_manifest.json says for every face that was dropped which gate dropped it.
    """
    from facesets.operations.grouping.refine import refine as run

    cache, out = cache_and_out("refine", first, second)
    with work_on_store(cache, database) as (store, work):
        done = run(store, out, options, work=work)
    report(done, words.refine(done, cache=cache))
