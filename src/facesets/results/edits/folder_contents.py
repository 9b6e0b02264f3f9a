"""What lies in the folders of a result, and what names have in common that mean one photo."""

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
"""Parts of a path that lead elsewhere."""


def folder_of(name: str) -> str:
    """The folder at the top that a file lies in."""
    first = name.partition("/")[0]
    return PurePosixPath(name).parts[0] if first in _NO_NAMES else first


def in_folder(name: str, called: Mapping[str, str]) -> str:
    """A file by its name in a folder that may be called otherwise."""
    folder = folder_of(name)
    return called[folder] + name[len(folder) :] if folder in called else name


def base_of(name: str) -> str:
    """The last part of a name, as `normal`."""
    last = name.rpartition("/")[2]
    return normal(PurePosixPath(name).name if last in _NO_NAMES else last)


def normal(name: str) -> str:
    """Names as all file systems agree on them: some change the form of accented letters."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def photos_below(root: Path) -> Iterator[str]:
    """Every file in the folders of a result, but hidden ones and those set aside."""
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(f for f in folders if not f.startswith(".") and f != WITHOUT_ORIGINAL)
        inner = Path(folder).relative_to(root)
        if inner.parts:
            above = inner.as_posix()
            yield from (f"{above}/{name}" for name in sorted(names) if not is_mark(name))


def behind_new_links(folder: SafeFolder, ours: Collection[str]) -> tuple[list[str], list[str]]:
    """Where folders may be that were put elsewhere and linked under a new name, at once.

    Returns
    -------
    places : list of str
        What lies behind links that are not ours; looked for only where a folder of ours is gone.
    unclear : list of str
        Folders of which nothing is known, since they are gone and such a link leads to nothing now.
    """
    gone = [name for name in ours if is_inside(name) and not folder.exists(name)]
    others = [name for name in folder.names_in() if name not in ours] if gone else []
    links = [name for name in others if folder.link_above(f"{name}/x")]
    places = {link: sorted(_names_behind(folder.root / link)) for link in links}
    found = [f"{link}/{name}" for link, names in places.items() for name in names]
    return found, [] if all(places.values()) else gone


def _names_behind(link: Path) -> list[str]:
    try:
        return [path.name for path in link.iterdir() if not path.name.startswith(".")]
    except OSError:
        return []


def state_of(root: Path, name: str) -> tuple[int, int]:
    """Size and time of a file; of one that is not there such as no file has."""
    try:
        status = (root / PurePosixPath(name)).stat()
    except OSError:
        return -2, -2
    return status.st_size, status.st_mtime_ns


def refuse_unusable(root: Path, name: str) -> None:
    """Refuse a place in a folder that cannot be a person's. Raises `WrongUsage`."""
    if not is_inside(name):
        raise WrongUsage(
            f"Photos of this result are in {printable((root / name).parent)}. Rename that folder so that "
            "it contains no `:` or `\\`."
        )
