"""A folder of photos and everything below it; and a source that is listed only once."""

import os
import stat
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from itertools import count
from pathlib import Path

from facesets.errors import SourceGone
from facesets.file_records import FoundFile
from facesets.files import has_something, is_there, mtime_ns_of, plain_path, printable
from facesets.interfaces import Source
from facesets.sources.patterns import Patterns
from facesets.sources.walking import walk


class FolderSource:
    """All images below a directory, or one image file, in the order of their names; see `sources.walking`."""

    def __init__(self, root: Path, *, include: Sequence[str] = (), exclude: Sequence[str] = ()) -> None:
        """Store the folder and the patterns for files to leave out; nothing is read yet."""
        self._root = plain_path(root)
        self._patterns = Patterns(tuple(include), tuple(exclude))
        self._ignored: set[str] = set()

    @property
    def label(self) -> str:
        """Return the source's name for messages."""
        return printable(self._root)

    @property
    def chooses(self) -> bool:
        """Whether there are patterns or ignore files, which may leave out everything."""
        return bool(self._patterns or self._ignored)

    @property
    def ignored(self) -> AbstractSet[str]:
        """Return what ignore files leave out; complete once `files` is exhausted."""
        return self._ignored

    def covers(self, path: str) -> bool:
        """Whether a path lies below the folder."""
        return path == str(self._root) or path.startswith(str(self._root).rstrip(os.sep) + os.sep)

    def is_there(self) -> bool:
        """Whether the folder still has content: an unmounted share leaves an empty folder."""
        return has_something(self._root)

    def files(self) -> Iterator[FoundFile]:
        """Yield every file that looks like an image, by its name.

        A directory that cannot be listed and an entry that is no regular file come out as files that
        cannot be read, so that they are reported like any other.

        Raises
        ------
        SourceGone
            The root is not there.
        WrongUsage
            An ignore file cannot be used.
        """
        if not is_there(self._root):
            raise SourceGone(f"Folder not found: {self.label}")
        if not self._root.is_dir():
            yield found_file(str(self._root))
            return
        self._ignored = set()
        for listed in walk(str(self._root), self._patterns, ignored=self._ignored):
            if listed.is_closed:
                yield FoundFile(listed.directory, -1, -1)
            yield from (found_file(entry.path) for entry in listed.photos)


def found_file(path: str) -> FoundFile:
    """Return size and time of a file; -1 if it is inaccessible or no regular file."""
    try:
        status = os.stat(path)  # noqa: PTH116 - a million of these, and Path is ten times slower
    except OSError:
        return FoundFile(path, -1, -1)
    if not stat.S_ISREG(status.st_mode):
        return FoundFile(path, -1, -1)
    return FoundFile(path, status.st_size, mtime_ns_of(status))


class ListedOnce:
    """Another source, whose folders are walked only as far as needed and each folder once.

    A command may look at the first files before it reads them all; on a share listing takes minutes.
    """

    def __init__(self, source: Source) -> None:
        """Store the source; nothing is listed yet."""
        self._source = source
        self._listing = source.files()
        self._listed: list[FoundFile] = []

    @property
    def label(self) -> str:
        """Return the source's label."""
        return self._source.label

    @property
    def chooses(self) -> bool:
        """Return the source's `chooses`."""
        return self._source.chooses

    @property
    def ignored(self) -> AbstractSet[str]:
        """Return the source's `ignored`."""
        return self._source.ignored

    def covers(self, path: str) -> bool:
        """Return the source's `covers`."""
        return self._source.covers(path)

    def is_there(self) -> bool:
        """Whether the source is there at this moment."""
        return self._source.is_there()

    def files(self) -> Iterator[FoundFile]:
        """Yield every file as first listed; raises what the source raises, the first time."""
        for place in count():
            if place == len(self._listed):
                if (file := next(self._listing, None)) is None:
                    return
                self._listed.append(file)
            yield self._listed[place]
