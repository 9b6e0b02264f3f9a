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
        """Name the folder, and what is left out; nothing is read yet. Patterns are as in `Patterns`."""
        self._root = plain_path(root)
        self._patterns = Patterns(tuple(include), tuple(exclude))
        self._ignored: set[str] = set()

    @property
    def label(self) -> str:
        """What to call it in messages."""
        return printable(self._root)

    @property
    def chooses(self) -> bool:
        """Whether there are patterns or ignore files, which may leave out everything."""
        return bool(self._patterns or self._ignored)

    @property
    def ignored(self) -> AbstractSet[str]:
        """What ignore files leave out; complete once `files` is through."""
        return self._ignored

    def covers(self, path: str) -> bool:
        """Whether a path lies below the folder."""
        return path == str(self._root) or path.startswith(str(self._root).rstrip(os.sep) + os.sep)

    def is_there(self) -> bool:
        """Whether the folder still has content: an unmounted share leaves an empty folder."""
        return has_something(self._root)

    def files(self) -> Iterator[FoundFile]:
        """Every file that looks like an image, by its name.

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
    """Size and time of a file; -1 when it cannot be looked at or is no regular file."""
    try:
        status = os.stat(path)  # noqa: PTH116 - a million of these, and Path is ten times slower
    except OSError:
        return FoundFile(path, -1, -1)
    if not stat.S_ISREG(status.st_mode):
        return FoundFile(path, -1, -1)
    return FoundFile(path, status.st_size, mtime_ns_of(status))


class ListedOnce:
    """Another source whose folders are walked only as far as needed, each folder once.

    A command may look at the first files before it reads them all; on a share listing takes minutes.
    """

    def __init__(self, source: Source) -> None:
        """Name the source; nothing is listed yet."""
        self._source = source
        self._listing = source.files()
        self._listed: list[FoundFile] = []

    @property
    def label(self) -> str:
        """As the source."""
        return self._source.label

    @property
    def chooses(self) -> bool:
        """As the source."""
        return self._source.chooses

    @property
    def ignored(self) -> AbstractSet[str]:
        """As the source."""
        return self._source.ignored

    def covers(self, path: str) -> bool:
        """As the source."""
        return self._source.covers(path)

    def is_there(self) -> bool:
        """As the source, at this moment."""
        return self._source.is_there()

    def files(self) -> Iterator[FoundFile]:
        """Every file as it was when it was first listed; errors as the source, the first time."""
        for place in count():
            if place == len(self._listed):
                if (file := next(self._listing, None)) is None:
                    return
                self._listed.append(file)
            yield self._listed[place]
