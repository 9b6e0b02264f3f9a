"""Move photos and folders within a result, with a record of each change so that it can be undone.

The record is a hidden file in the folder, `.facesets-moves.jsonl`. Each change has a line, which is on the
disk before anything is moved:

    {"change": 3, "what": "…", "since": "…", "moves": [["person_001/a.jpg", "Anna/a.jpg"], …]}

and a line for its outcome: `{"change": 3, "state": "done"}` or `"back"`. `since` identifies the manifest at
that time: after a run has applied a change, only `undo` of the run undoes it. A change without an outcome was
interrupted, and is undone before anything else is done. A photo never replaces another: its new name is first
created, exclusively and empty, and then replaced.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import msgspec

from facesets.errors import Changed, DamagedFile
from facesets.files import printable, writing
from facesets.json_lines import append_lines, cut_torn_line, whole_lines
from facesets.results.manifest_values import Place, Text
from facesets.results.ownership import in_result
from facesets.results.safe_folder import SafeFolder

NOTES = ".facesets-moves.jsonl"
BEGUN, DONE, BACK = "begun", "done", "back"

Moves = tuple[tuple[Place, Place], ...]
"""Old and new names, relative to the result; of files, or of folders at its top."""


@dataclass(frozen=True, slots=True)
class RecordedChange:
    """A change in a result folder.

    Attributes
    ----------
    what : str
        The change in words.
    since : str
        The version of the manifest at that time.
    moves : tuple of (str, str)
    state : str
        `begun`, `done` or `back`.
    """

    change: int
    what: Text
    since: Text
    moves: Moves
    state: str = BEGUN


@dataclass(frozen=True, slots=True)
class _Outcome:
    change: int
    state: str


def recorded_changes(root: Path) -> list[RecordedChange]:
    """Return all recorded changes of a result folder, oldest first. Raises `DamagedFile`."""
    try:
        lines = whole_lines(SafeFolder(root).read(NOTES))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _damaged(root) from error
    changes: dict[int, RecordedChange] = {}
    try:
        for line in lines:
            record = json.loads(line)
            if "moves" in record:
                change = msgspec.convert(record, RecordedChange)
                changes[change.change] = change
            else:
                outcome = msgspec.convert(record, _Outcome)
                changes[outcome.change] = replace(changes[outcome.change], state=outcome.state)
    except (msgspec.MsgspecError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise _damaged(root) from error
    return list(changes.values())


def free_name(folder: SafeFolder, name: str, taken: Iterable[str] = ()) -> str:
    """Return the name, with the first free number if it is taken: `a (2).jpg`."""
    taken = frozenset(taken)
    path, number, free = PurePosixPath(name), 1, name
    while free in taken or folder.exists(free):
        number += 1
        free = path.with_name(f"{path.stem} ({number}){path.suffix}").as_posix()
    return free


def move(root: Path, what: str, since: str, moves: Sequence[tuple[str, str]]) -> RecordedChange:
    """Make a change, completely or not at all, in a locked folder after `settle`.

    Raises
    ------
    Changed
        A file was moved since, or a new name is taken.
    CannotWrite
        The folder cannot be written.
    """
    number = max((known.change for known in recorded_changes(root)), default=0) + 1
    change = RecordedChange(number, what, since, tuple(moves))
    _record(
        root,
        {"change": change.change, "what": what, "since": since, "moves": [list(pair) for pair in moves]},
    )
    try:
        for old, new in moves:
            _move(root, old, new)
    except BaseException:
        undo_change(root, change)
        raise
    _record(root, {"change": change.change, "state": DONE})
    return replace(change, state=DONE)


def undo_change(root: Path, change: RecordedChange) -> None:
    """Undo the moves of a change, the last one first; files that were not moved yet stay.

    Raises
    ------
    Changed
        A file is not where the change put it. Then nothing is done.
    CannotWrite
        The folder cannot be written.
    """
    folder = SafeFolder(root)
    if change.state == DONE:
        for old, new in change.moves:
            if not folder.exists(new) or folder.exists(old):
                raise Changed(
                    f"{printable(new)} was moved since, so this change cannot be undone. Move its photos "
                    "yourself."
                )
        _record(root, {"change": change.change, "state": BEGUN})
    for old, new in reversed(change.moves):
        if folder.exists(old) and folder.exists(new):
            # One of the two was created just before the program was killed.
            _ = _remove_reserved(folder, new) or _remove_reserved(folder, old)
        if not folder.exists(old) and folder.exists(new):
            _move(root, new, old)
    _record(root, {"change": change.change, "state": BACK})


def settle(root: Path) -> None:
    """Undo an interrupted change in a locked folder; errors as `undo_change`."""
    for change in reversed(recorded_changes(root)):
        if change.state == BEGUN:
            undo_change(root, change)


def _move(root: Path, old: str, new: str) -> None:
    folder = in_result(root)
    with writing(folder.path(new)):
        if not folder.exists(old):
            raise Changed(f"{printable(old)} is no longer there. Nothing was changed. Reload the page.")
        if "/" in new:
            folder.make_folder_of(new)
            try:
                folder.create(new).close()
            except FileExistsError as error:
                raise _taken(new) from error
        elif folder.exists(new):
            raise _taken(new)
        folder.rename(old, new)
        folder.remove_empty_folders_above(old)


def _taken(name: str) -> Changed:
    return Changed(f"{printable(name)} already exists. Nothing was changed. Reload the page.")


def _remove_reserved(folder: SafeFolder, name: str) -> bool:
    """Remove a name that was created and not replaced yet; only an empty file can be one."""
    there = folder.status(name)
    is_reserved = there is not None and folder.is_file(name) and there.st_size == 0
    if is_reserved:
        folder.remove(name)
        folder.remove_empty_folders_above(name)
    return is_reserved


def _record(root: Path, record: dict[str, object]) -> None:
    folder = SafeFolder(root)
    with writing(root / NOTES), folder.append(NOTES) as file:
        cut_torn_line(file)
        append_lines(file, [record])


def _damaged(root: Path) -> DamagedFile:
    return DamagedFile(
        f"{printable(root / NOTES)} cannot be read. Move it away; the changes recorded in it can then no "
        "longer be undone."
    )
