"""Which names in a result folder are ours: those of its manifest, and those that a cut-off run announced."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import TypeVar

from facesets.errors import CannotWrite
from facesets.files import printable
from facesets.results.inside import is_inside
from facesets.results.manifest import MANIFEST_NAMES, PlacedFile
from facesets.results.placement import Puts
from facesets.results.safe_folder import SafeFolder
from facesets.rights import rights_in

ANNOUNCEMENT = ".facesets-writing.json"
_T = TypeVar("_T")


def ours_in(folder: SafeFolder, earlier: Mapping[str, PlacedFile | None]) -> dict[str, Puts]:
    """Names listed by a manifest or announced by an interrupted run, with what may have been put there."""
    ours: dict[str, Puts] = {name: (put,) if put else () for name, put in earlier.items()}
    for name, puts in _announced(folder).items():
        ours[name] = with_puts(ours.get(name, ()), *puts)
    return believed(folder, ours)


def announced_names(root: Path) -> set[str]:
    """Names that a run which was cut off may have written; raises `CannotWrite` as `writing_results`."""
    return set(_announced(SafeFolder(root)))


def _announced(folder: SafeFolder) -> dict[str, Puts]:
    """What an interrupted run announced."""
    try:
        raw = json.loads(folder.read(ANNOUNCEMENT))
        return {name: tuple(_placed(*put) for put in puts) for name, puts in raw.items() if is_inside(name)}
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise CannotWrite(
            f"{printable(folder.path(ANNOUNCEMENT))} cannot be read. Look what lies in that folder, remove "
            "that file, and run the same command again."
        ) from error


def _placed(source: object, size: object, mtime_ns: object) -> PlacedFile:
    if isinstance(source, str) and isinstance(size, int) and isinstance(mtime_ns, int):
        return PlacedFile(source, size, mtime_ns)
    raise TypeError


def with_puts(puts: Puts, *more: PlacedFile) -> Puts:
    """What may lie under a name, with more that may."""
    return tuple(dict.fromkeys([*puts, *more]))


def rights_of_result(root: Path) -> int | None:
    """What groups and others may do with a result, as its manifest tells; None where there is none."""
    return next((found for name in MANIFEST_NAMES if (found := rights_in(root / name)) is not None), None)


def in_result(root: Path) -> SafeFolder:
    """A result, for what is done there outside of runs."""
    return SafeFolder(root, rights_of_result(root) or 0)


def believed(folder: SafeFolder, names: Mapping[str, _T]) -> dict[str, _T]:
    """Leave out names that lead out of the folder, by themselves or through a link."""
    inside = {name: what for name, what in names.items() if is_inside(name)}
    linked = linked_folders(folder, inside)
    if not linked:
        return inside
    return {name: what for name, what in inside.items() if PurePosixPath(name).parent not in linked}


def linked_folders(folder: SafeFolder, names: Iterable[str]) -> dict[PurePosixPath, str]:
    """Folders of these names that are reached through a link, and the folder that is this link."""
    # Most names are in few folders, and a path of each would take longer than all the rest.
    written = {name.rpartition("/")[0]: name for name in names}
    first_in = {PurePosixPath(name).parent: name for name in written.values()}
    found = {parent: folder.link_above(name) for parent, name in first_in.items()}
    return {parent: link for parent, link in found.items() if link}
