"""How the work is divided on this machine: as flags say, as was measured here, or as usually is best."""

import dataclasses
from collections.abc import Callable

from facesets.errors import CannotInfer, CannotWrite
from facesets.inference.packs import ModelPack
from facesets.inference.providers import ProviderChoice
from facesets.inference.session import CPU
from facesets.operations.models.tuning import FILE_NAME, Tuning, recall, remember, usual
from facesets.operations.options.start import DetectionOptions
from facesets.settings import Settings
from facesets.work import Work


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
    """How to divide the work of a run: measured first if nothing is said, it never was, and the run is long.

    Parameters
    ----------
    is_long : function
        Whether the seconds for measuring pay; asked only if it matters, for it may have to list photos.
    """
    if workers is None and batch_size is None:
        kept = recall(settings.cache_dir / FILE_NAME, pack, choice.provider, settings.cpus)
        if kept is None and is_long():
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
    """How to divide the work: as the flags say, then as measured on this machine, then as usual."""
    kept = recall(settings.cache_dir / FILE_NAME, pack, choice.provider, settings.cpus)
    best = kept or usual(choice.provider, settings.cpus)
    if workers is not None and workers != best.workers:
        best = dataclasses.replace(best, workers=workers, threads=1)
    return best if batch_size is None else dataclasses.replace(best, images_per_run=batch_size)


def tuning_for_readers(
    settings: Settings, pack: ModelPack, choice: ProviderChoice, readers: int, max_batch: int
) -> Tuning | None:
    """How models work for more readers than they would have by themselves; None where there are not more.

    A GPU takes a batch at a time; on a processor pictures gain nothing from going together.
    """
    best = divide(settings, pack, choice, workers=None, batch_size=None)
    if readers <= best.workers:
        return None
    return best if choice.provider == CPU else dataclasses.replace(best, images_per_run=max_batch)


def _measure(
    settings: Settings, pack: ModelPack, choice: ProviderChoice, detection: DetectionOptions, work: Work
) -> None:
    """Measure how the work is best divided on this machine, which takes seconds, and keep it."""
    from facesets.operations.models.benchmark import quick_choice

    work.progress.begin("Measuring, this once, how the work is best divided here")
    try:
        best = quick_choice(pack, detection, choice.provider, settings.cpus, stop=work.stop)
        if best is not None:
            remember(settings.cache_dir / FILE_NAME, best, pack, choice.provider, settings.cpus)
    except (CannotInfer, CannotWrite) as error:
        # It would only be faster: the work itself goes on, or says better what is wrong.
        work.progress.say(error.sentence)
    finally:
        work.progress.end()
