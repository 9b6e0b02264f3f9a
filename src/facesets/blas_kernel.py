"""Which matrix kernel OpenBLAS should take; decided before numpy is imported, so without it.

OpenBLAS chooses by the processor's family when it is loaded, and takes the AVX2 kernel for processors that
it does not know, which halves the speed of matrix products on those that have AVX-512.
"""

from collections.abc import Collection
from pathlib import Path

_AVX512 = frozenset({"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"})


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


def cpu_flags() -> list[str]:
    """What this processor can do, by Linux's names; empty where the system does not tell."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return []
    return next((line.partition(":")[2].split() for line in lines if line.startswith("flags")), [])
