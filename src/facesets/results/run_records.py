"""The journal of a result folder: what each run changed, so that it can be undone.

The journal of a folder is its hidden directory `.facesets-journal`, with a directory for each run that
changed something, such as `0007-extend`:

    run.json        command; when it began; state: `writing`, `done` or `undoing`; other folders that the same
                    run wrote to, relative to this one, so that all can be moved together
    changes.jsonl   a line a change, on the disk before the change is made:
                    [name, kept, [size, mtime_ns] or null, path of the photo that is put there or null]
    kept/<number>   the former file of a name: a hard link if the file system has them

A name is relative to the folder. `kept` is the number of the former file, null for none; a state of null
means that the name was removed. Of several lines about one name, the first has the former file, and each has
a state in which we left it.

`writing_results` gives every `ResultFolder` its `RunJournal`, and the folder records each file there that it
replaces, makes or removes: code that writes through a `ResultFolder` only names its command. An interrupted
run leaves the state `writing`; the next run on that folder continues in the same directory, so that both are
undone as one. A run that changes nothing leaves no directory. A run that writes to several folders is
complete in none of them until all are: then it is closed in each, the first one last.

The journal retains the last `MAX_RUNS` runs, fewer if they hold more than `MAX_BYTES`, and always the last
one. `facesets.results.run_journal` writes it, `facesets.results.rollback` undoes a run. An undo cannot
restore what the user deleted, but the manifest that it restores still lists it: so it notes the restored
folders in `pardons.json`, and the next run makes them again instead of learning that they were deleted.
"""

import json
import os
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from facesets.errors import DamagedFile
from facesets.files import printable, writing
from facesets.json_lines import whole_lines
from facesets.results.manifest_values import is_sound_text
from facesets.results.safe_folder import SafeFolder

JOURNAL = ".facesets-journal"
MAX_RUNS = 10
MAX_BYTES = 2 << 30

WRITING, DONE, UNDOING = "writing", "done", "undoing"

_RUN = "run.json"
_RESTORED = f"{JOURNAL}/pardons.json"
CHANGES = "changes.jsonl"
BACKUPS = "kept"
# Errors of edited records: wrong types, deep nesting, infinite numbers, impossible times.
_DAMAGE = (ValueError, TypeError, KeyError, IndexError, OverflowError, RecursionError)
_NAME = re.compile(r"(\d{4,})-[a-z-]+")

State = tuple[int, int] | None
"""Size and time of a file; None if it does not exist."""


@dataclass(frozen=True, slots=True)
class NameChange:
    """The changes of a run to one name.

    Attributes
    ----------
    backup : int or None
        Number of the former file; None if there was none.
    left : tuple of State
        Every state in which the run may have left it; the last one if the run ended.
    sources : tuple of str
        The photos that the run may have put there; none for a generated file.
    """

    backup: int | None
    left: tuple[State, ...]
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Run:
    """A run in a journal.

    Attributes
    ----------
    root : Path
        The result folder.
    name : str
        Such as `0007-extend`.
    began : str
        When, in UTC and ISO 8601; empty if an earlier version wrote the record.
    also : tuple of Path
        Other folders in which the same run, under the same name, may have changed something.
    """

    root: Path
    name: str
    state: str
    began: str
    also: tuple[Path, ...]

    @property
    def directory(self) -> Path:
        """The run's directory in the journal."""
        return self.root / JOURNAL / self.name

    @property
    def command(self) -> str:
        """The command of the run."""
        return self.name.partition("-")[2]

    @property
    def number(self) -> int:
        """The run's number in its folder, from 1."""
        return number_of(self.name)

    @property
    def folder(self) -> SafeFolder:
        """The result folder as a safe folder."""
        return SafeFolder(self.root)

    def backup(self, number: int) -> str:
        """Return the name of the backup of a former file, relative to the folder."""
        return self.place(BACKUPS, str(number))

    def place(self, *parts: str) -> str:
        """Return the name of a part of this run's record, relative to the folder."""
        return "/".join((JOURNAL, self.name, *parts))

    def changes(self) -> dict[str, NameChange]:
        """Read every change, in the order of the first one to each name.

        Raises
        ------
        DamagedFile
            The list of changes cannot be read.
        """
        return dict(_read_changes(self.folder, self.place(CHANGES), self.directory))

    def backup_bytes(self) -> int:
        """Return the size of this run's backups."""
        names = self.folder.names_in(self.place(BACKUPS))
        backups = (self.folder.status(self.place(BACKUPS, name)) for name in names)
        return sum(there.st_size for there in backups if there)

    def mark(self, state: str) -> None:
        """Record a state, durably."""
        also = [relative_to(path, self.root) for path in self.also]
        self.folder.write_json(
            self.place(_RUN), {"command": self.command, "began": self.began, "state": state, "also": also}
        )

    def forget(self) -> None:
        """Remove the run from the journal; after a kill, the next writer removes the rest."""
        with writing(self.directory):
            self.folder.remove(self.place(_RUN))
            self.folder.remove_tree(self.place())
            self.folder.remove_empty_folder(JOURNAL)


def read_runs(root: Path) -> list[Run]:
    """Return every run that can be undone, oldest first.

    Raises
    ------
    CannotWrite
        The journal is a link.
    DamagedFile
        A record of the journal cannot be read.
    """
    runs = []
    folder = SafeFolder(root)
    for name in _names_of_runs(folder):
        try:
            runs.append(_run(root, name, json.loads(folder.read(f"{JOURNAL}/{name}/{_RUN}"))))
        except FileNotFoundError:
            continue
        except (OSError, *_DAMAGE) as error:
            raise _damaged(root / JOURNAL / name) from error
    return runs


def _run(root: Path, name: str, raw: Any) -> Run:  # noqa: ANN401 - parsed JSON
    """A record of a run, checked; raises one of `_DAMAGE`."""
    state, also, began = raw["state"], raw["also"], raw.get("began", "")
    if state not in (WRITING, DONE, UNDOING) or not isinstance(also, list) or not isinstance(began, str):
        raise ValueError("a field has the wrong type")
    if not all(isinstance(path, str) and is_sound_text(path) for path in also):
        raise ValueError("a folder has an invalid name")
    if began:
        datetime.fromisoformat(began).astimezone()
    return Run(root, name, state, began, tuple(Path(os.path.normpath(root.absolute() / p)) for p in also))


def relative_to(path: Path, root: Path) -> str:
    """Return the relative path to a folder; the absolute one between drives of Windows."""
    try:
        return Path(os.path.relpath(path, root)).as_posix()
    except ValueError:
        return str(path.absolute())


def number_of(name: str) -> int:
    """Return the number in the name of a run."""
    return int(name.partition("-")[0])


def _names_of_runs(folder: SafeFolder) -> list[str]:
    folder.refuse_links([JOURNAL])
    return sorted((name for name in folder.names_in(JOURNAL) if _NAME.fullmatch(name)), key=number_of)


def _damaged(directory: Path) -> DamagedFile:
    return DamagedFile(
        f"{printable(directory)} is damaged. Remove that directory: the run can then no longer be undone, "
        "its results stay."
    )


def _read_changes(folder: SafeFolder, name: str, directory: Path) -> Iterator[tuple[str, NameChange]]:
    try:
        lines = whole_lines(folder.read(name))
    except FileNotFoundError:
        return
    except OSError as error:
        raise _damaged(directory) from error
    found: dict[str, NameChange] = {}
    for line in lines:
        try:
            name, number, left, *rest = json.loads(line)
            backup = None if number is None else int(number)
            state = None if left is None else (int(left[0]), int(left[1]))
            sources = tuple(str(source) for source in rest if source is not None)
            if not isinstance(name, str):
                raise TypeError("a name is invalid")
        except _DAMAGE as error:
            raise _damaged(directory) from error
        before = found.get(name, NameChange(backup, ()))
        found[name] = NameChange(before.backup, (*before.left, state), (*before.sources, *sources))
    yield from found.items()


def open_run(root: Path, command: str) -> Run | None:
    """Return the last run of a folder if it is an interrupted one of this command; errors as `read_runs`."""
    last = read_runs(root)[-1:]
    return next((run for run in last if run.state == WRITING and run.command == command), None)


def close_run(run: Run) -> None:
    """Record that a run is complete, and forget the oldest runs of its folder."""
    run.mark(DONE)
    _forget_oldest(read_runs(run.root))


def _forget_oldest(runs: Sequence[Run]) -> None:
    room = MAX_BYTES
    for age, run in enumerate(reversed(runs)):
        room -= run.backup_bytes()
        if age and (age >= MAX_RUNS or room < 0):
            run.forget()


def sweep_journal(root: Path) -> None:
    """Remove incomplete records that a kill left. The caller must hold the folder's lock."""
    folder = SafeFolder(root)
    for name in _names_of_runs(folder):
        run = f"{JOURNAL}/{name}"
        folder.sweep([f"{run}/{_RUN}"])
        if not folder.is_file(f"{run}/{_RUN}"):
            with writing(root / run):
                folder.remove_tree(run)


def read_restored(root: Path) -> frozenset[str]:
    """Return the folders with an undone deletion; an unreadable note counts as none."""
    try:
        names = json.loads(SafeFolder(root).read(_RESTORED))
    except (OSError, ValueError, RecursionError):
        return frozenset()
    return (
        frozenset(name for name in names if isinstance(name, str)) if isinstance(names, list) else frozenset()
    )


def add_restored(root: Path, names: Collection[str]) -> None:
    """Note further folders with an undone deletion. Raises `CannotWrite`."""
    if names:
        SafeFolder(root).write_json(_RESTORED, sorted(read_restored(root).union(names)))


def clear_restored(root: Path) -> None:
    """Clear that note, when a run is complete. Raises `CannotWrite`."""
    with writing(root / JOURNAL):
        SafeFolder(root).remove(_RESTORED)
