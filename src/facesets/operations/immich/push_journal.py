"""The journal of one run of `immich-push`: each request, and its outcome.

Each run has a file, with one record per line; a record is on the disk before its request is sent. An undo
uses nothing else.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal, TypeVar

import msgspec

from facesets.errors import DamagedFile, NewerFormat, WrongUsage
from facesets.file_system import patiently
from facesets.files import printable, sync_directory, writing
from facesets.json_lines import append_lines, cut_torn_line, json_object, whole_lines
from facesets.operations.immich.push_changes import Outcome, PushChange, from_json
from facesets.rights import private, tighten_access

FORMAT = "facesets/immich-push"
VERSION = 1

T = TypeVar("T")


@dataclass(slots=True)
class JournalEntry:
    """A change in the journal. Without an outcome it is unknown whether it took effect."""

    number: int
    change: PushChange
    outcome: Outcome | None = None
    is_void: bool = False
    is_undo: bool = False


@dataclass(slots=True)
class PushJournal:
    """The journal of one run. The writer must hold the folder's lock."""

    path: Path
    heading: Mapping[str, Any]
    changes: dict[int, JournalEntry] = field(default_factory=dict)
    is_ended: bool = False
    is_undone: bool = False
    is_given_up: bool = False
    _file: IO[bytes] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def run(self) -> str:
        """The run's name."""
        return self.path.stem

    @property
    def open_changes(self) -> list[JournalEntry]:
        """Changes with an unknown outcome."""
        return [each for each in self.changes.values() if each.outcome is None and not each.is_void]

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Accept records within the block. Raises `CannotWrite`."""
        with writing(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            is_new = not self.path.exists()
            tighten_access(self.path)
            self._file = open(self.path, "a+b", opener=private)  # noqa: SIM115 - closed below
        try:
            if is_new:
                self._append(self.heading)
                sync_directory(self.path.parent)
            else:
                with writing(self.path):
                    cut_torn_line(self._file)
            yield
        finally:
            self._file.close()
            self._file = None

    @property
    def has_effect(self) -> bool:
        """Whether the run is known to have changed anything."""
        return any(not each.is_void and not each.is_undo for each in self.changes.values())

    @property
    def is_being_undone(self) -> bool:
        """Whether an undo began and has not ended."""
        return not self.is_ended and any(each.is_undo for each in self.changes.values())

    def made(self, kind: type[T], *, by_undo: bool = False) -> list[tuple[T, Outcome]]:
        """Return the changes of a kind that took effect, in order, by the run or its undo."""
        return [
            (each.change, each.outcome)
            for each in self.changes.values()
            if isinstance(each.change, kind) and each.outcome is not None and each.is_undo == by_undo
        ]

    def record_intent(self, change: PushChange, *, is_undo: bool = False) -> JournalEntry:
        """Record a request before it is sent."""
        with self._lock:
            entry = JournalEntry(len(self.changes), change, is_undo=is_undo)
            self.changes[entry.number] = entry
            record = {"change": entry.number, "intent": msgspec.to_builtins(change)}
            self._append({**record, "undo": True} if is_undo else record)
            self.is_ended = False
        return entry

    def record_outcome(self, entry: JournalEntry, outcome: Outcome | None) -> None:
        """Record the outcome of a request; None if it had none."""
        with self._lock:
            entry.outcome, entry.is_void = outcome, outcome is None
            self._append({"change": entry.number, "outcome": outcome})

    def end(self, how: Literal["done", "undone", "given up"] = "done") -> None:
        """Record the end of the run, or of its complete or partial undo."""
        record = {"end": how}
        with self._lock:
            self._append(record)
        _apply_record(self, record)

    def discard_if_empty(self) -> None:
        """Remove the journal of a run that changed nothing."""
        if not self.has_effect:
            with writing(self.path):
                patiently(Path.unlink, self.path, missing_ok=True)
                with suppress(OSError):
                    self.path.parent.rmdir()

    def _append(self, record: Mapping[str, Any]) -> None:
        if self._file is None:
            raise ValueError("records are for within writing()")
        with writing(self.path):
            append_lines(self._file, [record])


def journals(folder: Path) -> list[PushJournal]:
    """Return the journals of all runs, oldest first.

    Raises
    ------
    DamagedFile, NewerFormat
        One of them cannot be read.
    """
    return [
        _read(path)
        for path in sorted((folder / "push").glob("*.jsonl"), key=lambda path: path.stem)
        if _has_heading(path)
    ]


def find_journal(folder: Path, run: str) -> PushJournal:
    """Find the journal of a run by name, or by `last` that of the last run not undone.

    Raises
    ------
    WrongUsage
        There is no such run, or it was undone: what now equals its changes comes from a later run or a user.
    """
    known = [journal for journal in journals(folder) if journal.has_effect]
    if run == "last":
        known = [journal for journal in known if not (journal.is_undone or journal.is_given_up)]
    named = known if run == "last" else [journal for journal in known if journal.run == run]
    if not named:
        if not known:
            raise WrongUsage(f"{printable(folder)} has no run of immich-push to undo.")
        names = ", ".join(journal.run for journal in known[-5:])
        raise WrongUsage(f"Run {printable(run)} not found. The latest runs are: {names}.")
    if named[-1].is_undone or named[-1].is_given_up:
        raise WrongUsage(f"Run {named[-1].run} was already undone.")
    return named[-1]


def new_journal(folder: Path, when: str, owner_id: str) -> PushJournal:
    """Make the journal of a new run; nothing is written yet."""
    path = folder / "push" / f"{when}.jsonl"
    number = 1
    while path.exists():
        number += 1
        path = folder / "push" / f"{when}-{number}.jsonl"
    return PushJournal(path, {"format": FORMAT, "version": VERSION, "owner_id": owner_id})


def _has_heading(path: Path) -> bool:
    """Whether a journal has its heading; without it the run changed nothing."""
    return len(whole_lines(path.read_bytes())) > 0


def _read(path: Path) -> PushJournal:
    records = [json_object(line, _damaged(path)) for line in whole_lines(path.read_bytes())]
    heading = records[0]
    if heading.get("format") != FORMAT or not isinstance(heading.get("version"), int):
        raise _damaged(path)
    if heading["version"] > VERSION:
        raise NewerFormat(f"{printable(path)} was written by a newer facesets. Upgrade facesets.")
    journal = PushJournal(path, heading)
    for record in records[1:]:
        _apply_record(journal, record)
    return journal


def _apply_record(journal: PushJournal, record: Mapping[str, Any]) -> None:
    if "end" in record:
        journal.is_ended = True
        journal.is_undone = journal.is_undone or record["end"] == "undone"
        journal.is_given_up = journal.is_given_up or record["end"] == "given up"
        return
    number = record.get("change")
    if isinstance(number, int) and isinstance(record.get("intent"), dict):
        change = from_json(record["intent"], printable(journal.path))
        journal.changes[number] = JournalEntry(number, change, is_undo=record.get("undo") is True)
        journal.is_ended = False
    elif number in journal.changes and "outcome" in record:
        entry = journal.changes[number]
        entry.outcome, entry.is_void = record["outcome"], record["outcome"] is None
    else:
        raise _damaged(journal.path)


def _damaged(path: Path) -> DamagedFile:
    return DamagedFile(
        f"{printable(path)} is damaged, so that run can only be undone by hand. Move the file away to "
        "push again."
    )
