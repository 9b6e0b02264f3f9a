"""Paths on this host of folders that the library knows by other paths."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Self

from facesets.errors import WrongUsage


@dataclass(frozen=True, slots=True)
class PathMap:
    """Pairs of a folder's path in the library and its path here; without pairs, all paths are the same."""

    pairs: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, paths: Mapping[str, str]) -> Self:
        """Return the map for folders in the library and the same folders here.

        Raises
        ------
        WrongUsage
            Two folders are mapped to one place, or one folder to two: the map would be ambiguous.
        """
        # Written as on this system; the library always separates parts with a slash.
        pairs = [(known.rstrip("/").replace("/", os.sep), _plain(here)) for known, here in paths.items()]
        for (known, here), (other, there) in combinations(sorted(pairs), 2):
            if known == other:
                raise WrongUsage(f"`paths` maps {known!r} to both {here!r} and {there!r}. Give it one place.")
            if here == there:
                raise WrongUsage(
                    f"`paths` maps both {known!r} and {other!r} to {here!r}. Give each a folder of its own."
                )
        return cls(tuple(sorted(pairs, key=lambda pair: (-len(pair[0]), pair[0]))))

    def here(self, path: str) -> str:
        """Return the path here of a path of the library."""
        for known, here in self.pairs:
            if (rest := _below(path, known)) is not None:
                return _joined(here, rest)
        return path

    def known(self, path: str) -> str:
        """Return the library's path of a path here."""
        for known, here in sorted(self.pairs, key=lambda pair: -len(pair[1])):
            if (rest := _below(path, here)) is not None:
                return _joined(known, rest)
        return path

    def covers(self, path: str) -> bool:
        """Whether a path of the library has a path here; without any pair, paths are the same."""
        return not self.pairs or any(_below(path, known) is not None for known, _ in self.pairs)


SAME_PATHS = PathMap()
"""The map of a host with the same paths as the library."""


def _plain(folder: str) -> str:
    return os.path.abspath(os.path.expanduser(folder))  # noqa: PTH100, PTH111 - as text, and links stay


def _below(path: str, folder: str) -> str | None:
    """Return the rest of a path below a folder, with a separator; empty for the folder, None elsewhere."""
    if path == folder:
        return ""
    # The root of a drive is written with its separator, such as Z:/ on Windows.
    bare = folder.rstrip(os.sep)
    return path[len(bare) :] if path.startswith(bare + os.sep) else None


def _joined(folder: str, rest: str) -> str:
    return folder.rstrip(os.sep) + rest if rest else folder
