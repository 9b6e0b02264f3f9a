"""What a user did to the photos of a result folder since it was written: moved, deleted, copied.

A photo is known again by its name, which no other photo has, or else by size and time. It counts as edited
in place, and is of no interest here, as long as something lies under its name.
"""

import os
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from facesets.errors import WrongUsage
from facesets.exports.aside import WITHOUT_ORIGINAL
from facesets.exports.folders import is_inside
from facesets.exports.manifest import PlacedFile
from facesets.exports.placing import exists
from facesets.files import printable


@dataclass(frozen=True, slots=True)
class Edits:
    """Names are relative to the folder.

    Attributes
    ----------
    moved : mapping
        Old name to new name.
    deleted : frozenset
    copied : mapping
        Name of a copy that the user made to the name of the file it is like.
    """

    moved: Mapping[str, str] = field(default_factory=dict)
    deleted: frozenset[str] = frozenset()
    copied: Mapping[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.moved or self.deleted or self.copied)


def read_edits(root: Path, files: Mapping[str, PlacedFile], ours: Collection[str]) -> Edits:
    """Compare what was put into a folder with what lies there.

    A folder in which none of its files is left was emptied, not edited: then there are no edits.

    Parameters
    ----------
    files : mapping
        Every photo of the result.
    ours : collection of str
        Further names that the program wrote or may have written.

    Raises
    ------
    WrongUsage
        Photos were moved to a folder whose name cannot be in a manifest.
    """
    lost = [name for name in files if not exists(root / PurePosixPath(name))]
    known = {_normal(name) for name in (*files, *ours)}
    strange = [name for name in _photos_below(root) if _normal(name) not in known]
    by_name = defaultdict(list)
    for name in strange:
        by_name[_normal(PurePosixPath(name).name)].append(name)
    by_state = {_state(root, name): name for name in strange} if lost else {}
    moved, deleted = dict[str, str](), set[str]()
    for name in lost:
        same_name = by_name[_normal(PurePosixPath(name).name)]
        found = same_name.pop() if same_name else by_state.get((files[name].size, files[name].mtime_ns))
        if found is None or found in moved.values():
            deleted.add(name)
        else:
            _refuse_unusable(root, found)
            moved[name] = found
    if len(deleted) == len(files):
        return Edits()
    left = {name: places for name, places in by_name.items() if places}
    copied = {
        place: name
        for name in files
        if name not in moved and name not in deleted
        for place in left.get(_normal(PurePosixPath(name).name), ())
        if is_inside(place)
    }
    return Edits(moved, frozenset(deleted), copied)


def _photos_below(root: Path) -> Iterator[str]:
    """Every file in the folders of a result, but hidden ones and those set aside."""
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(f for f in folders if not f.startswith(".") and f != WITHOUT_ORIGINAL)
        inner = Path(folder).relative_to(root)
        if inner.parts:
            yield from ((PurePosixPath(*inner.parts) / name).as_posix() for name in sorted(names))


def _state(root: Path, name: str) -> tuple[int, int]:
    try:
        status = (root / PurePosixPath(name)).stat()
    except OSError:
        return -2, -2
    return status.st_size, status.st_mtime_ns


def _normal(name: str) -> str:
    """Names as all file systems agree on them: some change the form of accented letters."""
    return unicodedata.normalize("NFC", name)


def _refuse_unusable(root: Path, name: str) -> None:
    if not is_inside(name):
        raise WrongUsage(
            f"Photos of this result lie in {printable((root / name).parent)}. Give that folder a name "
            "without `:` and `\\`."
        )
