"""From settings and flags to the parts that operations take."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from facesets.cli import console
from facesets.errors import CannotInfer, CannotWrite, FacesetsError, MissingModelPack
from facesets.files import printable
from facesets.inference.catalog import CONVERTED, PUBLISHED
from facesets.inference.local import LocalEmbedder
from facesets.inference.packs import ModelPack, find_pack
from facesets.inference.providers import Choice, choose_provider
from facesets.interfaces import Progress
from facesets.operations.models.known_packs import FILE_NAME as PACKS_FILE
from facesets.operations.models.known_packs import is_pack_of, recall_pack, remember_pack
from facesets.operations.models.tuning import FILE_NAME, Tuning, recall, remember, usual
from facesets.operations.options.cache import DetectionOptions
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
    known: CacheSettings | None,
    pack: str | None,
    det_size: int | None,
    min_det_score: float | None,
    settings: Settings,
) -> DetectionOptions:
    """What the flags say, then what the cache was made with, then the settings, then the defaults."""
    given = {"pack": pack, "det_size": det_size, "min_det_score": min_det_score}
    base = DetectionOptions(settings.pack or DetectionOptions().pack)
    if known is not None:
        base = DetectionOptions(known.pack, known.det_size, known.min_det_score)
    return dataclasses.replace(base, **{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]


def get_pack(
    name: str,
    settings: Settings,
    progress: Progress,
    stop: Stop,
    *,
    known: CacheSettings | None = None,
    fetch: bool = True,
) -> ModelPack:
    """Find a pack; a published one that is missing is fetched, after saying so, unless `fetch` is off.

    Where a pack is that was named by its path, this machine keeps in mind, unless `fetch` is off.

    Parameters
    ----------
    known : CacheSettings, optional
        What is to be worked on was made with: its pack is found wherever it was used from.

    Raises
    ------
    MissingModelPack
        It is not here and cannot be fetched.
    """
    of_store = known is not None and name == known.pack
    pack = _pack_of(known, settings) if known is not None and of_store else _pack_by_name(name, settings)
    if pack is None:
        pack = _fetched(name, settings, progress, stop, fetch=fetch)
    if pack.note and not of_store and not console.session.terse:
        progress.say(pack.note)
    if fetch and not any(pack.path.is_relative_to(root.absolute()) for root in settings.model_roots):
        try:
            remember_pack(settings.state_dir / PACKS_FILE, pack)
        except CannotWrite as error:
            # Only later commands would be spared a --pack.
            progress.say(str(error))
    return pack


def _pack_of(known: CacheSettings, settings: Settings) -> ModelPack | None:
    """The pack that faces come from: below the roots by its name, else where it was used from."""
    named = _pack_by_name(known.pack, settings)
    if named is not None and is_pack_of(named, known):
        return named
    return recall_pack(settings.state_dir / PACKS_FILE, known) or named


def _pack_by_name(name: str, settings: Settings) -> ModelPack | None:
    try:
        found = find_pack(name, settings.model_roots)
    except MissingModelPack:
        return None
    console.detail(f"Models: {printable(found.path)}")
    return found


def _fetched(name: str, settings: Settings, progress: Progress, stop: Stop, *, fetch: bool) -> ModelPack:
    if not fetch or (name not in PUBLISHED and name not in CONVERTED):
        return find_pack(name, settings.model_roots)
    # What fetching needs takes a tenth of a second to import.
    from facesets.operations.models.packs import both_ways, pull

    progress.say(f"The model pack {name} is not on this machine: fetching it.")
    try:
        return find_pack(pull(name, settings.model_roots, progress=progress, stop=stop).path, ())
    except FacesetsError as error:
        if stop.requested or name not in PUBLISHED:
            raise
        raise MissingModelPack(f"{both_ways(name, settings.model_roots)} ({error})") from error


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
    from facesets.operations.models.benchmark import quick_choice

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
