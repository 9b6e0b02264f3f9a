"""Find which names in a result folder are ours: those in its manifest or announced by an interrupted run.

If the user deleted the manifest, an undo restores it.
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
from facesets.results.placement import FileStates
from facesets.results.run_records import read_runs
from facesets.results.safe_folder import SafeFolder
from facesets.rights import rights_in

ANNOUNCEMENT = ".facesets-writing.json"
_T = TypeVar("_T")


def ours_in(folder: SafeFolder, earlier: Mapping[str, PlacedFile | None]) -> dict[str, FileStates]:
    """Return names that a manifest lists or an interrupted run announced, with what may be there."""
    ours: dict[str, FileStates] = {name: (put,) if put else () for name, put in earlier.items()}
    for name, puts in _announced(folder).items():
        ours[name] = add_states(ours.get(name, ()), *puts)
    return safe_names(folder, ours)


def announced_names(root: Path) -> set[str]:
    """Return names that an interrupted run may have written; raises `CannotWrite` as `writing_results`."""
    return set(_announced(SafeFolder(root)))


def _announced(folder: SafeFolder) -> dict[str, FileStates]:
    """Read the announcement of an interrupted run."""
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


def add_states(puts: FileStates, *more: PlacedFile) -> FileStates:
    """Add further states to those that a file of ours may have."""
    return tuple(dict.fromkeys([*puts, *more]))


def rights_of_result(root: Path) -> int | None:
    """Return the rights of groups and others to a result, from its manifest; None if it has none."""
    return next((found for name in MANIFEST_NAMES if (found := rights_in(root / name)) is not None), None)


def in_result(root: Path) -> SafeFolder:
    """Open a result as a safe folder, for changes outside of runs."""
    return SafeFolder(root, rights_of_result(root) or 0)


def safe_names(folder: SafeFolder, names: Mapping[str, _T]) -> dict[str, _T]:
    """Drop names that lead out of the folder, by themselves or through a link."""
    inside = {name: what for name, what in names.items() if is_inside(name)}
    linked = linked_folders(folder, inside)
    if not linked:
        return inside
    return {name: what for name, what in inside.items() if PurePosixPath(name).parent not in linked}


def linked_folders(folder: SafeFolder, names: Iterable[str]) -> dict[PurePosixPath, str]:
    """Return the folders of these names that are reached through a link, with that link."""
    # Most names are in few folders, and a path of each would take longer than all the rest.
    written = {name.rpartition("/")[0]: name for name in names}
    first_in = {PurePosixPath(name).parent: name for name in written.values()}
    found = {parent: folder.link_above(name) for parent, name in first_in.items()}
    return {parent: link for parent, link in found.items() if link}


def how_to_restore(root: Path) -> str:
    """Return how to restore a folder with a missing manifest; empty if it is there or never was.

    An undo restores a manifest in the journal; later runs, such as a drawing, are undone before it.
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
                # Before its first run, a folder had no manifest: after that undo, the next run starts again.
                first = changes[name].backup is None
                in_order = ", then ".join(f"{undo}" for undo in undos)
                return f"{in_order} {'removes what the runs wrote' if first else 'restores the previous one'}"
    if any((root / name).exists() for name in MANIFEST_NAMES) or not _holds_results(root):
        return ""
    return f"restore it from a backup, or move {printable(root)} away and run the command that wrote it again"


def _holds_results(root: Path) -> bool:
    """Whether a folder looks like a result of `cluster` or `refine`."""
    try:
        return any(NUMBERED_GROUP.fullmatch(each.name) for each in root.iterdir() if each.is_dir())
    except OSError:
        return False
