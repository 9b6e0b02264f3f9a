"""Result folders that can be written again and again, and whose writing may be cut off at any moment.

A folder belongs to its user. Only names that an earlier manifest lists, or that an interrupted run
announced in `.facesets-writing.json`, are ever replaced or removed; and of those not a copy that somebody
edited, nor one whose original is gone. A copy was edited when its size or time is not the one it was put
there with.
"""

import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from facesets.errors import CannotWrite
from facesets.exports.announcement import ANNOUNCEMENT, believed, ours_in, with_puts
from facesets.exports.aside import place_for_edited, place_for_last_copy
from facesets.exports.journal import Journal, sweep_journal
from facesets.exports.manifest import MANIFEST_NAMES, Failure, PlacedFile
from facesets.exports.materialize import Materialize
from facesets.exports.placing import (
    Puts,
    as_it_is,
    exists,
    is_copy_of,
    is_in_place,
    is_last_copy,
    may_remove,
    produce,
    record_of,
    was_edited,
)
from facesets.exports.reserving import locked
from facesets.files import (
    atomic_write,
    printable,
    sweep_temporaries,
    sync_files,
    write_json,
    writing,
)

_TEMPORARY = ".facesets-copying-{}.tmp"
_TEMPORARIES = ".facesets-copying*.tmp"

# Photos that get their names together, after one wait for the disk. On an SSD (ext4, 200 kB photos) that
# makes copying a third slower; to wait for each photo's line in the journal made it ten times slower.
_TOGETHER = 64


@dataclass(slots=True)
class ResultFolder:
    """An output folder while one run writes into it; made by `writing_results`.

    Attributes
    ----------
    root : Path
    owned : dict
        Relative names that were ours before this run began, or that this run announced, each with what we
        may have put there; nothing for files of our own making.
    kept : dict
        Names that belong to the result of this run, each with what was put there; None as above.
    journal : Journal
        Hears of every file before it is made, replaced or removed.
    copied, unchanged : int
        Photos materialised by this run, and those that lay there already.
    failed : list of Failure
        Photos in whose place a file of the user's lies.
    unreadable : dict
        Reason by photo, of those that could not be read.
    """

    root: Path
    owned: dict[str, Puts]
    journal: Journal
    kept: dict[str, PlacedFile | None] = field(default_factory=dict)
    copied: int = 0
    unchanged: int = 0
    set_aside: int = 0
    failed: list[Failure] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)
    _produced: dict[str, tuple[Path, str | None]] = field(default_factory=dict)

    def refuse_in_the_way(self, names: Iterable[str]) -> None:
        """Make sure, before anything is written, that these names are free or ours.

        Raises
        ------
        CannotWrite
            A file of the user's has one of them.
        """
        for name in names:
            if name not in self.owned and exists(self._path(name)):
                raise _in_the_way(self._path(name))

    def announce(self, names: Mapping[str, str]) -> None:
        """Say durably, before any of it is written, which names this run may write, and from what."""
        before = {name: puts for name, puts in self.owned.items() if exists(self._path(name))}
        free = {
            n: source
            for n, source in names.items()
            if n in before or not exists(self._path(n)) or is_copy_of(self._path(n), source)
        }
        new = {
            name: with_puts(before.get(name, ()), as_it_is(source)) if source else ()
            for name, source in believed(self.root, free).items()
        }
        self.owned = before | new
        record = {name: [astuple(put) for put in puts] for name, puts in sorted(self.owned.items())}
        write_json(self.root / ANNOUNCEMENT, record)

    def place(self, name: str, source: str, how: Materialize) -> None:
        """Put a photo under a relative name. A photo that cannot be read is noted and costs only itself.

        It may get its name later, with others: at the latest when the block of `writing_results` ends.

        Raises
        ------
        CannotWrite
            The folder cannot be written, or cannot hold such links.
        """
        target = self._path(name)
        if name not in self.owned:
            self.failed.append(Failure(source, f"a file of yours lies at {printable(target)}"))
            return
        before = self.owned[name]
        reason, record = self._materialise(name, source, how, before)
        if reason:
            self.unreadable[source] = reason
        if record or exists(target):
            self.kept[name] = record or before[0]

    def write(self, name: str, content: bytes) -> None:
        """Write a file of our own making, unless it is there already with the same bytes.

        Raises
        ------
        CannotWrite
            The folder cannot be written, or a file of the user's has that name.
        """
        if not _holds(self._path(name), content):
            self.write_with(name, lambda file: file.write(content))
        self.kept[name] = None

    def write_with(self, name: str, fill: Callable[[IO[bytes]], object]) -> None:
        """Write a file of our own making by a function that fills it; errors as `write`."""
        target = self._path(name)
        if name not in self.owned:
            raise _in_the_way(target)
        with atomic_write(target, before_replacing=partial(self.journal.replacing, name)) as file:
            fill(file)
        self.kept[name] = None

    def keep(self, names: Iterable[str]) -> None:
        """Count files of our own making from an earlier run among the result, as they are."""
        self.kept |= dict.fromkeys(names)

    def _path(self, name: str) -> Path:
        return self.root / PurePosixPath(name)

    def _materialise(
        self, name: str, source: str, how: Materialize, before: Puts
    ) -> tuple[str, PlacedFile | None]:
        """Make the photo lie there: the reason if its source does not allow it, and what was put there.

        Nothing is put in place of an edited copy.
        """
        target = self._path(name)
        try:
            status = Path(source).stat()
            if not stat.S_ISREG(status.st_mode):
                return "not a regular file", None
            file = Path(source).open("rb")  # noqa: SIM115 - closed below; opening tells whether it is readable
        except (OSError, ValueError) as error:
            return getattr(error, "strerror", None) or str(error), None
        with file:
            in_place = is_in_place(target, source, status, how)
            if in_place or was_edited(target, status, before):
                self.unchanged += 1
                return "", record_of(target, source, status) if in_place else None
            temporary = self.root / _TEMPORARY.format(len(self._produced))
            with writing(target):
                target.parent.mkdir(parents=True, exist_ok=True)
                temporary.unlink(missing_ok=True)
            reason = produce(temporary, file, source, how)
            if reason:
                return reason, None
            record = record_of(temporary, source, status)
        self._produced[name] = (temporary, source)
        self.copied += 1
        if len(self._produced) == _TOGETHER:
            self.flush()
        return "", record

    def flush(self) -> None:
        """Give the photos that were produced their names, once they and the journal are on the disk."""
        if not self._produced:
            return
        sync_files()
        self.journal.replacing_all(self._produced)
        for name, (temporary, _) in self._produced.items():
            with writing(self._path(name)):
                temporary.replace(self._path(name))
        self._produced = {}

    def remove_leftovers(self) -> int:
        """Remove what was ours and is not part of this result, and folders that this empties."""
        left = sorted(self.owned.keys() - self.kept.keys())
        gone = {name for name in left if may_remove(self._path(name), self.owned[name])}
        self.journal.removing(*sorted(gone))
        for name in left:
            path = self._path(name)
            if name in gone:
                with writing(path):
                    path.unlink()
            elif is_last_copy(path, self.owned[name]):
                self._set_aside(name)
            remove_empty_parents(path, self.root)
        return len(gone)

    def set_aside_edited(self, name: str) -> None:
        """Keep a file of ours that somebody worked on, under a name that is theirs."""
        self.move(name, place_for_edited(self.root, name))

    def move(self, name: str, place: str) -> None:
        """Give a file another name, in place of what lies there."""
        source, target = self._path(name), self._path(place)
        with writing(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            self.journal.replacing(place, source)
            self.journal.removing(name)
            source.replace(target)

    def rename(self, names: Mapping[str, str]) -> set[str]:
        """Give files of ours other names where those are free; a file that somebody worked on goes along.

        Parameters
        ----------
        names : mapping of old name to new name
            The new ones are announced.

        Returns
        -------
        set of str
            The old names that are no more.
        """
        free = {
            old: new
            for old, new in names.items()
            if new in self.owned and exists(self._path(old)) and not exists(self._path(new))
        }
        self.journal.replacing_all({new: (self._path(old), None) for old, new in free.items()})
        self.journal.removing(*free)
        for old, new in free.items():
            with writing(self._path(new)):
                self._path(old).replace(self._path(new))
            self.owned[new] = with_puts(self.owned[new], *self.owned.get(old, ()))
        return {old for old in names if not exists(self._path(old))}

    def remove(self, names: Iterable[str]) -> None:
        """Remove files that are ours."""
        names = [name for name in names if exists(self._path(name))]
        self.journal.removing(*names)
        for name in names:
            with writing(self._path(name)):
                self._path(name).unlink()

    def write_manifest(self, name: str, content: bytes) -> None:
        """Write the manifest, unless it is there with the same bytes."""
        path = self.root / name
        if not _holds(path, content):
            with atomic_write(path, before_replacing=partial(self.journal.replacing, name)) as file:
                file.write(content)

    def _set_aside(self, name: str) -> None:
        """Keep the last copy of a photo, but not among the photos of whoever has that folder now."""
        path = self._path(name)
        aside, is_there = place_for_last_copy(self.root, path)
        if is_there:
            with writing(path):
                self.journal.removing(name)
                path.unlink()
            return
        self.move(name, aside)
        self.set_aside += 1


@contextmanager
def writing_results(
    root: Path,
    earlier: Mapping[str, PlacedFile | None],
    command: str,
    *,
    also: Sequence[Path] = (),
    run: str = "",
) -> Iterator[ResultFolder]:
    """Write a result, in an output folder that is `reserved`.

    Parameters
    ----------
    root : Path
    earlier : mapping
        Relative names that the folder's own manifest lists, with what was put there.
    command : str
        What runs, for the journal.
    also, run
        Of a run that writes to several folders: the others, and the name that it has there already.

    Raises
    ------
    CannotWrite
        The folder cannot be written, or an undo of it was cut off.
    """
    sweep_temporaries(root / ANNOUNCEMENT, *(root / name for name in MANIFEST_NAMES))
    sweep_journal(root)
    journal = Journal(root, command, also=also, run=run)
    folder = ResultFolder(root, ours_in(root, earlier), journal)
    sweep_interrupted(root, folder.owned)
    _sweep_copying(root)
    try:
        yield folder
        folder.flush()
    finally:
        _sweep_copying(root)


def _sweep_copying(root: Path) -> None:
    for temporary in root.glob(_TEMPORARIES):
        temporary.unlink(missing_ok=True)


def sweep_interrupted(root: Path, owned: Iterable[str]) -> None:
    """Remove half-written files of a run that was cut off, wherever it may have been writing."""
    if (root / ANNOUNCEMENT).is_file():
        names = [*owned, *MANIFEST_NAMES]
        sweep_temporaries(*(root / PurePosixPath(name) for name in names))


def finish(folder: ResultFolder, manifest_name: str, content: bytes) -> int:
    """Remove leftovers, write the manifest as the last file, and withdraw the announcement.

    Returns
    -------
    int
        Files of earlier runs that were removed.
    """
    folder.flush()
    removed = folder.remove_leftovers()
    if folder.copied:
        sync_files()
    folder.write_manifest(manifest_name, content)
    folder.journal.close()
    (folder.root / ANNOUNCEMENT).unlink(missing_ok=True)
    return removed


def write_drawings(root: Path, drawings: Mapping[str, bytes], command: str) -> None:
    """Put files beside a result that are no part of it, in place of what an earlier run drew there.

    They are a run of their own in the journal, or part of one that was cut off: that stays so.

    Parameters
    ----------
    drawings : mapping
        Contents by relative name.

    Raises
    ------
    AlreadyRunning, CannotWrite
        As `writing_results`.
    """
    cut_off = (root / ANNOUNCEMENT).is_file()
    with locked(root), writing_results(root, dict.fromkeys(drawings), command) as folder:
        sweep_temporaries(*(root / PurePosixPath(name) for name in drawings))
        for name, content in drawings.items():
            folder.write(name, content)
        if not cut_off:
            folder.journal.close()


def would_remove(root: Path, earlier: Mapping[str, PlacedFile | None], planned: Iterable[str]) -> int:
    """How many files a run with this plan would remove; for `--dry-run`."""
    ours = ours_in(root, earlier)
    return sum(may_remove(root / PurePosixPath(name), ours[name]) for name in ours.keys() - set(planned))


def _in_the_way(target: Path) -> CannotWrite:
    return CannotWrite(f"{printable(target)} is not ours to replace. Move it away, or choose another OUT.")


def _holds(path: Path, content: bytes) -> bool:
    try:
        return path.stat().st_size == len(content) and path.read_bytes() == content
    except (FileNotFoundError, NotADirectoryError):
        return False


def remove_empty_parents(path: Path, root: Path) -> None:
    """Remove the folders above a file that is gone, as far as they are empty."""
    for parent in path.parents:
        if parent == root:
            return
        try:
            parent.rmdir()
        except OSError:
            return
