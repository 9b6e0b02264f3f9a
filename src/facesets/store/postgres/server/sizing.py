"""How much memory the embedded server may use for what it reads again and again."""

import os
from pathlib import Path

_SHARE = 8
_LEAST_MB, _MOST_MB = 128, 2048
_LIMITS = ("memory.max", "memory/memory.limit_in_bytes")


def shared_buffers_mb(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """An eighth of the memory of this machine, or of this container, within bounds; in megabytes.

    It is taken as it is needed. A search looks at some thousand pages of an index; where the index does not
    fit, it took two and a half times as long (300 000 faces, 0.5 GB). That of a million has 1.6 GB.
    """
    memory = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for name in _LIMITS:
        limit = cgroup / name
        if limit.is_file() and (text := limit.read_text("ascii").strip()).isdigit():
            memory.append(int(text))
    return min(max(min(memory) // _SHARE // 2**20, _LEAST_MB), _MOST_MB)
