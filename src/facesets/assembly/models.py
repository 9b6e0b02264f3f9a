"""Load models of a pack, with detection settings and tuning."""

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

from facesets.assembly.notices import Notices
from facesets.assembly.packs import get_pack, pack_to_begin_with
from facesets.errors import CannotInfer, CannotWrite
from facesets.inference.local import LocalEmbedder
from facesets.inference.packs import ModelPack, usual_pack
from facesets.inference.providers import ProviderChoice, choose_provider
from facesets.inference.session import CPU
from facesets.operations.models.tuning import FILE_NAME, Tuning, recall, remember, usual
from facesets.operations.options.start import DetectionOptions
from facesets.records import CacheSettings
from facesets.settings import Settings
from facesets.stopwatch import Stopwatch
from facesets.work import Work

if TYPE_CHECKING:
    from facesets.inference.attributes import Attributes
    from facesets.inference.landmarks import Landmarks


def detection_options(
    known: CacheSettings | None,
    pack: str | None,
    det_size: int | None,
    min_det_score: float | None,
    settings: Settings,
) -> DetectionOptions:
    """Return the detection options from flags, cache, settings, or installed packs, in this order."""
    given = {"pack": pack, "det_size": det_size, "min_det_score": min_det_score}
    if known is not None:
        base = DetectionOptions(known.pack, known.det_size, known.min_det_score)
    else:
        base = DetectionOptions(pack or usual_pack(settings.pack, settings.model_roots))
    return dataclasses.replace(base, **{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]


def models_like(
    known: CacheSettings | None,
    asked: tuple[str | None, int | None, float | None],
    provider: str,
    settings: Settings,
    notices: Notices,
    work: Work,
    *,
    fetch: bool,
    agrees: Callable[[str], bool] = lambda _reason: True,
) -> tuple[ModelPack, DetectionOptions, ProviderChoice]:
    """Return the pack of some faces or the named one, its detection settings, and the provider.

    For faces from a service, which has no pack, the default pack is used.

    Parameters
    ----------
    asked : tuple
        Pack, edge of the detector's input, and minimum score; None for those the faces were found with.
    agrees : function
        As in `pack_to_begin_with`, for when neither faces nor the user name a pack.

    Raises
    ------
    As `get_pack` and `choose`.
    """
    from facesets.remote.service_embedder import service_model

    of_service = known is not None and service_model(known) is not None
    detection = detection_options(None if of_service else known, *asked, settings)
    if known is None and asked[0] is None and fetch:
        pack = pack_to_begin_with(settings, notices, work, agrees=agrees)
    else:
        named = bool(asked[0])
        pack = get_pack(detection.pack, settings, notices, work, known=known, fetch=fetch, is_named=named)
    return pack, detection, choose(provider, pack, notices)


def make_embedder(
    pack: ModelPack,
    options: DetectionOptions,
    choice: ProviderChoice,
    *,
    tuning: Tuning | None = None,
    stopwatch: Stopwatch | None = None,
) -> LocalEmbedder:
    """Load detector and recognizer on the best provider; without tuning for one image at a time."""
    tuning = tuning or Tuning(1, 1, 1, 1)
    return LocalEmbedder(
        pack,
        det_size=options.det_size,
        min_det_score=options.min_det_score,
        provider=choice.provider,
        threads=tuning.threads,
        faces_per_run=tuning.faces_per_run,
        images_per_run=tuning.images_per_run,
        stopwatch=stopwatch,
    )


def make_landmarks(pack: ModelPack, choice: ProviderChoice) -> "Landmarks":
    """Load the landmark models of a pack."""
    # Importing insightface takes a second, and only these models need it.
    from facesets.inference.landmarks import Landmarks

    return Landmarks(pack, provider=choice.provider)


def make_attributes(pack: ModelPack, choice: ProviderChoice) -> "Attributes | None":
    """Load the model of a pack that estimates age and sex; None if it has none."""
    from facesets.inference.attributes import Attributes, attribute_model

    model = attribute_model(pack)
    return None if model is None else Attributes(model, provider=choice.provider)


def choose(provider: str, pack: ModelPack, notices: Notices) -> ProviderChoice:
    """Choose where models run, and report it if there was a choice."""
    choice = choose_provider(provider, pack.recognizer)
    if provider == "auto":
        notices.remark(choice.sentence())
    return choice


def tuning_for_run(
    settings: Settings,
    pack: ModelPack,
    choice: ProviderChoice,
    detection: DetectionOptions,
    is_long: Callable[[], bool],
    *,
    workers: int | None,
    batch_size: int | None,
    work: Work,
) -> Tuning:
    """Return the tuning of a run; first measure it if it is unknown and the run is long.

    Parameters
    ----------
    is_long : function
        Whether measuring is worth its seconds. Called only if needed, because it may list photos.
    """
    if workers is None and batch_size is None:
        measured = recall(settings.cache_dir / FILE_NAME, pack, choice.provider, settings.cpus)
        if measured is None and is_long():
            _measure(settings, pack, choice, detection, work)
    return divide(settings, pack, choice, workers=workers, batch_size=batch_size)


def divide(
    settings: Settings,
    pack: ModelPack,
    choice: ProviderChoice,
    *,
    workers: int | None,
    batch_size: int | None,
) -> Tuning:
    """Return the tuning from flags, from a measurement on this machine, or the default."""
    measured = recall(settings.cache_dir / FILE_NAME, pack, choice.provider, settings.cpus)
    best = measured or usual(choice.provider, settings.cpus)
    if workers is not None and workers != best.workers:
        best = dataclasses.replace(best, workers=workers, threads=1)
    return best if batch_size is None else dataclasses.replace(best, images_per_run=batch_size)


def tuning_for_readers(
    settings: Settings, pack: ModelPack, choice: ProviderChoice, readers: int, max_batch: int
) -> Tuning | None:
    """Return the tuning for more readers than models; None if there are not more.

    Only a GPU gains from batches.
    """
    best = divide(settings, pack, choice, workers=None, batch_size=None)
    if readers <= best.workers:
        return None
    return best if choice.provider == CPU else dataclasses.replace(best, images_per_run=max_batch)


def _measure(
    settings: Settings, pack: ModelPack, choice: ProviderChoice, detection: DetectionOptions, work: Work
) -> None:
    """Measure the best tuning on this machine, which takes seconds, and store it."""
    from facesets.operations.models.benchmark import quick_choice

    work.progress.begin("Measuring the best number of workers and threads (only once)")
    try:
        best = quick_choice(pack, detection, choice.provider, settings.cpus, stop=work.stop)
        if best is not None:
            remember(settings.cache_dir / FILE_NAME, best, pack, choice.provider, settings.cpus)
    except (CannotInfer, CannotWrite) as error:
        # Tuning only saves time. If the cause matters, the work itself reports it.
        work.progress.say(error.sentence)
    finally:
        work.progress.end()
