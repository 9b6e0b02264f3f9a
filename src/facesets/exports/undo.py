"""Taking back what a run changed in a result folder, as the folder's journal tells.

Files that the run made are removed, and those that it replaced or removed come back, times included. The
last copy of a photo whose original is gone is kept aside, and what the user deleted stays deleted. Each
file is restored at once, and the record says `undoing` from before the first until after the last: an undo
that was cut off goes on when it is asked for again, and until then nothing else writes to the folder.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from facesets.errors import WrongUsage
from facesets.exports.announcement import ANNOUNCEMENT, announced_names, is_inside
from facesets.exports.aside import place_for_last_copy
from facesets.exports.folders import remove_empty_parents, sweep_interrupted
from facesets.exports.journal import UNDOING, Change, Run, State, link_or_copy, read_runs
from facesets.exports.manifest import MANIFEST_NAMES, PlacedFile
from facesets.exports.placing import Puts, is_last_copy
from facesets.exports.reserving import locked
from facesets.files import printable, sync_directory, writing

_TEMPORARY = ".facesets-restoring.tmp"


@dataclass(frozen=True, slots=True)
class Undoing:
    """What taking back a run does to one folder.

    Attributes
    ----------
    restore : mapping
        Names that get back what lay there before, and where that is.
    remove : tuple of str
        Names of files that the run made and that are still there.
    last_copies : tuple of str
        Those of both that are copies of photos whose originals are gone.
    deleted : tuple of str
        Names of files that the run replaced and that the user deleted since.
    elsewhere : tuple of str
        Names of files that the run made and that the user moved or deleted since: nothing is done about them.
    """

    run: Run
    restore: Mapping[str, Path]
    remove: tuple[str, ...]
    last_copies: tuple[str, ...]
    deleted: tuple[str, ...]
    elsewhere: tuple[str, ...]


@contextmanager
def undoing(root: Path, name: str) -> Iterator[list[Undoing]]:
    """Lock every folder of a run, and say what taking it back would do there; `root` comes last.

    Raises
    ------
    WrongUsage
        There is no such run, later runs must be taken back first, or a file was changed since.
    AlreadyRunning
        Another run writes to one of the folders.
    DamagedFile
        The journal cannot be read.
    """
    first = _find(root, name)
    if first is None:
        known = ", ".join(run.name for run in reversed(read_runs(root))) or "none"
        raise WrongUsage(f"{printable(root)} has no run {printable(name)} to take back (there are: {known}).")
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
    """Whether a folder has the same run, and not one of a folder that this one was copied from."""
    other = _find(folder, run.name)
    mine = os.path.normpath(run.root.absolute())
    return folder != Path(mine) and other is not None and Path(mine) in other.also


def _plan(run: Run) -> Undoing:
    later = [other.name for other in read_runs(run.root) if other.number > run.number]
    if later:
        raise WrongUsage(
            f"{later[-1]} changed {printable(run.root)} after {run.name}. Take that back first: "
            f"`facesets undo {printable(run.root)} {later[-1]}`."
        )
    restore, remove = dict[str, Path](), list[str]()
    last_copies, deleted, elsewhere = list[str](), list[str](), list[str]()
    for name, change in run.changes().items():
        if not is_inside(name):
            raise WrongUsage(f"The journal of {run.name} names a file outside of {printable(run.root)}.")
        target = run.root / PurePosixPath(name)
        now = _state(target)
        before = None if change.kept is None else _state(run.kept(change.kept))
        if now == before:
            was_made = change.kept is None and change.left[-1] is not None
            if was_made and run.state != UNDOING and name not in MANIFEST_NAMES:
                elsewhere.append(name)
            continue
        _refuse_edited(run, name, change, now)
        if now is None and None not in change.left and name not in MANIFEST_NAMES:
            deleted.append(name)
            continue
        if is_last_copy(target, _puts(change)):
            last_copies.append(name)
        if change.kept is None:
            remove.append(name)
        else:
            restore[name] = run.kept(change.kept)
    return Undoing(run, restore, tuple(remove), tuple(last_copies), tuple(deleted), tuple(elsewhere))


def _puts(change: Change) -> Puts:
    return tuple(PlacedFile(source, *left) for source in change.sources for left in change.left if left)


def _refuse_edited(run: Run, name: str, change: Change, now: State) -> None:
    if now is not None and now not in change.left:
        raise WrongUsage(
            f"{printable(run.root / PurePosixPath(name))} was changed after {run.name}. Move it away, then "
            "take the run back."
        )


def _state(path: Path) -> State:
    try:
        there = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return there.st_size, there.st_mtime_ns


def take_back(plans: list[Undoing]) -> None:
    """Do what `undoing` planned, under its locks.

    Raises
    ------
    CannotWrite
        A file cannot be restored; the same command goes on from there.
    """
    for plan in plans:
        plan.run.mark(UNDOING)
    for plan in plans:
        _take_back(plan)


def _take_back(plan: Undoing) -> None:
    root, run = plan.run.root, plan.run
    touched = {_keep_aside(root, name) for name in plan.last_copies}
    for name, kept in plan.restore.items():
        target = root / PurePosixPath(name)
        _put(root, kept, target)
        touched.add(target.parent)
    for name in plan.remove:
        target = root / PurePosixPath(name)
        with writing(target):
            target.unlink(missing_ok=True)
        touched.add(target.parent)
    for folder in touched:
        if folder.is_dir():
            sync_directory(folder)
    for name in plan.remove:
        remove_empty_parents(root / PurePosixPath(name), root)
    sweep_interrupted(root, announced_names(root))
    (root / ANNOUNCEMENT).unlink(missing_ok=True)
    (root / _TEMPORARY).unlink(missing_ok=True)
    run.forget()


def _keep_aside(root: Path, name: str) -> Path:
    """Keep the last copy of a photo: the folder where it lies now."""
    path = root / PurePosixPath(name)
    aside, is_there = place_for_last_copy(root, path)
    place = root / PurePosixPath(aside)
    if not is_there:
        _put(root, path, place)
    return place.parent


def _put(root: Path, file: Path, target: Path) -> None:
    """Let a file lie at another place as well, in place of what lies there."""
    temporary = root / _TEMPORARY
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary.unlink(missing_ok=True)
        link_or_copy(file, temporary)
        temporary.replace(target)
