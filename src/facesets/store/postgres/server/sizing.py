"""How much memory the embedded server may use for what it reads again and again."""

from pathlib import Path

from facesets.machine import memory_bytes

_SHARE = 8
_LEAST_MB, _MOST_MB = 128, 2048


def shared_buffers_mb(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """An eighth of the memory of this machine, or of this container, within bounds; in megabytes.

    It is taken as it is needed. A search looks at some thousand pages of an index; where the index does not
    fit, it took two and a half times as long (300 000 faces, 0.5 GB). That of a million has 1.6 GB.
    """
    return min(max(memory_bytes(cgroup) // _SHARE // 2**20, _LEAST_MB), _MOST_MB)
