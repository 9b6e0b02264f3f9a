"""`facesets enrich`."""

from contextlib import nullcontext
from typing import Annotated

import typer

from facesets.cli import console
from facesets.cli.params import (
    DatabaseOption,
    DebugOption,
    DryRunOption,
    JsonOption,
    OptionalCacheArgument,
    PackOption,
    ProviderOption,
)
from facesets.cli.results import report, would
from facesets.operations.options.cache import EnrichOptions
from facesets.plurals import counted

_DEFAULT = EnrichOptions()


def enrich(
    cache: OptionalCacheArgument = None,
    database: DatabaseOption = None,
    pack: PackOption = None,
    provider: ProviderOption = "auto",
    min_overlap: Annotated[
        float, typer.Option(help="Least overlap (IoU) of a cached box with the one found again.")
    ] = _DEFAULT.min_overlap,
    flush_every: Annotated[
        int, typer.Option(help="Images between flushes: so many are lost at most by a crash.")
    ] = _DEFAULT.flush_every,
    again: Annotated[
        bool, typer.Option("--again", help="Look again at faces that were not found the last time.")
    ] = _DEFAULT.again,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Detect each face of CACHE, or of the library, again and add landmarks and pose."""
    from facesets import settings
    from facesets.assembly.models import choose, detection_options, make_embedder, make_landmarks
    from facesets.assembly.packs import get_pack
    from facesets.assembly.stores import open_store
    from facesets.operations.ingest.enrich import enrich as run
    from facesets.operations.ingest.enrich import refuse_other_models, require_models
    from facesets.remote.service_embedder import service_model

    conf = settings.load()
    options = EnrichOptions(min_overlap=min_overlap, flush_every=flush_every, again=again, dry_run=dry_run)
    with (
        console.stoppable() as stop,
        console.progress() as progress,
        open_store(cache, database, conf, console, alone="" if dry_run else "enrich") as store,
    ):
        known = require_models(store)
        local = service_model(known) is None
        detection = detection_options(known if local else None, pack, None, None, conf)
        models = get_pack(detection.pack, conf, console, progress, stop, known=known, fetch=not dry_run)
        choice = choose(provider, models, console)
        finder = make_embedder(models, detection, choice)
        landmarks = make_landmarks(models, choice)
        if local:
            refuse_other_models(store, finder.settings)
        with nullcontext() if dry_run else store.writing(known):
            summary = run(store, finder, landmarks, options, progress=progress, stop=stop)
    report(
        summary,
        [
            (
                f"{store.label}: {counted(summary.faces, 'face')} in {counted(summary.images, 'image')} "
                f"{would(dry_run, 'looked at', 'to look at')}, {summary.already} done before: "
                f"{summary.enriched} enriched ({summary.pose_from_keypoints} with the pose from keypoints), "
                f"{summary.not_found_again} not found again."
            )
        ],
    )
