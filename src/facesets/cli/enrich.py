"""`facesets enrich`."""

import typer

from facesets.cli import console, queueing
from facesets.cli.opening import work_on_store
from facesets.cli.params import DatabaseOption, OptionalCacheArgument, PackOption, ProviderOption
from facesets.cli.results import report
from facesets.cli.thresholds import typed_flags
from facesets.operations.options.cache import EnrichOptions
from facesets.plurals import counted
from facesets.words.phrases import would


def enrich(
    context: typer.Context,
    cache: OptionalCacheArgument = None,
    database: DatabaseOption = None,
    pack: PackOption = None,
    provider: ProviderOption = "auto",
    *,
    options: EnrichOptions,
) -> None:
    """Detect each face of CACHE, or of the library, again and add landmarks and pose.

    Measures how much each face shows, where an older version left that out. Faces of a cache that lack age
    and sex get them, too; those of a library by `index --stage attributes`.
    """
    from facesets import settings
    from facesets.assembly.enriching import enrich_store

    if queueing.is_asked():
        queueing.refuse_typed(typed_flags(context), "provider")
        if cache is not None:
            queueing.refuse("A cache is worked on here.")
        queueing.queue("enrich", database, pack=queueing.placed(pack), options=options)
        return
    conf = settings.load()
    with work_on_store(cache, database, alone="" if options.dry_run else "enrich") as (store, progress, stop):
        summary = enrich_store(
            store, options, conf, console, pack=pack, provider=provider, progress=progress, stop=stop
        )
    report(
        summary,
        [
            (
                f"{store.label}: {counted(summary.faces, 'face')} in {counted(summary.images, 'image')} "
                f"{would(options.dry_run, 'looked at', 'to look at')}, {summary.already} done before: "
                f"{summary.enriched} enriched ({summary.pose_from_keypoints} with the pose from keypoints), "
                f"{summary.not_found_again} not found again"
                + (f", {summary.aged} given age and sex" if summary.aged else "")
                + (f", {summary.norms} measured by how much they show." if summary.norms else ".")
            )
        ],
    )
