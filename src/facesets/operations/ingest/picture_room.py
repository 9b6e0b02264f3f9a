"""How many pictures are in memory at a time, however many readers there are."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from facesets.machine import memory_bytes

_SHARE = 2
"""Of the memory that there is, one part in so many is for pictures."""

DECODED = 10
"""By so much a picture is larger than its file."""


class PictureRoom:
    """Room for pictures. May be used from several threads at once."""

    def __init__(self, most_bytes: int | None = None) -> None:
        """Take so many bytes at most; half of the machine's memory where nothing is said."""
        self._most = memory_bytes() // _SHARE if most_bytes is None else most_bytes
        self._used = 0
        self._changed = threading.Condition()

    @contextmanager
    def taken(self, size: int) -> Iterator[None]:
        """Have room for so many bytes within the block, once there is; there always is for one picture."""
        with self._changed:
            self._changed.wait_for(lambda: not self._used or self._used + size <= self._most)
            self._used += size
            # Whoever leaves wakes one that waits, who wakes the next where there is room left.
            self._changed.notify()
        try:
            yield
        finally:
            with self._changed:
                self._used -= size
                self._changed.notify()
