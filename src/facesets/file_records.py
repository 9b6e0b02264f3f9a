"""Files as sources list them, and records of their paths."""

from dataclasses import dataclass
from typing import Self

_FORGOTTEN = "not there any more"


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file that may be an image, as a source lists it."""

    path: str
    size: int
    mtime_ns: int

    @classmethod
    def of_stamp(cls, stamp: str) -> Self:
        """Read a stamp: size, time and path separated by tabs."""
        size, mtime_ns, path = stamp.split("\t", 2)
        return cls(path, int(size), int(mtime_ns))


@dataclass(frozen=True, slots=True)
class FileRecord:
    """The record of one path.

    `sha256` is empty when the bytes could not be read; `reason` is empty when all went well.
    A record with `mtime_ns` -1 matches no file, so that the path is looked at again in the next run.
    """

    path: str
    size: int
    mtime_ns: int
    sha256: str
    reason: str = ""

    @classmethod
    def forgotten(cls, path: str) -> Self:
        """Make a record that forgets a path; see `is_forgotten`."""
        return cls(path, -1, -1, "", _FORGOTTEN)

    @property
    def is_forgotten(self) -> bool:
        """Whether this forgets the path."""
        return self.reason == _FORGOTTEN

    @property
    def failed(self) -> bool:
        """Whether the file could not be read."""
        return bool(self.reason)

    def matches(self, found: FoundFile) -> bool:
        """Whether a file has the recorded size and time."""
        return (self.size, self.mtime_ns) == (found.size, found.mtime_ns)
