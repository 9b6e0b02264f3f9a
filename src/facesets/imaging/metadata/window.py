"""A part of a file as a file of its own, of which no more is read than what is kept."""

import io
import os
from typing import IO

LARGEST_VALUE = 8192
"""Bytes. Longer values are blobs of makers, colour profiles and small pictures."""
_MOST_VALUES = 1 << 26


class Window(io.RawIOBase):
    """A part of a file, to parse tags in.

    Two things make a tolerant parser out of a strict one: long values are zeros that nobody reads, and so is
    what lies beyond the end, so that one broken value does not cost all that come after it.
    """

    def __init__(self, file: IO[bytes], start: int, length: int, *, largest: int = LARGEST_VALUE) -> None:
        """Show so many bytes of a file, and read values of up to `largest` bytes."""
        self._file = file
        self._start = start
        self._length = length
        self._largest = largest
        self._at = 0

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Go somewhere, which may be beyond the end.

        The end is reported as near enough that values which together are longer than a part may be are
        refused by whoever compares them with it.
        """
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at}.get(whence, min(self._length, _MOST_VALUES))
        self._at = max(base + offset, 0)
        return self._at

    def tell(self) -> int:
        """Where we are."""
        return self._at

    def read(self, size: int = -1, /) -> bytes:
        """So many bytes, whatever is there. Raises `OSError` where the file cannot be read."""
        left = max(self._length - self._at, 0)
        size = left if size < 0 else min(size, _MOST_VALUES)
        content = b""
        if size <= self._largest and left:
            self._file.seek(self._start + self._at)
            content = self._file.read(min(size, left))
        self._at += size
        return content.ljust(size, b"\0")
