"""`facesets refine`."""

from facesets.cli.opening import work_on_store
from facesets.cli.params import DatabaseOption
from facesets.cli.results import (
    CacheOrOutArgument,
    OutIfCacheArgument,
    cache_and_out,
    hint_lines,
    photos_line,
    report,
)
from facesets.operations.options.cache import RefineOptions
from facesets.plurals import counted
from facesets.words.phrases import by_gate, learned_lines


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
    with work_on_store(cache, database) as (store, progress, stop):
        summary = run(store, out, options, progress=progress, stop=stop)
    report(
        summary,
        [
            f"{counted(summary.faces, 'face')}: {counted(summary.facesets, 'face set')} "
            f"with {counted(summary.kept, 'face')}, {summary.dropped} dropped"
            + (f" ({by_gate(summary.dropped_by)})." if summary.dropped_by else "."),
            photos_line(summary, out, dry_run=options.dry_run),
            *hint_lines(summary, cache, out),
            *learned_lines(summary.learned),
        ],
    )
