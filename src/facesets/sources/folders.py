"""A folder of photos and everything below it."""

import os
import stat
from collections.abc import Iterable, Iterator
from operator import attrgetter
from pathlib import Path
from typing import TypeAlias

from facesets.errors import SourceGone
from facesets.files import is_there, mtime_ns_of, printable
from facesets.imaging.decode import SUFFIXES
from facesets.records import FoundFile

RUN_RECORD = "facesets-run.json"
"""Lies in what `run` makes, above its results."""

RESULT_MARKERS = frozenset({"manifest.json", "refine_manifest.json", RUN_RECORD})
"""A directory that holds one of these, written by us, is a result: its photos are copies."""

UNFINISHED_MARKER = ".facesets-writing.json"
"""Lies in a result that was never finished."""

NOT_PHOTOS = frozenset({"@eaDir", "#recycle", "$RECYCLE.BIN", ".Trash", ".thumbnails", ".facesets-journal"})
"""Directories for systems' own thumbnails, for what was thrown away, and for what we replaced."""

Entry: TypeAlias = os.DirEntry[str]

_OURS = b'"format": "facesets/'


class FolderSource:
    """All images below a directory, or one image file, in the order of their names.

    Links to files are followed, links to directories are not: so a link that leads back to its own
    parent costs nothing. Directories that hold our own results, thumbnails or rubbish are passed over.
    """

    def __init__(self, root: Path) -> None:
        """Name the folder; nothing is read yet."""
        self._root = root.absolute()

    @property
    def label(self) -> str:
        """What to call it in messages."""
        return printable(self._root)

    def covers(self, path: str) -> bool:
        """Whether a path lies below the folder."""
        return path == str(self._root) or path.startswith(str(self._root).rstrip(os.sep) + os.sep)

    def is_there(self) -> bool:
        """Whether there is still something to read: an unmounted share leaves an empty folder."""
        return has_something(self._root)

    def files(self) -> Iterator[FoundFile]:
        """Every file that looks like an image, by its name.

        A directory that cannot be listed and an entry that is no regular file come out as files that
        cannot be read, so that they are reported like any other.

        Raises
        ------
        SourceGone
            The root is not there.
        """
        if not is_there(self._root):
            raise SourceGone(
                f"There is no folder {self.label} that one can see. Check the path, or mount it."
            )
        if not self._root.is_dir():
            yield found_file(str(self._root))
            return
        yield from self._below(str(self._root), is_root=True)

    def _below(self, directory: str, *, is_root: bool = False) -> Iterator[FoundFile]:
        try:
            with os.scandir(directory) as entries:
                listed = by_name(entries)
        except OSError:
            yield FoundFile(directory, -1, -1)
            return
        if not is_root and any(marks_result(entry) for entry in listed):
            return
        for entry in listed:
            if entry.is_dir(follow_symlinks=False):
                if entry.name not in NOT_PHOTOS:
                    yield from self._below(entry.path)
            elif suffix_of(entry.name) in SUFFIXES and not links_to_directory(entry):
                yield found_file(entry.path)


def has_something(root: Path) -> bool:
    """Whether a root is a file, or a folder that is not empty; one that may not be listed is none."""
    try:
        if not root.is_dir():
            return root.exists()
    except OSError:
        return False
    try:
        with os.scandir(root) as entries:
            return next(entries, None) is not None
    except OSError as error:
        return isinstance(error, PermissionError)


def suffix_of(name: str) -> str:
    """The last part of a file name from its dot on, in lower case."""
    dot = name.rfind(".")
    return name[dot:].lower() if dot >= 0 else ""


def links_to_directory(entry: Entry) -> bool:
    """Whether an entry is a link to a directory; those are not followed."""
    try:
        return entry.is_symlink() and entry.is_dir()
    except OSError:
        return False


def found_file(path: str) -> FoundFile:
    """Size and time of a file; -1 when it cannot be looked at or is no regular file."""
    try:
        status = os.stat(path)  # noqa: PTH116 - a million of these, and Path is ten times slower
    except OSError:
        return FoundFile(path, -1, -1)
    if not stat.S_ISREG(status.st_mode):
        return FoundFile(path, -1, -1)
    return FoundFile(path, status.st_size, mtime_ns_of(status))


def by_name(entries: Iterable[Entry]) -> list[Entry]:
    """Entries of a directory by the bytes of their names."""
    listed = sorted(entries, key=attrgetter("name"))
    # Characters sort as their UTF-8 does; what stands for a byte that is none does not.
    if not "".join(entry.name for entry in listed).isascii():
        listed.sort(key=lambda entry: os.fsencode(entry.name))
    return listed


def marks_result(entry: Entry) -> bool:
    """Whether an entry says that its directory is a result of ours."""
    return entry.name == UNFINISHED_MARKER or (entry.name in RESULT_MARKERS and _is_ours(entry.path))


def _is_ours(path: str) -> bool:
    """Whether a manifest was written by this program; it says so in its first line."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - see above
            return _OURS in file.read(200)
    except OSError:
        return False
