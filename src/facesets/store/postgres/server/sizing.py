"""How much memory the embedded server may use for what it reads again and again."""

from pathlib import Path

from facesets.machine import memory_bytes

_SHARE, _SHARE_OF_MUCH, _MUCH_MB, _LARGEST_SHARE = 1 / 8, 3 / 8, 8192, 1 / 4
_LEAST_MB, _MOST_MB = 128, 8192


def shared_buffers_mb(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """The share of the memory of this machine, or of this container, in megabytes."""
    return share_mb(memory_bytes(cgroup) // 2**20)


def share_mb(memory_mb: int) -> int:
    """An eighth of the memory, or three of what there is beyond 8 GB if that is more, within bounds.

    Beyond 8 GB that is never more than the quarter that PostgreSQL's manual advises. It is taken as it is
    needed. A search looks at some thousand pages of an index, or of vectors that lie apart; where these do
    not fit, it takes up to two and a half times as long. A million faces or photos have 1.6 GB of an index
    and 2.7 GB of vectors.
    """
    of_much = min((memory_mb - _MUCH_MB) * _SHARE_OF_MUCH, memory_mb * _LARGEST_SHARE)
    return min(max(int(max(memory_mb * _SHARE, of_much)), _LEAST_MB), _MOST_MB)
