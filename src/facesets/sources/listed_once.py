"""A source that is listed once, however often its files are asked for."""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from itertools import count

from facesets.file_records import FoundFile
from facesets.interfaces import Source


class ListedOnce:
    """Another source, whose folders are walked as far as somebody asks, and no folder twice.

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
