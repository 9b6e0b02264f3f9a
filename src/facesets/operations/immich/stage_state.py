"""The record of staging: a journal during a run, three files at its end.

    state.json     one record for each asset that is finished
    queue.json     what to embed, for `facesets embed --queue`
    aliases.json   further assets with bytes that are staged or known

A record is a line, written to the journal when it becomes true. At the end of a run, records move to
`state.json` in the order of the assets' ids; the other files are extracts of it. So neither memory nor the
cost of a flush grows with the number of assets, and files do not depend on which worker finished first.
"""

import json
import os
import uuid
from array import array
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np

from facesets.errors import Command, DamagedFile, Field, NewerFormat, WrongUsage
from facesets.file_system import patiently
from facesets.files import atomic_write, printable, sweep_temporaries, writing
from facesets.json_lines import append_lines, cut_torn_line, json_line, json_object
from facesets.records import Int64
from facesets.remote.immich_records import parse_id
from facesets.rights import private, tighten_access

VERSION = 1
STATE_FORMAT = "facesets/immich-state"
QUEUE_FORMAT = "facesets/immich-queue"
ALIASES_FORMAT = "facesets/immich-aliases"

_SYNC_EVERY = 200
_OUTCOME_BITS = 3

Outcome = Literal["staged", "alias", "known", "small", "no_face"]
_OUTCOMES: tuple[Outcome, ...] = ("staged", "alias", "known", "small", "no_face")
Record = Mapping[str, Any]


class StageRecord:
    """The record of one user's folder. The writer must hold the folder's lock."""

    def __init__(self, folder: Path, user: str = "", owner_id: str = "") -> None:
        """Name the folder and its account; nothing is read yet."""
        self._state = folder / "state.json"
        self._queue = folder / "queue.json"
        self._aliases = folder / "aliases.json"
        self._journal = folder / "stage.journal"
        self._heading = {"version": VERSION, "user": user, "owner_id": owner_id}
        self._file: IO[bytes] | None = None
        self._unsynced = 0

    @property
    def queue(self) -> Path:
        """The download list, for `embed`."""
        return self._queue

    def exists(self) -> bool:
        """Whether anything was ever staged here."""
        return self._state.exists() or self._journal.exists()

    def records(self) -> Iterator[Record]:
        """Yield every record, those of the journal last; the last record of an asset counts.

        Raises
        ------
        WrongUsage
            The folder holds another account's photos.
        DamagedFile, NewerFormat
            The state cannot be read.
        """
        for path in (self._state, self._journal):
            if path.exists():
                with path.open("rb") as file:
                    self._check_heading(path, file)
                    yield from (record for _, record in _lines(file, path, torn_end=path == self._journal))

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Accept records within the block; at its end write the three files and drop the journal.

        Raises
        ------
        CannotWrite
            No space or no permission; recorded outcomes stay in the journal.
        """
        self._open()
        try:
            yield
        finally:
            self._close()

    def _open(self) -> None:
        with writing(self._journal):
            self._journal.parent.mkdir(parents=True, exist_ok=True)
            tighten_access(self._journal, self._state, self._queue, self._aliases)
            self._file = open(self._journal, "a+b", opener=private)  # noqa: SIM115 - by `_close`
            end = cut_torn_line(self._file)
        if end == 0:
            self.append({"format": STATE_FORMAT, **self._heading})

    def append(self, record: Record) -> None:
        """Store a record durably. Raises `CannotWrite`."""
        if self._file is None:
            raise ValueError("append() is for within writing()")
        with writing(self._journal):
            self._unsynced = (self._unsynced + 1) % _SYNC_EVERY
            append_lines(self._file, [record], sync=self._unsynced == 0)

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
        for path in (self._state, self._queue, self._aliases):
            sweep_temporaries(path)
        self._fold()
        with writing(self._journal):
            patiently(os.unlink, self._journal)

    def _fold(self) -> None:
        # The sources are closed before the state is replaced, as Windows requires.
        with (
            atomic_write(self._state) as state,
            atomic_write(self._queue) as queue,
            atomic_write(self._aliases) as aliases,
            ExitStack() as stack,
        ):
            sources = [
                stack.enter_context(path.open("rb")) for path in (self._journal, self._state) if path.exists()
            ]
            latest = _latest(sources, [self._journal, self._state])
            copied = {row["sha1"] for row in _rows(latest, sources, "alias")}
            paths = {
                row["sha1"]: row["path"]
                for row in (_rows(latest, sources, "staged") if copied else ())
                if row["sha1"] in copied
            }
            finished = _rows(latest, sources, *_OUTCOMES)
            _write_table(state, {"format": STATE_FORMAT, **self._heading}, "assets", finished)
            staged = (_without_outcome(row) for row in _rows(latest, sources, "staged"))
            _write_table(queue, {"format": QUEUE_FORMAT, **self._heading}, "files", staged)
            others = (
                # Null if the bytes are in a known cache.
                {**_without_outcome(row), "path": paths.get(row["sha1"])}
                for row in _rows(latest, sources, "alias", "known")
            )
            _write_table(aliases, {"format": ALIASES_FORMAT, **self._heading}, "aliases", others)

    def _check_heading(self, path: Path, file: IO[bytes]) -> None:
        """Read a file's first line, and leave the file at the second."""
        line = file.readline()
        if path == self._journal:
            if not line.endswith(b"\n"):
                return
            heading = json_object(line, _damaged(path))
        else:
            heading = json_object(line.rstrip(b"\n") + b"]}", _damaged(path))
        if heading.get("format") != STATE_FORMAT or not isinstance(heading.get("version"), int):
            raise _damaged(path)
        if heading["version"] > VERSION:
            raise NewerFormat(
                f"{printable(path)} was written by a newer facesets (version {heading['version']}, this one "
                f"reads up to {VERSION}). Upgrade facesets, or stage into another folder."
            )
        mine = self._heading["owner_id"]
        if mine and heading.get("owner_id") and heading["owner_id"] != mine:
            raise WrongUsage(
                f"{printable(path.parent)} holds photos of another account. Use the API key of that "
                f"account, or another {Field('user')}."
            )


def sha256_by_sha1(out: Path, *, without: Path) -> dict[str, str]:
    """Return the sha256 of contents staged for other users below the same folder, by sha1.

    An unreadable record is ignored here: staging for its user reports it.
    """
    found: dict[str, str] = {}
    for state in sorted(out.glob("*/state.json")):
        if state.parent != without:
            with suppress(DamagedFile, NewerFormat, OSError):
                for row in StageRecord(state.parent).records():
                    if isinstance(row.get("sha256"), str) and row["sha1"]:
                        found[row["sha1"]] = row["sha256"]
    return found


def with_paths(failures: Sequence[tuple[str, str]], folder: Path) -> list[tuple[str, str]]:
    """Return the failures with staged paths in place of server ids."""
    wanted = {what for what, _ in failures}
    paths = {
        str(row["asset_id"]): str(row["original_path"])
        for row in (StageRecord(folder).records() if wanted else ())
        if row["asset_id"] in wanted and row.get("original_path")
    }
    return [(paths.get(what, what), reason) for what, reason in failures]


def seen_key(asset_id: str, sha1: str) -> str:
    """Return the key of an asset with this content."""
    return f"{asset_id}/{sha1}"


def _without_outcome(record: Record) -> Record:
    return {key: value for key, value in record.items() if key != "outcome"}


def _write_table(file: IO[bytes], heading: Record, name: str, rows: Iterator[Record]) -> None:
    """Write a JSON object with one row per line."""
    file.write(json_line(heading).removesuffix(b"}\n") + f', "{name}": ['.encode())
    separator = b"\n"
    for row in rows:
        file.write(separator + json_line(row).rstrip(b"\n"))
        separator = b",\n"
    file.write(b"\n]}\n")


def _latest(sources: Sequence[IO[bytes]], paths: Sequence[Path]) -> Int64:
    """Return the position and outcome of each asset's valid record, ordered by id."""
    ids = bytearray()
    places = array("q")
    for number, (file, path) in reversed(list(enumerate(zip(sources, paths, strict=False)))):
        file.readline()
        for offset, record in _lines(file, path, torn_end=number == 0):
            ids += uuid.UUID(record["asset_id"]).bytes
            place = (offset << 1 | (number == 0)) << _OUTCOME_BITS
            places.append(place | _OUTCOMES.index(record["outcome"]))
    halves = np.frombuffer(bytes(ids), ">u8").reshape(-1, 2)
    order = np.lexsort((np.arange(len(halves)), halves[:, 1], halves[:, 0]))
    ordered = halves[order]
    is_last = np.append((ordered[1:] != ordered[:-1]).any(axis=1), True)[: len(order)]
    latest: Int64 = np.array(places, np.int64)[order[is_last]]
    return latest


def _rows(latest: Int64, sources: Sequence[IO[bytes]], *outcomes: Outcome) -> Iterator[Record]:
    wanted = [_OUTCOMES.index(outcome) for outcome in outcomes]
    for place in map(int, latest[np.isin(latest & ((1 << _OUTCOME_BITS) - 1), wanted)]):
        file = sources[0] if place >> _OUTCOME_BITS & 1 else sources[1]
        file.seek(place >> (_OUTCOME_BITS + 1))
        yield json.loads(file.readline().rstrip(b",\n"))


def _lines(file: IO[bytes], path: Path, *, torn_end: bool) -> Iterator[tuple[int, Record]]:
    """Yield the records below a heading, each with its place in the file."""
    offset, damaged = file.tell(), _damaged(path)
    for line in iter(file.readline, b""):
        whole = line.endswith(b"\n")
        text = line.rstrip(b",\n")
        if text == b"]}" or (torn_end and not whole):
            return
        if text:
            record = json_object(text, damaged)
            if not _is_record(record):
                raise damaged
            yield offset, record
        offset += len(line)


def _is_record(record: Record) -> bool:
    return (
        parse_id(record.get("asset_id")) is not None
        and record.get("outcome") in _OUTCOMES
        and isinstance(record.get("sha1"), str)
    )


def _damaged(path: Path) -> DamagedFile:
    return DamagedFile(
        f"{printable(path)} is damaged. Move it elsewhere and run {Command('immich-stage')} again; "
        "photos that are already there are not downloaded again."
    )
