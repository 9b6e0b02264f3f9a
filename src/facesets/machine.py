"""Memory and processors of this machine or container, and the matrix kernel that suits them.

OpenBLAS chooses its kernel by the processor's family when it is loaded. For unknown families it takes the
AVX2 kernel, which halves the speed of matrix products on processors with AVX-512. So this module must not
import numpy.
"""

import math
import os
from collections.abc import Collection
from pathlib import Path

_LIMITS = ("memory.max", "memory/memory.limit_in_bytes")
_UNKNOWN_BYTES = 8 << 30


def memory_bytes(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Return the memory in bytes; a usual amount if the system does not report it."""
    memory = [_UNKNOWN_BYTES]
    if hasattr(os, "sysconf"):
        memory = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for name in _LIMITS:
        limit = cgroup / name
        if limit.is_file() and (text := limit.read_text("utf-8").strip()).isdigit():
            memory.append(int(text))
    return min(memory)


def processors(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Return how many processors this process may use, also in a container; at least one."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cgroup / "cpu.max"
    if quota.is_file():
        share, period = quota.read_text("utf-8").split()
        if share.isdigit():
            usable = min(usable, math.ceil(int(share) / int(period)))
    return max(usable, 1)


_AVX512 = frozenset({"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"})


def recommended_blas_coretype(cpu_flags: Collection[str]) -> str | None:
    """Return the value for `OPENBLAS_CORETYPE` that suits a processor; None if OpenBLAS chooses well.

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
    """Return the features of this processor, by Linux's names; empty if the system does not report them."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return []
    return next((line.partition(":")[2].split() for line in lines if line.startswith("flags")), [])
