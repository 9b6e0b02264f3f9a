"""Files of a result folder that are put aside rather than lost: from then on they are the user's."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path, PurePosixPath

from facesets.exports.placing import exists

WITHOUT_ORIGINAL = "_without_original"
EDITED = "_edited"


def place_for_edited(root: Path, name: str) -> str:
    """A free name for a file that somebody worked on; both names are relative to `root`."""
    return next(place for place in _places(EDITED, name) if not exists(root / PurePosixPath(place)))


def place_for_last_copy(root: Path, path: Path) -> tuple[str, bool]:
    """Where the last copy of a photo goes, relative to `root`, and whether the same bytes lie there already.

    A photo of several people lies in each of their folders.
    """
    for place in _places(WITHOUT_ORIGINAL, path.name):
        there = root / PurePosixPath(place)
        if not exists(there):
            break
        if there.is_file() and there.read_bytes() == path.read_bytes():
            return place, True
    return place, False


def _places(aside: str, name: str) -> Iterator[str]:
    yield f"{aside}/{name}"
    yield from (f"{aside}/{number}/{name}" for number in count(2))
