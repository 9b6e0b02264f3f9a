"""What this machine, or this container, has."""

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
        if limit.is_file() and (text := limit.read_text("ascii").strip()).isdigit():
            memory.append(int(text))
    return min(memory)
