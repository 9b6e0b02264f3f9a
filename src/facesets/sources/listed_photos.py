"""Photos that were listed before: some files below some targets, each looked at again for size and time."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from facesets.sources.galleries import GallerySource, stamp_of


class ListedPhotos(GallerySource):
    """These files and no others, with the galleries that a walk over their targets would have found."""

    def __init__(self, targets: Sequence[Path], files: Sequence[str]) -> None:
        """Name the targets, and files below them by their absolute paths; nothing is read yet."""
        super().__init__(targets)
        self._files = list(files)

    def stamps(self) -> Iterator[list[str]]:
        """As of any source of galleries; a file that is not there any more has -1 for size and time."""
        for directory in dict.fromkeys(os.path.dirname(path) for path in self._files):  # noqa: PTH120 - many
            self._notice_above(directory)
        yield [stamp_of(Path(path), path) for path in self._files]

    def _notice_above(self, directory: str) -> None:
        """Remember a directory and those above it up to its target: one of them may be the gallery."""
        while directory not in self._galleries:
            self._notice(directory)
            if not any(directory.startswith(os.path.join(end, "")) for end in self._ends):  # noqa: PTH118
                return
            directory = os.path.dirname(directory)  # noqa: PTH120
