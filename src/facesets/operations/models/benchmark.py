"""Measure this machine's speed, and find the fastest number of workers and threads."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np

from facesets.errors import CannotInfer
from facesets.imaging.align import ARCFACE_KPS
from facesets.imaging.decode import decode_bytes
from facesets.imaging.duplicates import fingerprint
from facesets.imaging.sharpness import sharpness
from facesets.inference.local import LocalEmbedder
from facesets.inference.packs import ModelPack
from facesets.inference.session import CPU
from facesets.operations.models.tuning import Tuning, usual
from facesets.operations.options.start import DetectionOptions
from facesets.work import Stop

_REPEATS = 5
_BATCHES = ((1, 1), (4, 16), (16, 64), (32, 128))
"""Batch sizes of photos and faces for a GPU."""

_CLEARLY = 1.1


@dataclass(frozen=True, slots=True)
class TuningTrial:
    """Photos per second with one way to divide the work; results are identical."""

    tuning: Tuning
    detections_per_s: float
    recognitions_per_s: float

    @property
    def images_per_s(self) -> float:
        """Photos with one face each."""
        if not (self.detections_per_s and self.recognitions_per_s):
            # On a busy machine, nothing may have been measured in time.
            return 0.0
        return 1 / (1 / self.detections_per_s + 1 / self.recognitions_per_s)


@dataclass(frozen=True, slots=True)
class Benchmark:
    """The measurements.

    Attributes
    ----------
    trials : list of TuningTrial
        Sorted by speed, the fastest first.
    best : Tuning
        The one to use from now on: the default, unless another is clearly faster.
    stage_ms : dict of str to float
        The time of one thread for each step of a 12-megapixel JPEG with one face.
    """

    trials: list[TuningTrial]
    best: Tuning
    stage_ms: dict[str, float]


def benchmark(
    pack: ModelPack,
    options: DetectionOptions,
    provider: str,
    cpus: int,
    *,
    stop: Stop,
    seconds_each: float = 2.0,
) -> Benchmark:
    """Measure the fastest division of the work, the batch sizes, and the time of each step.

    Parameters
    ----------
    stop : Stop
        Ends the measurement after the current trial.
    seconds_each : float
        Duration of each trial of each network.

    Raises
    ------
    CannotInfer
        A model does not run in any trial.
    """
    trials = _trials(pack, options, provider, ways(provider, cpus), seconds_each, stop)
    return Benchmark(
        sorted(trials, key=lambda trial: -trial.images_per_s),
        clearly_best(trials, usual(provider, cpus)),
        _stages(_embedder(pack, options, provider, Tuning(1, 1, 1, 1))),
    )


def quick_choice(
    pack: ModelPack,
    options: DetectionOptions,
    provider: str,
    cpus: int,
    *,
    stop: Stop,
    seconds_each: float = 0.5,
) -> Tuning | None:
    """Choose how to divide the work after a short measurement; None if stopped.

    On a CPU only divisions are tried: larger batches do not help there, and trying them takes memory.
    """
    some = [way for way in ways(provider, cpus) if provider != CPU or way.images_per_run == 1]
    trials = _trials(pack, options, provider, some, seconds_each, stop)
    return None if stop.requested else clearly_best(trials, usual(provider, cpus))


def clearly_best(trials: Sequence[TuningTrial], as_usual: Tuning) -> Tuning:
    """Return the default, unless another is clearly faster."""
    best = max(trials, key=lambda trial: trial.images_per_s)
    rates = {trial.tuning: trial.images_per_s for trial in trials}
    return best.tuning if best.images_per_s > _CLEARLY * rates.get(as_usual, 0.0) else as_usual


def ways(provider: str, cpus: int) -> list[Tuning]:
    """Return the settings to try: divisions of a CPU, batch sizes of a GPU.

    With a GPU all processors decode, which does not depend on the speed of the networks.
    """
    if provider == CPU:
        return [Tuning(*division, 1, 1) for division in divisions(cpus)] + [Tuning(cpus, 1, 4, 4)]
    return [Tuning(usual(provider, cpus).workers, 1, *batch) for batch in _BATCHES]


def _trials(
    pack: ModelPack,
    options: DetectionOptions,
    provider: str,
    some: Sequence[Tuning],
    seconds: float,
    stop: Stop,
) -> list[TuningTrial]:
    """Try all settings; batches that exceed the GPU's memory are omitted."""
    trials = []
    failure: CannotInfer | None = None
    for way in some:
        try:
            trials.append(_trial(pack, options, provider, way, seconds))
        except CannotInfer as error:
            failure = error
        if stop.requested:
            break
    if failure is not None and not trials:
        raise failure
    return trials


def divisions(cpus: int) -> list[tuple[int, int]]:
    """Return the combinations of workers and threads to compare."""
    return [(cpus // threads, threads) for threads in range(1, cpus + 1) if cpus % threads == 0]


def _embedder(pack: ModelPack, options: DetectionOptions, provider: str, tuning: Tuning) -> LocalEmbedder:
    return LocalEmbedder(
        pack,
        det_size=options.det_size,
        min_det_score=options.min_det_score,
        provider=provider,
        threads=tuning.threads,
        images_per_run=tuning.images_per_run,
        faces_per_run=tuning.faces_per_run,
    )


def _trial(
    pack: ModelPack, options: DetectionOptions, provider: str, tuning: Tuning, seconds: float
) -> TuningTrial:
    embedder = _embedder(pack, options, provider, tuning)
    images, faces = tuning.images_per_run, tuning.faces_per_run
    picture = np.random.default_rng(0).integers(0, 256, (960, 1280, 3), np.uint8)
    kps = np.repeat((ARCFACE_KPS * 2 + 100)[None], faces, axis=0)
    return TuningTrial(
        tuning,
        images * _rate(lambda: embedder.detect_all([picture] * images), tuning.workers, seconds),
        faces * _rate(lambda: embedder.raw_embeddings(picture, kps), tuning.workers, seconds),
    )


def _rate(work: Callable[[], object], workers: int, seconds: float) -> float:
    """Measure calls per second from several threads."""
    work()
    started = time.perf_counter()
    end = started + seconds

    def keep_going(_: int) -> int:
        done = 0
        while time.perf_counter() < end:
            work()
            done += 1
        return done

    with ThreadPoolExecutor(workers) as pool:
        total = sum(pool.map(keep_going, range(workers)))
    return total / (time.perf_counter() - started)


def _stages(embedder: LocalEmbedder) -> dict[str, float]:
    rng = np.random.default_rng(0)
    coarse = rng.integers(60, 200, (375, 500, 3), np.uint8)
    jpeg = cv2.imencode(".jpg", cv2.resize(coarse, (4000, 3000), interpolation=cv2.INTER_CUBIC))[1].tobytes()
    pixels = decode_bytes(jpeg).pixels
    kps = (ARCFACE_KPS * 4 + 1000)[None]
    box = np.array([1000, 1000, 1450, 1450], np.float32)
    half = max(pixels.shape) // 2
    steps: dict[str, Callable[[], object]] = {
        "decode": lambda: decode_bytes(jpeg),
        "decode at a half (--fast-decode)": lambda: decode_bytes(jpeg, min_edge=half),
        "fingerprint": lambda: fingerprint(pixels),
        "detect": lambda: embedder.detect(pixels),
        "align and embed": lambda: embedder.raw_embeddings(pixels, kps),
        "attributes and norm": lambda: sharpness(pixels, box),
    }
    return {name: 1000 * min(_seconds(step) for _ in range(_REPEATS)) for name, step in steps.items()}


def _seconds(work: Callable[[], object]) -> float:
    started = time.thread_time()
    work()
    return time.thread_time() - started
