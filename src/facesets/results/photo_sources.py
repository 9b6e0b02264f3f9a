"""Check that the photos of a store can be read: an unmounted drive is no deletion.

A folder is checked if it holds a tenth of the known photos, or 1000 of them. It is unavailable if less than
half of its known photos can be read. Then the run is refused, and nothing is removed or replaced.
"""

import os
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from facesets.errors import Command, Field, SourceGone
from facesets.files import has_something, printable
from facesets.interfaces import Store
from facesets.plurals import counted
from facesets.records import Images

_SHARE = 10
_MANY = 1000
_FEW = 2

_ALL_TRIED = 256
"""Maximum photos of a folder that are all tried; of more, only a sample, because each may be on a network."""
_SAMPLE = 64
_AT_FIRST = 16


@dataclass(slots=True)
class PhotoSources:
    """The photos of a store at the beginning of a run.

    Attributes
    ----------
    paths : sequence of str
        Every known path.
    cache : str
        The cache to name in commands that follow or forget photos; empty for the library.
    """

    paths: Sequence[str] = ()
    cache: str = ""
    _failed: int = field(default=0, init=False)

    @classmethod
    def of(cls, store: Store, images: Images) -> "PhotoSources":
        """Return the sources of the photos in a store."""
        paths = [path for paths in images.paths for path in paths]
        return cls(paths, "" if store.kind == "library" else store.label)

    def require(self) -> None:
        """Make sure that the photos can be read.

        Raises
        ------
        SourceGone
            A folder of them is unavailable.
        """
        found = unavailable_folders(self.paths)
        if not found:
            return
        folder, known = found[0]
        follow, forget = self._follow_and_forget(folder)
        more = f" (nor in {counted(len(found) - 1, 'more folder')})" if len(found) > 1 else ""
        raise SourceGone(
            f"Most of the {counted(known, 'photo')} in {printable(folder)} cannot be read{more}. Nothing "
            "was removed or replaced. If the drive is not mounted, mount it. If the folder was moved, run "
            f"{follow}. If the photos were deleted on purpose, run {forget}."
        )

    def _follow_and_forget(self, folder: str) -> tuple[Command, Command]:
        """Return the commands that follow a moved folder, and that forget deliberately deleted photos."""
        name, store = printable(folder), (self.cache,) if self.cache else ()
        follow = Command("relocate", name, "NEW", *store)
        if not has_something(Path(folder)):
            return follow, Command("relocate", name, Field("forget"), *store)
        again = Command("embed", name, *store) if store else Command("index", name, Field("prune"))
        return follow, again

    def one_failed(self) -> None:
        """Count a photo that could not be read during a run; errors as `require`.

        Checks the folders after the first, second, fourth, … photo, because single photos may be missing.
        """
        self._failed += 1
        if self._failed & (self._failed - 1) == 0:
            self.require()


def unavailable_folders(paths: Iterable[str]) -> list[tuple[str, int]]:
    """Return folders with less than half of their photos readable, and the number of known photos in each.

    Of nested folders, only the uppermost is returned.
    """
    ordered = sorted(paths)
    found: list[tuple[str, int]] = []
    for folder, below in _large_folders(ordered):
        is_inside = any(folder.startswith(outer.rstrip(os.sep) + os.sep) for outer, _ in found)
        if not is_inside and not _is_available(below):
            found.append((folder, len(below)))
    return found


def _large_folders(ordered: Sequence[str]) -> Iterator[tuple[str, Sequence[str]]]:
    """Yield the folders to check, outer ones first, with the paths below each.

    A folder that holds only one other folder is skipped for that one.
    """
    minimum = min(len(ordered), max(_FEW, min(len(ordered) // _SHARE, _MANY)))
    known: Counter[str] = Counter()
    for folder, count in Counter(map(_above, ordered)).items():
        known[folder] += count
        outer = folder
        while outer:
            outer = _above(outer)
            known[outer] += count
    large = {folder: count for folder, count in known.items() if count >= minimum}
    same = {above for folder, count in large.items() if folder and large[above := _above(folder)] == count}
    for folder in sorted(large.keys() - same):
        start = bisect_left(ordered, folder + os.sep) if folder else 0
        yield folder or os.sep, ordered[start : start + large[folder]]


def _above(path: str) -> str:
    """Return the parent folder of a path; none at the top, or for a path of another system."""
    return path.rpartition(os.sep)[0]


def _is_available(paths: Sequence[str]) -> bool:
    """Whether at least half of these can be read; of many photos, a fixed sample is tried."""
    if len(paths) > _ALL_TRIED:
        chosen = np.random.default_rng(0).integers(len(paths), size=_SAMPLE).tolist()
        paths = [paths[place] for place in chosen]
        if all(map(_can_be_read, paths[:_AT_FIRST])):
            return True
    return 2 * sum(map(_can_be_read, paths)) >= len(paths)


def _can_be_read(path: str) -> bool:
    try:
        return os.access(path, os.R_OK)
    except ValueError:
        return False
