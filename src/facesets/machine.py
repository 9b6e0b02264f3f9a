"""What this machine, or this container, has."""

import math
import os
from pathlib import Path

_LIMITS = ("memory.max", "memory/memory.limit_in_bytes")
_UNKNOWN_BYTES = 8 << 30


def memory_bytes(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """How much memory there is; where the system does not say, what is usual."""
    memory = [_UNKNOWN_BYTES]
    if hasattr(os, "sysconf"):
        memory = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for name in _LIMITS:
        limit = cgroup / name
        if limit.is_file() and (text := limit.read_text("utf-8").strip()).isdigit():
            memory.append(int(text))
    return min(memory)


def processors(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """How many processors this process may use, in its container too; one at least."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cgroup / "cpu.max"
    if quota.is_file():
        share, period = quota.read_text("utf-8").split()
        if share.isdigit():
            usable = min(usable, math.ceil(int(share) / int(period)))
    return max(usable, 1)
