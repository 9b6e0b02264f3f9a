"""Photos and folders moved within a result, recorded so that each change can be undone.

The notes are a hidden file in the folder, `.facesets-moves.jsonl`. A line a change is on the disk before
anything is moved:

    {"change": 3, "what": "…", "since": "…", "moves": [["person_001/a.jpg", "Anna/a.jpg"], …]}

and a line for what became of it: `{"change": 3, "state": "done"}` or `"back"`. `since` says which manifest
lay there: what a run has taken up since is taken back by `undo`. A change without such a line was cut off,
and is taken back before anything else is done. A photo never takes the place of another: its new name is made
first, exclusively and empty, and then replaced.
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
class HandChange:
    """One change.

    Attributes
    ----------
    what : str
        In words.
    since : str
        Which manifest lay there.
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


def noted_changes(root: Path) -> list[HandChange]:
    """All changes that are noted in a result folder, oldest first. Raises `DamagedFile`."""
    try:
        lines = whole_lines(SafeFolder(root).read(NOTES))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _damaged(root) from error
    changes: dict[int, HandChange] = {}
    try:
        for line in lines:
            record = json.loads(line)
            if "moves" in record:
                change = msgspec.convert(record, HandChange)
                changes[change.change] = change
            else:
                outcome = msgspec.convert(record, _Outcome)
                changes[outcome.change] = replace(changes[outcome.change], state=outcome.state)
    except (msgspec.MsgspecError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise _damaged(root) from error
    return list(changes.values())


def free_name(folder: SafeFolder, name: str, taken: Iterable[str] = ()) -> str:
    """The name itself, or with the first number that nothing has: `a (2).jpg`."""
    taken = frozenset(taken)
    path, number, free = PurePosixPath(name), 1, name
    while free in taken or folder.exists(free):
        number += 1
        free = path.with_name(f"{path.stem} ({number}){path.suffix}").as_posix()
    return free


def move(root: Path, what: str, since: str, moves: Sequence[tuple[str, str]]) -> HandChange:
    """Make a change, all of it or nothing, in a folder that is locked and `settled`.

    Raises
    ------
    Changed
        Something is not where it was, or a new name is taken.
    CannotWrite
        The folder cannot be written.
    """
    number = max((known.change for known in noted_changes(root)), default=0) + 1
    change = HandChange(number, what, since, tuple(moves))
    _note(
        root,
        {"change": change.change, "what": what, "since": since, "moves": [list(pair) for pair in moves]},
    )
    try:
        for old, new in moves:
            _move(root, old, new)
    except BaseException:
        take_back(root, change)
        raise
    _note(root, {"change": change.change, "state": DONE})
    return replace(change, state=DONE)


def take_back(root: Path, change: HandChange) -> None:
    """Put everything of a change where it was, the last first; what was not moved yet stays.

    Raises
    ------
    Changed
        Something is not where the change had put it. Then nothing is done.
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
        _note(root, {"change": change.change, "state": BEGUN})
    for old, new in reversed(change.moves):
        if folder.exists(old) and folder.exists(new):
            # One of the two is a name that was made just before the program was killed.
            _ = _remove_reserved(folder, new) or _remove_reserved(folder, old)
        if not folder.exists(old) and folder.exists(new):
            _move(root, new, old)
    _note(root, {"change": change.change, "state": BACK})


def settle(root: Path) -> None:
    """Take back a change that was cut off, in a folder that is locked; errors as `take_back`."""
    for change in reversed(noted_changes(root)):
        if change.state == BEGUN:
            take_back(root, change)


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
    """Remove a name that was made and not replaced yet; anything but an empty file is somebody's."""
    there = folder.status(name)
    is_reserved = there is not None and folder.is_file(name) and there.st_size == 0
    if is_reserved:
        folder.remove(name)
        folder.remove_empty_folders_above(name)
    return is_reserved


def _note(root: Path, record: dict[str, object]) -> None:
    folder = SafeFolder(root)
    with writing(root / NOTES), folder.append(NOTES) as file:
        cut_torn_line(file)
        append_lines(file, [record])


def _damaged(root: Path) -> DamagedFile:
    return DamagedFile(
        f"{printable(root / NOTES)} cannot be read. Move it away; the changes recorded in it can then no "
        "longer be undone."
    )
