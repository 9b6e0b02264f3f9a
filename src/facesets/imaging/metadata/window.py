"""A part of a file as a file of its own, read only as far as needed."""

import errno
import io
import os
from typing import IO

LARGEST_VALUE = 8192
"""Bytes. Longer values are blobs of makers, colour profiles and small pictures."""
_MOST_VALUES = 1 << 26
_MOST_READS = 4096
"""Which is two for each of more tags than any camera writes; broken files count up to 65535."""


def is_of_system(error: BaseException) -> bool:
    """Whether an error means that the file cannot be read, and not that it is broken.

    Those that Pillow makes up carry no number, and places that no disk has are the file's own fault.
    """
    return isinstance(error, OSError) and error.errno not in (None, errno.EINVAL)


class Window(io.RawIOBase):
    """A part of a file, to parse tags in.

    Two things make a tolerant parser out of a strict one: long values are unread zeros, and so is
    what lies beyond the end, so that one broken value does not cost all that come after it.
    """

    def __init__(self, file: IO[bytes], start: int, length: int, *, largest: int = LARGEST_VALUE) -> None:
        """Show so many bytes of a file, and read values of up to `largest` bytes."""
        self._file = file
        self._start = start
        self._length = length
        self._largest = largest
        self._at = 0
        self._reads = 0

    def readable(self) -> bool:
        """Return true, as files that can do this."""
        return True

    def seekable(self) -> bool:
        """Return true, as files that can do this."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Go somewhere, which may be beyond the end.

        The end is reported as near enough that values which together are longer than a part may be are
        refused by code that compares them with it.
        """
        if whence == os.SEEK_END:
            offset += min(self._length, _MOST_VALUES)
        elif whence == os.SEEK_CUR:
            offset += self._at
        self._at = max(offset, 0)
        return self._at

    def tell(self) -> int:
        """Where we are."""
        return self._at

    def read(self, size: int = -1, /) -> bytes:
        """Read up to `size` bytes; none after too many reads.

        Raises
        ------
        OSError
            The file cannot be read.
        """
        self._reads += 1
        if self._reads > _MOST_READS:
            return b""
        left = max(self._length - self._at, 0)
        size = left if size < 0 else min(size, _MOST_VALUES)
        content = b""
        if size <= self._largest and left:
            self._file.seek(self._start + self._at)
            content = self._file.read(min(size, left))
        self._at += size
        return content if len(content) == size else content.ljust(size, b"\0")
