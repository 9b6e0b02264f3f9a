"""Write the journal of a result folder: each file is recorded before it is changed.

`facesets.results.run_records` describes the files.
"""

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from facesets.errors import CannotWrite, Command
from facesets.files import printable, writing
from facesets.json_lines import append_lines, cut_torn_line
from facesets.results.run_records import (
    BACKUPS,
    CHANGES,
    JOURNAL,
    UNDOING,
    WRITING,
    Run,
    State,
    close_run,
    number_of,
    read_runs,
)
from facesets.results.safe_folder import SafeFolder


class RunJournal:
    """The record of one run's changes in a folder, made under the folder's lock."""

    def __init__(self, root: Path, command: str, *, also: Sequence[Path] = (), run: str = "") -> None:
        """Continue the journal of an interrupted run, or prepare for a new one.

        Parameters
        ----------
        also : sequence of Path
            Further folders that the same run writes to.
        run : str
            The name that the run already has in those. If the last run of this folder has it, too, that run
            is continued although it is complete.

        Raises
        ------
        CannotWrite
            An undo was interrupted and must be completed first.
        DamagedFile
            A record of the journal cannot be read.
        """
        runs = read_runs(root)
        undoing = next((known for known in runs if known.state == UNDOING), None)
        if undoing is not None:
            raise CannotWrite(
                f"Undoing {undoing.name} was interrupted. Run "
                f"{Command('undo', printable(root), undoing.name)} first."
            )
        self._root = root
        self._folder = SafeFolder(root)
        self._also = tuple(path.absolute() for path in also)
        last = runs[-1] if runs else None
        continues = last is not None and (last.state == WRITING or last.name == run)
        self._last = last if continues else None
        self._run = self._last if self._last and self._last.state == WRITING else None
        self._seen = set(self._last.changes() if self._last else ())
        is_free = bool(run) and (last is None or last.number < number_of(run))
        self._name = run if is_free else self._next_name(command)

    def _next_name(self, command: str) -> str:
        taken = [run.number for root in (self._root, *self._also) for run in read_runs(root)]
        return f"{max(taken, default=0) + 1:04d}-{command}"

    @property
    def run(self) -> str:
        """The run's name; empty while it has changed nothing."""
        return self._run.name if self._run else ""

    def replacing(self, name: str, new: os.stat_result) -> None:
        """Record that a file is about to be renamed to `name`, which may exist."""
        self.replacing_all({name: (new, None)})

    def replacing_all(self, new: Mapping[str, tuple[os.stat_result, str | None]]) -> None:
        """As `replacing` for many files at once, at hardly more cost.

        Parameters
        ----------
        new : mapping
            Name to the file that is about to get it, and the photo that the file is made from.
        """
        self._note({n: ((file.st_size, file.st_mtime_ns), source) for n, (file, source) in new.items()})

    def removing(self, *names: str) -> None:
        """Record that files are about to be removed."""
        self._note(dict.fromkeys(names, (None, None)))

    def close(self) -> None:
        """Record that the run is complete, and forget the oldest runs."""
        if self._run is not None:
            close_run(self._run)

    def _note(self, changes: Mapping[str, tuple[State, str | None]]) -> None:
        """Write the coming states of names, and backups of their files, to the disk."""
        if not changes:
            return
        run, folder = self._begun(), self._folder
        lines = []
        has_backups = False
        for name, (left, source) in changes.items():
            backup = None
            if name not in self._seen:
                number = len(self._seen)
                with writing(folder.path(run.backup(number))):
                    there = _back_up(folder, name, run.backup(number))
                backup = number if there else None
                has_backups |= there
                self._seen.add(name)
            lines.append([name, backup, left, source])
        with writing(run.directory / CHANGES):
            if has_backups:
                folder.sync(run.place(BACKUPS))
            with folder.append(run.place(CHANGES)) as file:
                cut_torn_line(file)
                append_lines(file, lines)

    def _begun(self) -> Run:
        if self._run is None and self._last is not None:
            self._last.mark(WRITING)
            self._run = self._last
        if self._run is None:
            began = datetime.now(UTC).isoformat(timespec="seconds")
            run = Run(self._root, self._name, WRITING, began, self._also)
            with writing(run.directory):
                self._folder.make_folder(run.place())
            run.mark(WRITING)
            self._folder.append(run.place(CHANGES)).close()
            for name in (run.place(), JOURNAL, ""):
                self._folder.sync(name)
            self._run = run
        return self._run


def _back_up(folder: SafeFolder, name: str, place: str) -> bool:
    """Link the file of a name to `place`; False if there is none."""
    if not folder.exists(name):
        return False
    folder.make_folder_of(place)
    folder.remove(place)
    folder.link(name, place)
    return True
