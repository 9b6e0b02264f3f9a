"""`embed` and `enrich` with their models loaded."""

import dataclasses
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial

from facesets.assembly.models import (
    choose,
    detection_options,
    divide,
    make_attributes,
    make_embedder,
    make_landmarks,
    models_like,
    tuning_for_run,
)
from facesets.assembly.notices import Notices
from facesets.assembly.packs import get_pack, refuse_to_fetch_another
from facesets.assembly.stages import StageModels, stages_of_run
from facesets.interfaces import Source, Store
from facesets.operations.ingest.embed import embed
from facesets.operations.ingest.enrich import enrich, refuse_other_models, require_models
from facesets.operations.ingest.norms import norms_measure_quality
from facesets.operations.ingest.unavailable_sources import require_photos
from facesets.operations.models.tuning import is_long
from facesets.operations.options.results import EnrichOptions
from facesets.operations.options.start import EmbedOptions
from facesets.remote.service_embedder import service_model
from facesets.result import Result
from facesets.settings import Settings
from facesets.stopwatch import Stopwatch
from facesets.store.npz.cache import Cache
from facesets.work import Work


@dataclass(frozen=True, slots=True)
class InferenceFlags:
    """The user's options for models and hardware.

    Attributes
    ----------
    pack, det_size, min_det_score
        None for those of the cache, else the defaults.
    provider : str
        Where models run; `auto` chooses.
    workers, batch_size : int or None
        None for those measured on this machine, else the defaults.
    """

    pack: str | None = None
    det_size: int | None = None
    min_det_score: float | None = None
    provider: str = "auto"
    workers: int | None = None
    batch_size: int | None = None


def embed_photos(
    photos: Source,
    store: Cache,
    flags: InferenceFlags,
    options: EmbedOptions,
    settings: Settings,
    notices: Notices,
    *,
    stopwatch: Stopwatch,
    work: Work,
) -> tuple[Result, EmbedOptions]:
    """Load the models of the cache and embed, with the cache locked.

    Returns
    -------
    Result, EmbedOptions
        The result, and the chosen workers and batch size.

    Raises
    ------
    MissingModelPack, RecognizerMismatch, AlreadyRunning, SourceGone, WrongUsage, CannotWrite
        The message has the reason.
    """

    def is_worth_measuring() -> bool:
        return is_real and is_long(photos.files(), sum(map(photos.covers, store.files())))

    detection = detection_options(store.settings, flags.pack, flags.det_size, flags.min_det_score, settings)
    require_photos(photos, store.files())
    refuse_to_fetch_another(flags.pack, store.settings, settings, store.label)
    is_real = not options.dry_run
    find = partial(get_pack, known=store.settings, fetch=is_real, is_named=bool(flags.pack))
    models = find(detection.pack, settings, notices, work)
    by_flags = {"workers": flags.workers, "batch_size": flags.batch_size}
    with stopwatch.stage("load models"):
        choice = choose(flags.provider, models, notices)
        load = partial(make_embedder, models, detection, choice, stopwatch=stopwatch)
        tuning = divide(settings, models, choice, **by_flags)
        embedder = load(tuning=tuning)
        stages = stages_of_run(
            options.stages,
            StageModels(embedder.settings, detection.pack, flags.provider, options.trust_mtime),
            settings,
            notices,
            work,
            enrich=options.enrich,
        )
    store.require(embedder.settings)
    with store.writing(embedder.settings) if is_real else nullcontext():
        measured = tuning_for_run(
            settings, models, choice, detection, is_worth_measuring, **by_flags, work=work
        )
        if measured != tuning:
            tuning, embedder = measured, load(tuning=measured)
        how = dataclasses.replace(options, workers=tuning.workers, batch_size=tuning.images_per_run)
        run = partial(embed, stages=stages, stopwatch=stopwatch, work=work)
        return run(photos, store, embedder, how), how


def enrich_store(
    store: Store,
    options: EnrichOptions,
    conf: Settings,
    notices: Notices,
    *,
    pack: str | None,
    provider: str,
    work: Work,
) -> Result:
    """Detect the faces of a store again with their pack, unless another is named.

    Raises
    ------
    As `enrich` and `models_like`.
    """
    known = require_models(store)
    is_local = service_model(known) is None
    if is_local:
        refuse_to_fetch_another(pack, known, conf, store.label)
    models, detection, choice = models_like(
        known, (pack, None, None), provider, conf, notices, work, fetch=not options.dry_run
    )
    finder = make_embedder(models, detection, choice)
    landmarks = make_landmarks(models, choice)
    attributes = make_attributes(models, choice) if store.kind == "cache" else None
    if is_local:
        refuse_other_models(store, finder.settings)
    with nullcontext() if options.dry_run else store.writing(known):
        return enrich(
            store,
            finder,
            landmarks,
            options,
            attributes=attributes,
            norms=norms_measure_quality(known),
            work=work,
        )
