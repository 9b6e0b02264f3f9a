"""Make describers of images: faces, CLIP, or both, here or at a service."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from facesets.assembly.notices import Notices, notify_once
from facesets.errors import Field, WrongUsage
from facesets.operations.options.index import BatchingOptions, IndexOptions
from facesets.settings import Settings
from facesets.stopwatch import Stopwatch
from facesets.work import Stop

if TYPE_CHECKING:
    from facesets.inference.clip_packs import ClipPack
    from facesets.interfaces import Describer, Embedder
    from facesets.library_records import ClipRow
    from facesets.operations.models.tuning import Tuning
    from facesets.records import CacheSettings, ClipModel, Float32, Pixels
    from facesets.remote.ml_service import MlService
    from facesets.remote.service_embedder import ServiceEmbedder
    from facesets.store.postgres.library import Library
    from facesets.work import Work


@dataclass(frozen=True, slots=True)
class RequestedModels:
    """The user's options for inference.

    Attributes
    ----------
    detection : tuple
        Pack, edge of the detector's input, and minimum score; None for those of the library. For a service,
        the pack is the service's name for its model.
    clip_pack : str or None
        Name or path of the CLIP pack; for a service, the service's name for it.
    ml_uri : str or None
        Address of a machine-learning service; None for models on this machine.
    workers : int or None
        Number of threads; None for the best number on this machine.
    is_long : function
        Whether the run is long enough to measure the tuning first.
    agrees_to_open : function
        Whether to use the open pack if no pack is named and the default one cannot be downloaded.
    batching : BatchingOptions
        How pictures are batched if more threads read than models run.
    """

    detection: tuple[str | None, int | None, float | None] = (None, None, None)
    clip_pack: str | None = None
    provider: str = "auto"
    ml_uri: str | None = None
    skip_faces: bool = False
    skip_clip: bool = False
    workers: int | None = None
    is_long: Callable[[], bool] = lambda: False
    agrees_to_open: Callable[[str], bool] = lambda _reason: True
    batching: BatchingOptions = field(default_factory=BatchingOptions)

    @property
    def local_pack(self) -> str | None:
        """Return the named local model pack, if the name is not one of a service's models."""
        return None if self.ml_uri else self.detection[0]


def describer(
    library: "Library",
    options: IndexOptions,
    conf: Settings,
    asked: RequestedModels,
    notices: Notices,
    work: "Work",
    *,
    stopwatch: Stopwatch | None = None,
) -> "tuple[Describer, IndexOptions]":
    """Make the describer for `index`, and matching options.

    Raises
    ------
    WrongUsage
        All searches are turned off.
    MissingModelPack, DamagedFile, Unreachable
        The models are not installed, or the service does not answer.
    """
    if asked.skip_faces and asked.skip_clip:
        both = f"{Field('skip_faces')} and {Field('skip_clip')}"
        raise WrongUsage(f"With {both} nothing is left to do. Remove one of them.")
    if asked.ml_uri:
        from facesets.remote.service_embedder import ServiceEmbedder

        client = service_client(
            asked.ml_uri, library.settings, asked.detection, clip=_clip_name(library, asked), stop=work.stop
        )
        return ServiceEmbedder(client, faces=not asked.skip_faces, clip=not asked.skip_clip), options
    return _local(library, options, conf, asked, notices, work, stopwatch)


def _clip_name(library: "Library", asked: RequestedModels) -> str | None:
    """Return a service's name of the CLIP model; None for its default."""
    from facesets.remote.service_embedder import service_clip

    known = [name for row in library.clip_models() if (name := service_clip(row.model))]
    return asked.clip_pack or next(iter(known), None)


def _local(
    library: "Library",
    options: IndexOptions,
    conf: Settings,
    asked: RequestedModels,
    notices: Notices,
    work: "Work",
    stopwatch: Stopwatch | None,
) -> "tuple[Describer, IndexOptions]":
    from facesets.inference.clip_image import ClipVisual
    from facesets.inference.collecting import CollectingDescriber
    from facesets.inference.describer import LocalDescriber
    from facesets.inference.providers import choose_provider

    faces: Embedder | None = None
    clip: ClipVisual | None = None
    runners = conf.cpus
    pack = None if asked.skip_clip else _clip_pack(library, conf, asked, notices)
    if not asked.skip_faces:
        faces, tuning = _local_embedder(
            library.settings, options, conf, asked, notices, work, stopwatch=stopwatch
        )
        runners = tuning.workers
        options = dataclasses.replace(options, concurrency=runners, batch_size=tuning.images_per_run)
    if pack is not None:
        clip = ClipVisual(pack, provider=choose_provider(asked.provider, pack.probe()).provider)
    describe = LocalDescriber(faces, clip)
    readers = asked.workers or 0
    if readers <= runners:
        return describe, options
    collecting = CollectingDescriber(
        describe,
        readers=readers,
        runners=runners,
        max_batch=asked.batching.max_batch,
        max_wait_s=asked.batching.max_wait_ms / 1000,
    )
    return collecting, dataclasses.replace(options, concurrency=readers, batch_size=1)


def _clip_pack(
    library: "Library", conf: Settings, asked: RequestedModels, notices: Notices
) -> "ClipPack | None":
    from facesets.inference.catalog import DEFAULT_CLIP
    from facesets.operations.models.clip_choice import NO_PACK, another_model, pack_for_index

    known = library.clip_models()
    # If this is the only task, a missing model is an error, not a notice.
    name = asked.clip_pack or (DEFAULT_CLIP if asked.skip_faces and not known else None)
    pack = pack_for_index(name, known, conf.model_roots)
    if pack is not None and (line := another_model(pack, known)):
        notices.notice(line)
    notify_once(conf.cache_dir, f"CLIP pack for {library.label}", NO_PACK if pack is None else "", notices)
    return pack


def face_embedder(
    library: "Library",
    conf: Settings,
    asked: RequestedModels,
    notices: Notices,
    work: "Work",
    *,
    fetch: bool = True,
) -> "Embedder":
    """Make the face embedder that matches the library's models; errors as `describer`.

    With `fetch` off, missing models are not downloaded.
    """
    if asked.ml_uri:
        from facesets.remote.service_embedder import ServiceEmbedder

        return ServiceEmbedder(
            service_client(asked.ml_uri, library.settings, asked.detection, stop=work.stop)
        )
    options = IndexOptions(dry_run=not fetch)
    return _local_embedder(library.settings, options, conf, asked, notices, work)[0]


def _local_embedder(
    known: "CacheSettings | None",
    options: IndexOptions,
    conf: Settings,
    asked: RequestedModels,
    notices: Notices,
    work: "Work",
    *,
    stopwatch: Stopwatch | None = None,
) -> "tuple[Embedder, Tuning]":
    """Make the local face embedder, and its tuning.

    The number of models does not grow with the number of readers.
    """
    from facesets.assembly.models import make_embedder, models_like, tuning_for_readers, tuning_for_run

    pack, chosen, choice = models_like(
        known,
        asked.detection,
        asked.provider,
        conf,
        notices,
        work,
        fetch=not options.dry_run,
        agrees=asked.agrees_to_open,
    )
    tuning = tuning_for_readers(conf, pack, choice, asked.workers or 0, asked.batching.max_batch)
    tuning = tuning or tuning_for_run(
        conf, pack, choice, chosen, asked.is_long, workers=asked.workers, batch_size=None, work=work
    )
    return make_embedder(pack, chosen, choice, tuning=tuning, stopwatch=stopwatch), tuning


def encoders(
    library: "Library", conf: Settings, asked: RequestedModels, stop: Stop
) -> "tuple[ClipRow, Callable[[str], Float32], Callable[[Pixels], Float32]]":
    """Return the library's CLIP model, and its encoders of texts and images."""
    from facesets.operations.models.clip_choice import pack_for_search, row_of_service

    known = library.clip_models()
    if asked.ml_uri:
        embedder, model = clip_service(library, asked, asked.ml_uri, stop)
        return row_of_service(model, known, library.label), embedder.clip_text, embedder.clip_image
    from facesets.inference.clip_image import ClipVisual
    from facesets.inference.clip_text import ClipTextual
    from facesets.inference.providers import choose_provider

    pack, row = pack_for_search(asked.clip_pack, known, conf.model_roots, library.label)
    provider = choose_provider(asked.provider, pack.probe()).provider
    return (
        row,
        lambda text: ClipTextual(pack, provider=provider, threads=conf.cpus).embedding(text),
        lambda pixels: ClipVisual(pack, provider=provider).embeddings([pixels])[0],
    )


def clip_service(
    library: "Library", asked: RequestedModels, ml_uri: str, stop: Stop
) -> "tuple[ServiceEmbedder, ClipModel]":
    """Return a service as an embedder with the library's CLIP model, and that model."""
    from facesets.remote.service_embedder import ServiceEmbedder

    name = _clip_name(library, asked)
    client = service_client(ml_uri, library.settings, asked.detection, clip=name, stop=stop)
    return ServiceEmbedder(client, faces=False, clip=True), client.clip_model


def text_encoder(
    library: "Library", conf: Settings, *, provider: str = "cpu"
) -> "tuple[ClipRow, Callable[[str], Float32]]":
    """Return the library's CLIP model, and its text encoder, loaded once; errors as `encoders`."""
    from facesets.inference.clip_text import ClipTextual
    from facesets.inference.providers import choose_provider
    from facesets.operations.models.clip_choice import pack_for_search

    pack, row = pack_for_search(None, library.clip_models(), conf.model_roots, library.label)
    chosen = choose_provider(provider, pack.probe()).provider
    return row, ClipTextual(pack, provider=chosen, threads=conf.cpus).embedding


def service_client(
    ml_uri: str,
    known: "CacheSettings | None",
    detection: tuple[str | None, int | None, float | None],
    *,
    clip: str | None = None,
    stop: Stop,
    waits_s: Sequence[float] | None = None,
) -> "MlService":
    """Connect to a machine-learning service, with the models of the flags, the library, or its defaults.

    Parameters
    ----------
    waits_s : sequence of float, optional
        How long to wait before each further attempt; by default the client's own waits.
    """
    from facesets.remote.ml_service import WAITS_S, MlService, ServiceModels
    from facesets.remote.retry import pausing
    from facesets.remote.service_embedder import service_model

    name, _, min_score = detection
    base = ServiceModels()
    of_service = service_model(known) if known is not None else None
    if known is not None and of_service is not None and min_score is None:
        min_score = known.min_det_score
    models = ServiceModels(
        faces=name or of_service or base.faces,
        clip=clip or base.clip,
        min_det_score=base.min_det_score if min_score is None else min_score,
    )
    return MlService(ml_uri, models, pause=pausing(stop), waits_s=WAITS_S if waits_s is None else waits_s)
