"""Undo a run in a result folder, from the folder's journal.

Files that the run made are removed, and files that it replaced or removed are restored, with their times. The
last copy of a photo without an original is set aside, and what the user deleted stays deleted. The record has
the state `undoing` from before the first file until after the last: the same command resumes an interrupted
undo, and until then nothing else writes to the folder.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from facesets.errors import AlreadyRunning, CannotWrite, Command, WrongUsage
from facesets.files import printable, writing
from facesets.results.folder import OWN_NAMES
from facesets.results.folder_runs import LOCK, locked, sweep_interrupted
from facesets.results.inside import is_inside
from facesets.results.manifest import MANIFEST_NAMES, PlacedFile
from facesets.results.ownership import ANNOUNCEMENT, announced_names, in_result, linked_folders
from facesets.results.placement import FileStates, is_last_copy, place_for_last_copy
from facesets.results.run_records import DONE, UNDOING, NameChange, Run, State, read_runs
from facesets.results.safe_folder import SafeFolder

_TEMPORARY = ".facesets-restoring.tmp"


@dataclass(frozen=True, slots=True)
class UndoPlan:
    """The plan to undo a run in one folder.

    Attributes
    ----------
    restore : mapping
        Names to restore, with the names of their backups in the journal.
    remove : tuple of str
        Files that the run made and that still exist.
    last_copies : tuple of str
        The files among both that are copies of photos without an original.
    deleted : tuple of str
        Files that the run replaced and that the user deleted since.
    elsewhere : tuple of str
        Files that the run made and that the user moved or deleted since: they are ignored.
    links : tuple of str
        Folders that the user replaced by links: nothing is changed behind them.
    """

    run: Run
    restore: Mapping[str, str]
    remove: tuple[str, ...]
    last_copies: tuple[str, ...]
    deleted: tuple[str, ...]
    elsewhere: tuple[str, ...]
    links: tuple[str, ...]


@contextmanager
def undoing(root: Path, name: str) -> Iterator[list[UndoPlan]]:
    """Lock every folder of a run, and plan its undo there; `root` comes last.

    Raises
    ------
    WrongUsage
        There is no such run, later runs must be undone first, or a file was changed since.
    AlreadyRunning
        Another run writes to one of the folders.
    CannotWrite
        A file of the program's own is a link.
    DamagedFile
        The journal cannot be read.
    """
    first = _find(root, name)
    if first is None:
        known = ", ".join(run.name for run in reversed(read_runs(root))) or "none"
        raise WrongUsage(f"{printable(root)} has no run {printable(name)} (runs: {known}).")
    others = sorted(path for path in set(first.also) if _is_partner(path, first))
    with ExitStack() as stack:
        plans = []
        for folder in [*others, root]:
            stack.enter_context(locked(folder))
            run = _find(folder, first.name)
            if run is not None:
                plans.append(_plan(run))
        yield plans


def _find(root: Path, name: str) -> Run | None:
    return next((run for run in read_runs(root) if name in (run.name, str(run.number))), None)


def _is_partner(folder: Path, run: Run) -> bool:
    """Whether a folder has the same run, rather than that of a folder which this one was copied from."""
    other = _find(folder, run.name)
    mine = os.path.normpath(run.root.absolute())
    return folder != Path(mine) and other is not None and Path(mine) in other.also


def _plan(run: Run) -> UndoPlan:
    later = [other.name for other in read_runs(run.root) if other.number > run.number]
    if later:
        raise WrongUsage(
            f"{later[-1]} changed {printable(run.root)} after {run.name}. Undo that first: "
            f"{Command('undo', printable(run.root), later[-1])}."
        )
    restore, remove = dict[str, str](), list[str]()
    last_copies, deleted, elsewhere = list[str](), list[str](), list[str]()
    folder, changes = run.folder, run.changes()
    folder.refuse_links(OWN_NAMES)
    if not all(map(is_inside, changes)):
        raise WrongUsage(f"The journal of {run.name} names a file outside {printable(run.root)}.")
    links = linked_folders(folder, changes)
    for name, change in changes.items():
        if PurePosixPath(name).parent in links:
            continue
        there = folder.status(name)
        now = _state(there)
        before = None if change.backup is None else _state(folder.status(run.backup(change.backup)))
        if now == before:
            was_made = change.backup is None and change.left[-1] is not None
            if was_made and run.state != UNDOING and name not in MANIFEST_NAMES:
                elsewhere.append(name)
            continue
        _refuse_edited(run, name, change, now)
        if now is None and None not in change.left and name not in MANIFEST_NAMES:
            deleted.append(name)
            continue
        if is_last_copy(there, _puts(change)):
            last_copies.append(name)
        if change.backup is None:
            remove.append(name)
        else:
            restore[name] = run.backup(change.backup)
    found = (tuple(last_copies), tuple(deleted), tuple(elsewhere), tuple(sorted({*links.values()})))
    return UndoPlan(run, restore, tuple(remove), *found)


def _puts(change: NameChange) -> FileStates:
    return tuple(PlacedFile(source, *left) for source in change.sources for left in change.left if left)


def _refuse_edited(run: Run, name: str, change: NameChange, now: State) -> None:
    if now is not None and now not in change.left:
        raise WrongUsage(
            f"{printable(run.root / PurePosixPath(name))} was changed after {run.name}. Move it away, then "
            "undo the run again."
        )


def _state(there: os.stat_result | None) -> State:
    return None if there is None else (there.st_size, there.st_mtime_ns)


def apply_undo(plans: list[UndoPlan]) -> None:
    """Carry out the plan of `undoing`, under its locks.

    Raises
    ------
    CannotWrite
        A file cannot be restored; the same command resumes from there.
    """
    for plan in plans:
        plan.run.mark(UNDOING)
    for plan in plans:
        _apply(plan)
    roots = {os.path.normpath(plan.run.root.absolute()) for plan in plans}
    for folder in {path for plan in plans if plan.run.state != DONE for path in plan.run.also}:
        if str(folder) not in roots and folder.is_dir():
            _clear(folder)


def _clear(root: Path) -> None:
    """Remove the traces of a run that was killed before it changed anything in a folder."""
    folder = SafeFolder(root)
    if not folder.is_file(LOCK) and not folder.is_file(ANNOUNCEMENT):
        return
    with suppress(AlreadyRunning, CannotWrite), locked(root):
        if all(run.state == DONE for run in read_runs(root)):
            _remove_traces(folder, ())


def _apply(plan: UndoPlan) -> None:
    run, folder = plan.run, in_result(plan.run.root)
    touched = {_folder_of(_set_aside(folder, name)) for name in plan.last_copies}
    for name, backup in plan.restore.items():
        _put(folder, backup, name)
    for name in plan.remove:
        with writing(folder.path(name)):
            folder.remove(name)
    touched |= {_folder_of(name) for name in (*plan.restore, *plan.remove)}
    for above in touched:
        with suppress(FileNotFoundError):
            folder.sync(above)
    _remove_traces(folder, run.changes())
    folder.remove(_TEMPORARY)
    run.forget()


def _remove_traces(folder: SafeFolder, changed: Iterable[str]) -> None:
    """Remove what an interrupted run left beside results: half-written files and empty folders."""
    announced = announced_names(folder.root)
    sweep_interrupted(folder, announced)
    for name in {*changed, *announced}:
        folder.remove_empty_folders_above(name)
    folder.remove(ANNOUNCEMENT)


def _folder_of(name: str) -> str:
    return name.rpartition("/")[0]


def _set_aside(folder: SafeFolder, name: str) -> str:
    """Set the last copy of a photo aside; return its new name."""
    place, is_there = place_for_last_copy(folder, name)
    if not is_there:
        _put(folder, name, place)
    return place


def _put(folder: SafeFolder, name: str, place: str) -> None:
    """Link a file to another place as well, replacing the file there."""
    with writing(folder.path(place)):
        folder.make_folder_of(place)
        folder.remove(_TEMPORARY)
        folder.link(name, _TEMPORARY)
        folder.rename(_TEMPORARY, place)
