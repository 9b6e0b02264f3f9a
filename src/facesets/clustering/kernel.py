"""How fast this machine multiplies matrices, and how to make OpenBLAS choose its better kernel.

OpenBLAS chooses a kernel from the processor's family when numpy is first imported, and takes the AVX2
kernel for processors that it does not know. `OPENBLAS_CORETYPE` overrides it; it must be in the
environment before that import, so only a program's first lines can set it.
"""

import time
from collections.abc import Collection

import numpy as np

_AVX512 = frozenset({"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"})
_SIDE = 2048


def recommended_blas_coretype(cpu_flags: Collection[str]) -> str | None:
    """Return the value for `OPENBLAS_CORETYPE` that suits a processor, or None to leave the choice be.

    Parameters
    ----------
    cpu_flags : collection of str
        As in the line `flags` of Linux's `/proc/cpuinfo`, in any case.
    """
    flags = {flag.lower() for flag in cpu_flags}
    if flags >= _AVX512:
        return "SkylakeX"
    if {"avx2", "fma"} <= flags:
        return "Haswell"
    return None


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
