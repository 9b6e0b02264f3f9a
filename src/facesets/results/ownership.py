"""Which names in a result folder are ours: those of its manifest, and those that a cut-off run announced.

Where somebody deleted the manifest, an undo brings it back.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import TypeVar

from facesets.errors import CannotWrite, Command, DamagedFile
from facesets.files import printable
from facesets.results.inside import is_inside
from facesets.results.manifest import MANIFEST_NAMES, PlacedFile
from facesets.results.names.group_names import NUMBERED_GROUP
from facesets.results.placement import Puts
from facesets.results.run_records import read_runs
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
            f"{printable(folder.path(ANNOUNCEMENT))} cannot be read. Check what is in that folder, remove "
            "the file, and run the same command again."
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


def how_to_restore(root: Path) -> str:
    """Return how to restore a folder with a missing manifest; empty if it is there or never was.

    An undo brings back one that the journal knows; what later runs did, such as a drawing, is taken back
    before it.
    """
    try:
        changed = [(run, run.changes()) for run in reversed(read_runs(root))]
    except DamagedFile:
        return ""
    undos: list[Command] = []
    for run, changes in changed:
        undos.append(Command("undo", printable(root), run.name))
        for name in MANIFEST_NAMES:
            if name in changes and not run.folder.exists(name):
                # Before its first run a folder had none: without what that wrote, the next one begins again.
                first = changes[name].backup is None
                in_order = ", then ".join(f"{undo}" for undo in undos)
                return f"{in_order} {'removes what the runs wrote' if first else 'restores the previous one'}"
    if any((root / name).exists() for name in MANIFEST_NAMES) or not _holds_results(root):
        return ""
    return f"restore it from a backup, or move {printable(root)} away and run the command that wrote it again"


def _holds_results(root: Path) -> bool:
    """Whether a folder looks as `cluster` or `refine` leaves it."""
    try:
        return any(NUMBERED_GROUP.fullmatch(each.name) for each in root.iterdir() if each.is_dir())
    except OSError:
        return False
