"""How fast this machine multiplies matrices."""

import time

import numpy as np

_SIDE = 2048


def measure_sgemm_gflops(*, repetitions: int = 5, dimension: int = 512) -> float:
    """Best rate of float32 matrix products of the shape that clustering uses, in 10^9 operations a second.

    Takes well under a second on a machine of today.
    """
    rng = np.random.default_rng(0)
    left = rng.standard_normal((_SIDE, dimension), np.float32)
    right = rng.standard_normal((_SIDE, dimension), np.float32)
    product = np.empty((_SIDE, _SIDE), np.float32)
    best = float("inf")
    for _ in range(max(1, repetitions)):
        started = time.perf_counter()
        np.matmul(left, right.T, out=product)
        best = min(best, time.perf_counter() - started)
    return 2.0 * _SIDE * _SIDE * dimension / best / 1e9
