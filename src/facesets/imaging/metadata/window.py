"""Present a part of a file as a file of its own, read only as far as needed."""

import errno
import io
import os
from typing import IO

LARGEST_VALUE = 8192
"""Maximum bytes of a value; longer ones are makers' blobs, color profiles and thumbnails."""
_MAX_VALUES = 1 << 26
_MAX_READS = 4096
"""Two for each of more tags than any camera writes; broken files count up to 65535."""


def is_of_system(error: BaseException) -> bool:
    """Whether an error means that the file cannot be read, rather than that it is broken.

    Those that Pillow makes up carry no number, and places that no disk has are the file's own fault.
    """
    return isinstance(error, OSError) and error.errno not in (None, errno.EINVAL)


class Window(io.RawIOBase):
    """A part of a file for parsing tags.

    Two things make a strict parser tolerant: long values, and bytes beyond the end, read as zeros, so that
    one broken value does not cost all that follow it.
    """

    def __init__(self, file: IO[bytes], start: int, length: int, *, largest: int = LARGEST_VALUE) -> None:
        """Show `length` bytes of a file, and read values of up to `largest` bytes."""
        self._file = file
        self._start = start
        self._length = length
        self._largest = largest
        self._at = 0
        self._reads = 0

    def readable(self) -> bool:
        """Return true, as for readable files."""
        return True

    def seekable(self) -> bool:
        """Return true, as for seekable files."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Move to a position, which may be beyond the end.

        The reported end is near enough that a caller who compares lengths with it refuses values that
        together exceed the limit of a part.
        """
        if whence == os.SEEK_END:
            offset += min(self._length, _MAX_VALUES)
        elif whence == os.SEEK_CUR:
            offset += self._at
        self._at = max(offset, 0)
        return self._at

    def tell(self) -> int:
        """Return the position."""
        return self._at

    def read(self, size: int = -1, /) -> bytes:
        """Read up to `size` bytes; none after too many reads.

        Raises
        ------
        OSError
            The file cannot be read.
        """
        self._reads += 1
        if self._reads > _MAX_READS:
            return b""
        left = max(self._length - self._at, 0)
        size = left if size < 0 else min(size, _MAX_VALUES)
        content = b""
        if size <= self._largest and left:
            self._file.seek(self._start + self._at)
            content = self._file.read(min(size, left))
        self._at += size
        return content if len(content) == size else content.ljust(size, b"\0")
