"""Files of a result folder that are put aside rather than lost: from then on they are the user's."""

from collections.abc import Iterator
from itertools import count
from pathlib import PurePosixPath

from facesets.results.safe_folder import SafeFolder

WITHOUT_ORIGINAL = "_without_original"
EDITED = "_edited"
DRAWINGS = "_eras"
"""Pictures of `split-eras --probe`, which are no part of an export."""


def place_for_edited(folder: SafeFolder, name: str) -> str:
    """A free name for a file that somebody worked on."""
    return next(place for place in _places(EDITED, name) if not folder.exists(place))


def place_for_last_copy(folder: SafeFolder, name: str) -> tuple[str, bool]:
    """Where the last copy of a photo goes, and whether the same bytes exist there already.

    A photo of several people lies in each of their folders.
    """
    for place in _places(WITHOUT_ORIGINAL, PurePosixPath(name).name):
        if not folder.exists(place):
            break
        if folder.is_file(place) and folder.read(place) == folder.read(name):
            return place, True
    return place, False


def _places(aside: str, name: str) -> Iterator[str]:
    yield f"{aside}/{name}"
    yield from (f"{aside}/{number}/{name}" for number in count(2))
