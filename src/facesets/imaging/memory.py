"""Memory for large pictures, used again: the kernel clears every page it hands out, and takes time for it."""

import threading
import weakref

import numpy as np

from facesets.records import Pixels

_LEAST_BYTES = 4_000_000
"""Smaller pictures cost the allocator nothing."""

_MOST_FREE_BYTES = 150_000_000
"""Kept for later pictures; about four of twelve megapixels."""


class PictureMemory:
    """Hands out memory, and takes it back by itself when the last array that shows any of it is gone.

    May be used from several threads at once.
    """

    def __init__(self, most_free_bytes: int = _MOST_FREE_BYTES) -> None:
        """Nothing kept yet."""
        self._most_free_bytes = most_free_bytes
        # Re-entrant: the garbage collector may give memory back while this very thread holds the lock.
        self._lock = threading.RLock()
        self._free: list[Pixels] = []

    @property
    def free_bytes(self) -> int:
        """What is kept for later pictures."""
        return sum(len(one) for one in self._free)

    def take(self, size: int) -> Pixels:
        """An array of so many bytes, with anything in them."""
        if size < _LEAST_BYTES:
            return np.empty(size, np.uint8)
        with self._lock:
            fitting = [one for one in self._free if size <= len(one) <= 2 * size]
            block = min(fitting, key=len, default=None)
            # By identity: == would compare the bytes.
            self._free = [one for one in self._free if one is not block]
        if block is None:
            block = np.empty(size, np.uint8)
        lent = np.frombuffer(block.data, np.uint8, size)
        # Its base is no array: all views, and views of them, keep `lent`, which alone keeps that base.
        weakref.finalize(lent.base, self._give_back, block).atexit = False
        return lent

    def _give_back(self, block: Pixels) -> None:
        with self._lock:
            self._free.append(block)
            while self.free_bytes > self._most_free_bytes:
                del self._free[0]


picture_memory = PictureMemory()
"""The one that all decoders share."""
