"""Read the download list of photos that `immich-stage` wrote."""

import json
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from facesets.errors import Command, DamagedFile, NewerFormat, SourceGone
from facesets.file_records import FoundFile
from facesets.files import mtime_ns_of, printable

FORMAT = "facesets/immich-queue"
VERSION = 1


class QueueSource:
    """The files that a download list names, ordered by name.

    Paths in a queue are relative to it, so that the folder can be moved to another machine.
    """

    def __init__(self, queue: Path) -> None:
        """Store the download list's path; nothing is read yet."""
        self._queue = queue.absolute()

    @property
    def label(self) -> str:
        """Return the source's name for messages."""
        return printable(self._queue)

    def covers(self, path: str) -> bool:  # noqa: ARG002 - whatever it is
        """Return false: a missing file of a queue has failed, and is not removed."""
        return False

    @property
    def chooses(self) -> bool:
        """Return false: every file of a queue is wanted."""
        return False

    @property
    def ignored(self) -> frozenset[str]:
        """Return nothing: a list has no ignore files."""
        return frozenset()

    def is_there(self) -> bool:
        """Whether the queue can still be read: it lies in the same folder as its photos."""
        return self._queue.is_file()

    def files(self) -> Iterator[FoundFile]:
        """Yield every file of the queue; a missing one is yielded as unreadable.

        Raises
        ------
        SourceGone
            There is no such queue.
        DamagedFile, NewerFormat
            It cannot be read, or leads out of its own folder.
        """
        for path in sorted(self._paths(), key=os.fsencode):
            place = self._queue.parent / path
            try:
                status = place.stat()
            except OSError:
                yield FoundFile(str(place), -1, -1)
            else:
                yield FoundFile(str(place), status.st_size, mtime_ns_of(status))

    def _paths(self) -> list[str]:
        try:
            content = json.loads(self._queue.read_bytes())
        except OSError as error:
            raise SourceGone(
                f"Cannot read the download list {self.label} ({error.strerror}). Check the path, or create "
                f"it with {Command('immich-stage')}."
            ) from error
        except ValueError as error:
            raise self._damaged() from error
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise self._damaged()
        version, rows = content.get("version"), content.get("files")
        if not isinstance(version, int) or not isinstance(rows, list):
            raise self._damaged()
        if version > VERSION:
            raise NewerFormat(
                f"{self.label} was written by a later version of facesets (version {version}; this version "
                f"reads up to {VERSION}). Upgrade facesets."
            )
        paths = [row.get("path") if isinstance(row, dict) else None for row in rows]
        if not all(map(_stays_inside, paths)):
            raise self._damaged()
        return [str(path) for path in paths]

    def _damaged(self) -> DamagedFile:
        return DamagedFile(
            f"{self.label} is damaged or not a download list of {Command('immich-stage')}. Run that "
            "command again."
        )


def _stays_inside(path: Any) -> bool:  # noqa: ANN401 - whatever JSON can hold
    """Whether a value is a path that stays below its folder."""
    if not isinstance(path, str) or not path:
        return False
    windows = PureWindowsPath(path)
    return not (
        PurePosixPath(path).is_absolute()
        or windows.drive
        or windows.root
        or ".." in windows.parts
        or "\0" in path
    )
