"""`doctor --benchmark`: how fast this machine is, and with which division into threads."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from facesets.imaging.align import ARCFACE_KPS
from facesets.inference.local import LocalEmbedder
from facesets.inference.packs import ModelPack
from facesets.operations.options import DetectionOptions

_SECONDS_EACH = 2.0


@dataclass(frozen=True, slots=True)
class Division:
    """Pictures in a second with so many workers of so many threads each."""

    workers: int
    threads: int
    detections_per_s: float
    recognitions_per_s: float

    @property
    def images_per_s(self) -> float:
        """Pictures with one face each."""
        return 1 / (1 / self.detections_per_s + 1 / self.recognitions_per_s)


def divisions(cpus: int) -> list[tuple[int, int]]:
    """Workers and threads to compare: one thread each, all threads in one, and what lies between."""
    return [(cpus // threads, threads) for threads in range(1, cpus + 1) if cpus % threads == 0]


def benchmark(pack: ModelPack, options: DetectionOptions, provider: str, cpus: int) -> list[Division]:
    """Measure detection and recognition for each division of the processors, the fastest first.

    Raises
    ------
    CannotInfer
        A model does not run.
    """
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (960, 1280, 3), np.uint8)
    kps = (ARCFACE_KPS * 2 + 100)[None]
    results = []
    for workers, threads in divisions(cpus):
        embedder = LocalEmbedder(
            pack,
            det_size=options.det_size,
            min_det_score=options.min_det_score,
            provider=provider,
            threads=threads,
        )
        detections = _rate(lambda e=embedder: e.detect(picture), workers)  # type: ignore[misc]
        recognitions = _rate(lambda e=embedder: e.raw_embeddings(picture, kps), workers)  # type: ignore[misc]
        results.append(Division(workers, threads, detections, recognitions))
    return sorted(results, key=lambda division: -division.images_per_s)


def _rate(work: Callable[[], object], workers: int) -> float:
    """Calls in a second, made by so many threads at once."""
    work()
    started = time.perf_counter()
    end = started + _SECONDS_EACH

    def keep_going(_: int) -> int:
        done = 0
        while time.perf_counter() < end:
            work()
            done += 1
        return done

    with ThreadPoolExecutor(workers) as pool:
        total = sum(pool.map(keep_going, range(workers)))
    return total / (time.perf_counter() - started)
