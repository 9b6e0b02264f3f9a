"""`facesets enrich`."""

import typer

from facesets.cli import console, queueing
from facesets.cli.opening import work_on_store
from facesets.cli.params import DatabaseOption, OptionalCacheArgument, PackOption, ProviderOption
from facesets.cli.results import report
from facesets.cli.thresholds import typed_flags
from facesets.operations.options.results import EnrichOptions
from facesets.words import photos as words


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
    with work_on_store(cache, database, alone="" if options.dry_run else "enrich") as (store, work):
        done = enrich_store(store, options, conf, console, pack=pack, provider=provider, work=work)
    report(done, words.enrich(done, label=store.label))
