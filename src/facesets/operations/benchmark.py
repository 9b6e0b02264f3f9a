"""How fast this machine is, where time goes, and how its processors are best divided."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np

from facesets.imaging.align import ARCFACE_KPS
from facesets.imaging.decode import decode_bytes
from facesets.imaging.fingerprint import fingerprint
from facesets.imaging.sharpness import sharpness
from facesets.inference.local import LocalEmbedder
from facesets.inference.packs import ModelPack
from facesets.operations.options import DetectionOptions
from facesets.operations.tuning import Tuning, usual

_REPEATS = 5
_BATCHES = ((1, 1), (4, 4), (16, 64))
"""Pictures and faces that go through the networks at a time."""

_CLEARLY = 1.05


@dataclass(frozen=True, slots=True)
class Trial:
    """Pictures in a second with one way to divide the work; the vectors are the same with each."""

    tuning: Tuning
    detections_per_s: float
    recognitions_per_s: float

    @property
    def images_per_s(self) -> float:
        """Pictures with one face each."""
        return 1 / (1 / self.detections_per_s + 1 / self.recognitions_per_s)


@dataclass(frozen=True, slots=True)
class Benchmark:
    """What was measured.

    Attributes
    ----------
    trials : list of Trial
        The fastest first.
    stage_ms : dict of str to float
        What one thread needs for each step of a 12-megapixel JPEG with one face.
    """

    trials: list[Trial]
    stage_ms: dict[str, float]

    @property
    def best(self) -> Tuning:
        """The fastest way."""
        return self.trials[0].tuning


def benchmark(
    pack: ModelPack, options: DetectionOptions, provider: str, cpus: int, *, seconds_each: float = 2.0
) -> Benchmark:
    """Measure how the processors are best divided, then in which batches, and what each step costs.

    Parameters
    ----------
    seconds_each : float
        How long each network is run in each way.

    Raises
    ------
    CannotInfer
        A model does not run.
    """
    return Benchmark(
        _trials(pack, options, provider, cpus, seconds_each),
        _stages(_embedder(pack, options, provider, Tuning(1, 1, 1, 1))),
    )


def quick_choice(
    pack: ModelPack, options: DetectionOptions, provider: str, cpus: int, *, seconds_each: float = 0.3
) -> Tuning:
    """How to divide the work after a short measurement; arguments as for `benchmark`."""
    return clearly_best(_trials(pack, options, provider, cpus, seconds_each), usual(provider, cpus))


def clearly_best(trials: Sequence[Trial], as_usual: Tuning) -> Tuning:
    """The usual way, unless another is faster by more than short measurements of one thing differ."""
    best = max(trials, key=lambda trial: trial.images_per_s)
    rates = {trial.tuning: trial.images_per_s for trial in trials}
    return best.tuning if best.images_per_s > _CLEARLY * rates.get(as_usual, 0.0) else as_usual


def _trials(
    pack: ModelPack, options: DetectionOptions, provider: str, cpus: int, seconds: float
) -> list[Trial]:
    """All that is worth trying, the fastest first: how processors are divided, then the size of batches."""
    trials = [
        _trial(pack, options, provider, Tuning(workers, threads, 1, 1), seconds)
        for workers, threads in divisions(cpus)
    ]
    best = max(trials, key=lambda trial: trial.images_per_s).tuning
    trials += [
        _trial(pack, options, provider, Tuning(best.workers, best.threads, images, faces), seconds)
        for images, faces in _BATCHES[1:]
    ]
    return sorted(trials, key=lambda trial: -trial.images_per_s)


def divisions(cpus: int) -> list[tuple[int, int]]:
    """Workers and threads to compare: one thread each, all threads in one, and what lies between."""
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
) -> Trial:
    embedder = _embedder(pack, options, provider, tuning)
    images, faces = tuning.images_per_run, tuning.faces_per_run
    picture = np.random.default_rng(0).integers(0, 256, (960, 1280, 3), np.uint8)
    kps = np.repeat((ARCFACE_KPS * 2 + 100)[None], faces, axis=0)
    return Trial(
        tuning,
        images * _rate(lambda: embedder.detect_all([picture] * images), tuning.workers, seconds),
        faces * _rate(lambda: embedder.raw_embeddings(picture, kps), tuning.workers, seconds),
    )


def _rate(work: Callable[[], object], workers: int, seconds: float) -> float:
    """Calls in a second, made by so many threads at once."""
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
        "decode at a half (--fast-decode)": lambda: decode_bytes(jpeg, least_edge=half),
        "fingerprint": lambda: fingerprint(pixels),
        "detect": lambda: embedder.detect(pixels),
        "align and recognise": lambda: embedder.raw_embeddings(pixels, kps),
        "measure the face": lambda: sharpness(pixels, box),
    }
    return {name: 1000 * min(_seconds(step) for _ in range(_REPEATS)) for name, step in steps.items()}


def _seconds(work: Callable[[], object]) -> float:
    started = time.thread_time()
    work()
    return time.thread_time() - started
