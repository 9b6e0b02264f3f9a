"""The files in the folders of a result, and the comparison of their names."""

import os
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path, PurePosixPath

from facesets.errors import WrongUsage
from facesets.files import printable
from facesets.results.edits.group_marks import is_mark
from facesets.results.inside import is_inside
from facesets.results.placement import WITHOUT_ORIGINAL
from facesets.results.safe_folder import SafeFolder

_NO_NAMES = frozenset({"", ".", ".."})
"""Parts of a path that lead to another folder."""


def folder_of(name: str) -> str:
    """Return the top folder of a file."""
    first = name.partition("/")[0]
    return PurePosixPath(name).parts[0] if first in _NO_NAMES else first


def in_folder(name: str, renamed: Mapping[str, str]) -> str:
    """Return the name of a file after its folder was renamed."""
    folder = folder_of(name)
    return renamed[folder] + name[len(folder) :] if folder in renamed else name


def base_of(name: str) -> str:
    """Return the last part of a name, in the form of `normal`."""
    last = name.rpartition("/")[2]
    return normal(PurePosixPath(name).name if last in _NO_NAMES else last)


def normal(name: str) -> str:
    """Normalize a name for comparison: some file systems change the form of accented letters."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def photos_below(root: Path) -> Iterator[str]:
    """Yield every file in the folders of a result, except hidden files and those set aside."""
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(f for f in folders if not f.startswith(".") and f != WITHOUT_ORIGINAL)
        inner = Path(folder).relative_to(root)
        if inner.parts:
            above = inner.as_posix()
            yield from (f"{above}/{name}" for name in sorted(names) if not is_mark(name))


def behind_new_links(folder: SafeFolder, ours: Collection[str]) -> tuple[list[str], list[str]]:
    """Find where moved folders may be that were linked under a new name.

    Returns
    -------
    places : list of str
        Folders behind links that are not ours; only if a folder of ours is missing.
    unclear : list of str
        Missing folders that may be behind a link whose target is unavailable.
    """
    missing = [name for name in ours if is_inside(name) and not folder.exists(name)]
    others = [name for name in folder.names_in() if name not in ours] if missing else []
    links = [name for name in others if folder.link_above(f"{name}/x")]
    places = {link: sorted(_names_behind(folder.root / link)) for link in links}
    found = [f"{link}/{name}" for link, names in places.items() for name in names]
    return found, [] if all(places.values()) else missing


def _names_behind(link: Path) -> list[str]:
    try:
        return [path.name for path in link.iterdir() if not path.name.startswith(".")]
    except OSError:
        return []


def state_of(root: Path, name: str) -> tuple[int, int]:
    """Return size and time of a file; values that no file has if it is missing."""
    try:
        status = (root / PurePosixPath(name)).stat()
    except OSError:
        return -2, -2
    return status.st_size, status.st_mtime_ns


def refuse_unusable(root: Path, name: str) -> None:
    """Refuse a place in a folder that no person can have. Raises `WrongUsage`."""
    if not is_inside(name):
        raise WrongUsage(
            f"Photos of this result are in {printable((root / name).parent)}. Rename that folder so that "
            "it contains no `:` or `\\`."
        )
