"""`facesets enrich`."""

from contextlib import nullcontext

from facesets.cli import console
from facesets.cli.params import DatabaseOption, OptionalCacheArgument, PackOption, ProviderOption
from facesets.cli.results import report, would
from facesets.operations.options.cache import EnrichOptions
from facesets.plurals import counted


def enrich(
    cache: OptionalCacheArgument = None,
    database: DatabaseOption = None,
    pack: PackOption = None,
    provider: ProviderOption = "auto",
    *,
    options: EnrichOptions,
) -> None:
    """Detect each face of CACHE, or of the library, again and add landmarks and pose.

    Faces of a cache that lack age and sex get them, too; those of a library by `index --stage attributes`.
    """
    from facesets import settings
    from facesets.assembly.models import (
        choose,
        detection_options,
        make_attributes,
        make_embedder,
        make_landmarks,
    )
    from facesets.assembly.packs import get_pack
    from facesets.assembly.stores import open_store
    from facesets.operations.ingest.enrich import enrich as run
    from facesets.operations.ingest.enrich import refuse_other_models, require_models
    from facesets.remote.service_embedder import service_model

    conf = settings.load()
    with (
        console.stoppable() as stop,
        console.progress() as progress,
        open_store(cache, database, conf, console, alone="" if options.dry_run else "enrich") as store,
    ):
        known = require_models(store)
        local = service_model(known) is None
        detection = detection_options(known if local else None, pack, None, None, conf)
        models = get_pack(
            detection.pack, conf, console, progress, stop, known=known, fetch=not options.dry_run
        )
        choice = choose(provider, models, console)
        finder = make_embedder(models, detection, choice)
        landmarks = make_landmarks(models, choice)
        attributes = None if cache is None else make_attributes(models, choice)
        if local:
            refuse_other_models(store, finder.settings)
        with nullcontext() if options.dry_run else store.writing(known):
            summary = run(
                store, finder, landmarks, options, attributes=attributes, progress=progress, stop=stop
            )
    report(
        summary,
        [
            (
                f"{store.label}: {counted(summary.faces, 'face')} in {counted(summary.images, 'image')} "
                f"{would(options.dry_run, 'looked at', 'to look at')}, {summary.already} done before: "
                f"{summary.enriched} enriched ({summary.pose_from_keypoints} with the pose from keypoints), "
                f"{summary.not_found_again} not found again"
                + (f", {summary.aged} given age and sex." if summary.aged else ".")
            )
        ],
    )
