"""The journal of a result folder as a run writes it: what the folder holds is noted before it is changed.

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
    CHANGES,
    JOURNAL,
    KEPT,
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
    """What one run changes in a folder, while it writes; made under the folder's lock."""

    def __init__(self, root: Path, command: str, *, also: Sequence[Path] = (), run: str = "") -> None:
        """Go on in the journal of a run that was cut off, or stand ready for a new one.

        Parameters
        ----------
        also : sequence of Path
            Further folders that the same run writes to.
        run : str
            The name that the run has in those, where it has one already. Where it is the last run of this
            folder, too, that one goes on, complete as it was.

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
                f"Undoing {undoing.name} was interrupted. Run "
                f"{Command('undo', printable(root), undoing.name)} first."
            )
        self._root = root
        self._folder = SafeFolder(root)
        self._also = tuple(path.absolute() for path in also)
        last = runs[-1] if runs else None
        goes_on = last is not None and (last.state == WRITING or last.name == run)
        self._last = last if goes_on else None
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
        """Hear that a file is about to be renamed to `name`, whether something exists there or not."""
        self.replacing_all({name: (new, None)})

    def replacing_all(self, new: Mapping[str, tuple[os.stat_result, str | None]]) -> None:
        """As `replacing` for many at once, which costs hardly more.

        Parameters
        ----------
        new : mapping
            Name to the file that is about to be renamed to it, and the photo that this is made from.
        """
        self._note({n: ((file.st_size, file.st_mtime_ns), source) for n, (file, source) in new.items()})

    def removing(self, *names: str) -> None:
        """Hear that files are about to be removed."""
        self._note(dict.fromkeys(names, (None, None)))

    def close(self) -> None:
        """Record that the run is complete, and forget the oldest runs."""
        if self._run is not None:
            close_run(self._run)

    def _note(self, changes: Mapping[str, tuple[State, str | None]]) -> None:
        """Write what is about to become of names, and what is there before, to the disk."""
        if not changes:
            return
        run, folder = self._begun(), self._folder
        lines = []
        any_kept = False
        for name, (left, source) in changes.items():
            kept = None
            if name not in self._seen:
                number = len(self._seen)
                with writing(folder.path(run.kept(number))):
                    there = _keep(folder, name, run.kept(number))
                kept = number if there else None
                any_kept |= there
                self._seen.add(name)
            lines.append([name, kept, left, source])
        with writing(run.directory / CHANGES):
            if any_kept:
                folder.sync(run.place(KEPT))
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


def _keep(folder: SafeFolder, name: str, place: str) -> bool:
    """Let the file under a name stay reachable at `place`; False if there is none."""
    if not folder.exists(name):
        return False
    folder.make_folder_of(place)
    folder.remove(place)
    folder.link(name, place)
    return True
