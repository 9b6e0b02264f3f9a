"""What each run changed in a result folder, so that the run can be taken back.

The journal of a folder is its hidden directory `.facesets-journal`, with a directory for each run that
changed something, such as `0007-extend`:

    run.json        command; when it began; state: `writing`, `done` or `undoing`; other folders that the same
                    run wrote to, relative to this one, so that all can be moved together
    changes.jsonl   a line a change, on the disk before the change is made:
                    [name, kept, [size, mtime_ns] or null, path of the photo that is put there or null]
    kept/<number>   what lay under a name before: a hard link where the file system has them

A name is relative to the folder. `kept` is the number of what there was before, null for nothing; a state of
null says that the name is gone afterwards. Of several lines about one name the first tells what was before,
and each a state in which we left it.

`writing_results` gives every `ResultFolder` its journal, and the folder tells it of each file that it
replaces, makes or removes: whoever writes through a `ResultFolder` needs to do nothing but name its command
there. A run that was cut off leaves the state `writing`; the next run on that folder goes on in the same
directory, so that both are taken back as one. A run that changes nothing leaves no directory.

The last `KEPT_RUNS` runs are kept, fewer where they hold more than `KEPT_BYTES`; the last one always.
`facesets.exports.undo` takes a run back.
"""

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from facesets.errors import CannotWrite, DamagedFile
from facesets.files import (
    cut_torn_line,
    printable,
    sweep_temporaries,
    sync_directory,
    write_json,
    writing,
)

JOURNAL = ".facesets-journal"
KEPT_RUNS = 10
KEPT_BYTES = 2 << 30

WRITING, DONE, UNDOING = "writing", "done", "undoing"

_RUN = "run.json"
_CHANGES = "changes.jsonl"
_KEPT = "kept"
_NAME = re.compile(r"(\d{4,})-[a-z-]+")

State = tuple[int, int] | None
"""Size and time of a file, or that there is none."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a run did to one name.

    Attributes
    ----------
    kept : int or None
        Number of what lay there before; None for nothing.
    left : tuple of State
        Every state in which the run may have left it; the last is that of a run that ended.
    sources : tuple of str
        The photos that the run may have put there; none for a file of our own making.
    """

    kept: int | None
    left: tuple[State, ...]
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Run:
    """A run that a journal knows.

    Attributes
    ----------
    root : Path
        The result folder.
    name : str
        Such as `0007-extend`.
    began : str
        When, in UTC and ISO 8601; empty where an earlier version did not note it.
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
        """Where the journal keeps it."""
        return self.root / JOURNAL / self.name

    @property
    def command(self) -> str:
        """The command that ran."""
        return self.name.partition("-")[2]

    @property
    def number(self) -> int:
        """Runs of a folder count from 1."""
        return _number(self.directory)

    def kept(self, number: int) -> Path:
        """Where a file is, or would be, that lay under some name before."""
        return self.directory / _KEPT / str(number)

    def changes(self) -> dict[str, Change]:
        """Read every change, in the order of the first one to each name.

        Raises
        ------
        DamagedFile
            The list of changes cannot be read.
        """
        return dict(_read_changes(self.directory / _CHANGES))

    def bytes_kept(self) -> int:
        """How much is kept for this run."""
        return sum(path.lstat().st_size for path in (self.directory / _KEPT).glob("*"))

    def mark(self, state: str) -> None:
        """Record a state, durably."""
        also = [_relative(path, self.root) for path in self.also]
        write_json(
            self.directory / _RUN,
            {"command": self.command, "began": self.began, "state": state, "also": also},
        )

    def forget(self) -> None:
        """Remove it from the journal; a kill in between leaves what the next reader takes for rubbish."""
        with writing(self.directory):
            (self.directory / _RUN).unlink(missing_ok=True)
            shutil.rmtree(self.directory)
            with suppress(OSError):
                self.directory.parent.rmdir()


def read_runs(root: Path) -> list[Run]:
    """Every run that can be taken back, oldest first.

    Raises
    ------
    DamagedFile
        A record of the journal cannot be read.
    """
    runs = []
    for directory in sorted(_directories(root), key=_number):
        try:
            raw = json.loads((directory / _RUN).read_bytes())
            also = tuple(Path(os.path.normpath(root.absolute() / path)) for path in raw["also"])
            runs.append(Run(root, directory.name, raw["state"], raw.get("began", ""), also))
        except FileNotFoundError:
            continue
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise _damaged(directory) from error
    return runs


def _relative(path: Path, root: Path) -> str:
    """The way from one folder to another; the absolute path where there is none (drives of Windows)."""
    try:
        return Path(os.path.relpath(path, root)).as_posix()
    except ValueError:
        return str(path.absolute())


def _number(directory: Path) -> int:
    return int(directory.name.partition("-")[0])


def _directories(root: Path) -> Iterator[Path]:
    with suppress(FileNotFoundError, NotADirectoryError):
        yield from (path for path in (root / JOURNAL).iterdir() if _NAME.fullmatch(path.name))


def _damaged(directory: Path) -> DamagedFile:
    return DamagedFile(
        f"{printable(directory)} is damaged. Remove that directory: the run can no longer be taken back, its "
        "results stay."
    )


def _read_changes(path: Path) -> Iterator[tuple[str, Change]]:
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return
    except OSError as error:
        raise _damaged(path.parent) from error
    found: dict[str, Change] = {}
    # What follows the last line break was never finished, so the change was not begun.
    for line in lines[:-1]:
        try:
            name, number, left, *rest = json.loads(line)
            kept = None if number is None else int(number)
            state = None if left is None else (int(left[0]), int(left[1]))
            sources = tuple(str(source) for source in rest if source is not None)
        except (ValueError, TypeError, IndexError) as error:
            raise _damaged(path.parent) from error
        before = found.get(name, Change(kept, ()))
        found[name] = Change(before.kept, (*before.left, state), (*before.sources, *sources))
    yield from found.items()


class Journal:
    """What one run changes in a folder, while it writes; made under the folder's lock."""

    def __init__(self, root: Path, command: str, *, also: Sequence[Path] = (), run: str = "") -> None:
        """Go on in the journal of a run that was cut off, or stand ready for a new one.

        Parameters
        ----------
        also : sequence of Path
            Further folders that the same run writes to.
        run : str
            The name that the run has in those, where it has one already.

        Raises
        ------
        CannotWrite
            An undo was cut off and must be completed first.
        DamagedFile
            A record of the journal cannot be read.
        """
        runs = read_runs(root)
        undoing = next((known for known in runs if known.state == UNDOING), None)
        if undoing is not None:
            raise CannotWrite(
                f"Taking back {undoing.name} was cut off. Run `facesets undo {printable(root)} "
                f"{undoing.name}` first."
            )
        self._root = root
        self._also = tuple(path.absolute() for path in also)
        self._run = runs[-1] if runs and runs[-1].state == WRITING else None
        self._before: Mapping[str, Change] = self._run.changes() if self._run else {}
        self._seen = set(self._before)
        self._name = run or self._next_name(command)

    def _next_name(self, command: str) -> str:
        taken = [run.number for root in (self._root, *self._also) for run in read_runs(root)]
        return f"{max(taken, default=0) + 1:04d}-{command}"

    @property
    def run(self) -> str:
        """The run's name; empty while it has changed nothing."""
        return self._run.name if self._run else ""

    def replacing(self, name: str, new: Path) -> None:
        """Hear that the file `new` is about to be renamed to `name`, whether something lies there or not."""
        self.replacing_all({name: (new, None)})

    def replacing_all(self, new: Mapping[str, tuple[Path, str | None]]) -> None:
        """As `replacing` for many at once, which costs hardly more.

        Parameters
        ----------
        new : mapping
            Name to the file that is about to be renamed to it, and the photo that this is made from.
        """
        states = {name: (path.lstat(), source) for name, (path, source) in new.items()}
        self._note(
            {
                name: ((status.st_size, status.st_mtime_ns), source)
                for name, (status, source) in states.items()
            }
        )

    def removing(self, *names: str) -> None:
        """Hear that files are about to be removed."""
        self._note(dict.fromkeys(names, (None, None)))

    def close(self) -> None:
        """Record that the run is complete, and forget the oldest runs."""
        if self._run is None:
            return
        self._run.mark(DONE)
        _forget_oldest(read_runs(self._root))

    def _note(self, changes: Mapping[str, tuple[State, str | None]]) -> None:
        """Write what is about to become of names, and what lies there before, to the disk."""
        if not changes:
            return
        run = self._begun()
        lines = []
        any_kept = False
        for name, (left, source) in changes.items():
            kept = None
            if name not in self._seen:
                number = len(self._seen)
                with writing(run.kept(number)):
                    there = _keep(self._root / PurePosixPath(name), run.kept(number))
                kept = number if there else None
                any_kept |= there
                self._seen.add(name)
            lines.append(json.dumps([name, kept, left, source]).encode() + b"\n")
        path = run.directory / _CHANGES
        with writing(path):
            if any_kept:
                sync_directory(run.directory / _KEPT)
            with path.open("a+b") as file:
                cut_torn_line(file)
                file.write(b"".join(lines))
                file.flush()
                os.fsync(file.fileno())

    def _begun(self) -> Run:
        if self._run is None:
            began = datetime.now(UTC).isoformat(timespec="seconds")
            run = Run(self._root, self._name, WRITING, began, self._also)
            with writing(run.directory):
                run.directory.mkdir(parents=True)
            run.mark(WRITING)
            (run.directory / _CHANGES).touch()
            for folder in (run.directory, run.directory.parent, self._root):
                sync_directory(folder)
            self._run = run
        return self._run


def _keep(target: Path, place: Path) -> bool:
    """Let the file at `target` stay reachable at `place`; False if there is none."""
    if not os.path.lexists(target):
        return False
    place.parent.mkdir(exist_ok=True)
    place.unlink(missing_ok=True)
    link_or_copy(target, place)
    return True


def link_or_copy(source: Path, place: Path) -> None:
    """Make a file appear at a free place, with its times: as a hard link if that is possible."""
    try:
        os.link(source, place, follow_symlinks=False)
    except (OSError, NotImplementedError):
        shutil.copy2(source, place, follow_symlinks=False)


def _forget_oldest(runs: Sequence[Run]) -> None:
    room = KEPT_BYTES
    for age, run in enumerate(reversed(runs)):
        room -= run.bytes_kept()
        if age and (age >= KEPT_RUNS or room < 0):
            run.forget()


def sweep_journal(root: Path) -> None:
    """Remove what a kill left of runs that were just begun or forgotten. Only the lock's holder may."""
    for directory in _directories(root):
        sweep_temporaries(directory / _RUN)
        if not (directory / _RUN).is_file():
            with writing(directory):
                shutil.rmtree(directory)
