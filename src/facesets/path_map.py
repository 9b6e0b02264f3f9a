"""Where folders lie on this host that the library knows by other paths."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class PathMap:
    """Pairs of a folder as the library knows it and as it is here; with none all paths are the same."""

    pairs: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, paths: Mapping[str, str]) -> Self:
        """The map of folders in the library to folders here."""
        # As this system writes them: the library has a slash between their parts, whatever is here.
        pairs = ((known.rstrip("/").replace("/", os.sep), _plain(here)) for known, here in paths.items())
        return cls(tuple(sorted(pairs, key=lambda pair: (-len(pair[0]), pair[0]))))

    def here(self, path: str) -> str:
        """Where a path of the library is here."""
        for known, here in self.pairs:
            if (rest := _below(path, known)) is not None:
                return _joined(here, rest)
        return path

    def known(self, path: str) -> str:
        """What the library calls a path here."""
        for known, here in self.pairs:
            if (rest := _below(path, here)) is not None:
                return _joined(known, rest)
        return path

    def covers(self, path: str) -> bool:
        """Whether it is known where a path of the library is here; without any pair, paths are the same."""
        return not self.pairs or any(_below(path, known) is not None for known, _ in self.pairs)


SAME_PATHS = PathMap()
"""Of a host where all folders lie as the library knows them."""


def _plain(folder: str) -> str:
    return os.path.abspath(os.path.expanduser(folder))  # noqa: PTH100, PTH111 - as text, and links stay


def _below(path: str, folder: str) -> str | None:
    """What follows a folder in a path, with a separator; empty for the folder, None elsewhere."""
    if path == folder:
        return ""
    # The root of a drive is written with its separator, such as Z:/ on Windows.
    bare = folder.rstrip(os.sep)
    return path[len(bare) :] if path.startswith(bare + os.sep) else None


def _joined(folder: str, rest: str) -> str:
    return folder.rstrip(os.sep) + rest if rest else folder
