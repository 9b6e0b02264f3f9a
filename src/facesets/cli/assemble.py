"""From settings and flags to the parts that operations take."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from facesets.cli import console
from facesets.errors import CannotInfer, CannotWrite, FacesetsError, MissingModelPack
from facesets.files import printable
from facesets.inference.catalog import PUBLISHED
from facesets.inference.local import LocalEmbedder
from facesets.inference.packs import ModelPack, find_pack, installed
from facesets.inference.providers import Choice, choose_provider
from facesets.interfaces import Progress
from facesets.operations.options import DetectionOptions
from facesets.operations.tuning import FILE_NAME, Tuning, recall, remember, usual
from facesets.records import CacheSettings
from facesets.settings import Settings
from facesets.stop import Stop
from facesets.stopwatch import Stopwatch
from facesets.store.npz.cache import Cache

if TYPE_CHECKING:
    from facesets.inference.landmarks import Landmarks


def open_cache(path: Path) -> Cache:
    """The cache at a path, there or not yet."""
    return Cache(path.absolute())


def detection_options(
    known: CacheSettings | None, pack: str | None, det_size: int | None, min_det_score: float | None
) -> DetectionOptions:
    """What the flags say, then what the cache was made with, then the defaults."""
    given = {"pack": pack, "det_size": det_size, "min_det_score": min_det_score}
    base = DetectionOptions()
    if known is not None:
        base = DetectionOptions(known.pack, known.det_size, known.min_det_score)
    return dataclasses.replace(base, **{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]


def get_pack(
    name: str, settings: Settings, progress: Progress, stop: Stop, *, fetch: bool = True
) -> ModelPack:
    """Find a pack; a published one that is missing is fetched, after saying so, unless `fetch` is off.

    Raises
    ------
    MissingModelPack
        It is not here and cannot be fetched.
    """
    published = PUBLISHED.get(name)
    try:
        found = find_pack(name, settings.model_roots)
    except MissingModelPack:
        if published is None or not fetch:
            raise
    else:
        console.detail(f"Models: {printable(found.path)}")
        return found
    # What fetching needs takes a tenth of a second to import.
    from facesets.operations.models import pull

    progress.say(f"The model pack {name} is not on this machine: fetching it.")
    try:
        return find_pack(pull(name, settings.model_roots, progress=progress, stop=stop).path, ())
    except FacesetsError as error:
        if stop.requested:
            raise
        here = installed(settings.model_roots)
        other = f", or use one that is here: --pack {printable(here[0])}" if here else ""
        directory = settings.model_roots[0] / "models" / name
        raise MissingModelPack(
            f"The model pack {name} cannot be fetched now. Unzip {published.url} into "
            f"{printable(directory)} by hand{other}. ({error})"
        ) from error


def divide(
    settings: Settings, pack: ModelPack, choice: Choice, *, workers: int | None, batch_size: int | None
) -> Tuning:
    """How to divide the work: as the flags say, then as measured on this machine, then as usual."""
    kept = recall(settings.cache_dir / FILE_NAME, pack, choice.provider, settings.cpus)
    best = kept or usual(choice.provider, settings.cpus)
    if workers is not None and workers != best.workers:
        best = dataclasses.replace(best, workers=workers, threads=1)
    return best if batch_size is None else dataclasses.replace(best, images_per_run=batch_size)


def is_measured(settings: Settings, pack: ModelPack, choice: Choice) -> bool:
    """Whether it was measured on this machine how the work is best divided."""
    return recall(settings.cache_dir / FILE_NAME, pack, choice.provider, settings.cpus) is not None


def measure(
    settings: Settings,
    pack: ModelPack,
    choice: Choice,
    detection: DetectionOptions,
    progress: Progress,
    stop: Stop,
) -> None:
    """Measure how the work is best divided on this machine, which takes seconds, and keep it."""
    from facesets.operations.benchmark import quick_choice

    progress.begin("Measuring, this once, how the work is best divided here")
    try:
        best = quick_choice(pack, detection, choice.provider, settings.cpus, stop=stop)
        if best is not None:
            remember(settings.cache_dir / FILE_NAME, best, pack, choice.provider, settings.cpus)
    except (CannotInfer, CannotWrite) as error:
        # It would only be faster: the work itself goes on, or says better what is wrong.
        progress.say(str(error))
    finally:
        progress.end()


def make_embedder(
    pack: ModelPack,
    options: DetectionOptions,
    choice: Choice,
    *,
    tuning: Tuning | None = None,
    stopwatch: Stopwatch | None = None,
) -> LocalEmbedder:
    """Load detector and recogniser where they run best; without a tuning for one picture at a time."""
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


def make_landmarks(pack: ModelPack, choice: Choice) -> "Landmarks":
    """Load the landmark models of a pack."""
    # insightface takes a second to import, which only these need.
    from facesets.inference.landmarks import Landmarks

    return Landmarks(pack, provider=choice.provider)


def choose(provider: str, pack: ModelPack) -> Choice:
    """Pick where models run, and say so when there was a choice."""
    choice = choose_provider(provider, pack.recogniser)
    if provider == "auto":
        console.remark(choice.sentence())
    return choice
