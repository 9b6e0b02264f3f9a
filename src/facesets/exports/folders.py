"""Result folders that can be written again and again, and whose writing may be cut off at any moment.

A folder belongs to its user. Only names that an earlier manifest lists, or that an interrupted run
announced in `.facesets-writing.json`, are ever replaced or removed; and of those not a copy that somebody
edited, nor one whose original is gone. A copy was edited when its size or time is not the one it was put
there with.
"""

import errno
import json
import os
import shutil
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import astuple, dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, TypeVar

from facesets.errors import CannotWrite
from facesets.exports.manifest import Failure, PlacedFile
from facesets.exports.materialize import Materialize
from facesets.files import FileLock, atomic_write, printable, sweep_temporaries, write_json, writing

WITHOUT_ORIGINAL = "_without_original"
ANNOUNCEMENT = ".facesets-writing.json"
_LOCK = ".facesets.lock"
_TEMPORARY = ".facesets-copying.tmp"
_CHUNK = 1 << 20
_FICLONE = 0x40049409
_T = TypeVar("_T")

Puts = tuple[PlacedFile, ...]
"""What may lie under a name of ours: a run that was cut off has replaced it or not. Empty for no photo."""


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
    copied, unchanged : int
        Photos materialised by this run, and those that lay there already.
    failed : list of Failure
        Photos in whose place a file of the user's lies.
    unreadable : dict
        Reason by photo, of those that could not be read.
    """

    root: Path
    owned: dict[str, Puts]
    kept: dict[str, PlacedFile | None] = field(default_factory=dict)
    copied: int = 0
    unchanged: int = 0
    set_aside: int = 0
    failed: list[Failure] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)

    def refuse_in_the_way(self, names: Iterable[str]) -> None:
        """Make sure, before anything is written, that these names are free or ours.

        Raises
        ------
        CannotWrite
            A file of the user's has one of them.
        """
        for name in names:
            if name not in self.owned and _exists(self._path(name)):
                raise _in_the_way(self._path(name))

    def announce(self, names: Mapping[str, str]) -> None:
        """Say durably, before any of it is written, which names this run may write, and from what."""
        before = {name: puts for name, puts in self.owned.items() if _exists(self._path(name))}
        free = {n: source for n, source in names.items() if n in before or not _exists(self._path(n))}
        new = {
            name: _with(before.get(name, ()), _as_it_is(source)) if source else ()
            for name, source in _believed(self.root, free).items()
        }
        self.owned = before | new
        record = {name: [astuple(put) for put in puts] for name, puts in sorted(self.owned.items())}
        write_json(self.root / ANNOUNCEMENT, record)

    def place(self, name: str, source: str, how: Materialize) -> None:
        """Put a photo under a relative name. A photo that cannot be read is noted and costs only itself.

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
        reason, record = self._materialise(target, source, how, before)
        if reason:
            self.unreadable[source] = reason
        if record or _exists(target):
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
        with atomic_write(target) as file:
            fill(file)
        self.kept[name] = None

    def keep(self, names: Iterable[str]) -> None:
        """Count files of our own making from an earlier run among the result, as they are."""
        self.kept |= dict.fromkeys(names)

    def _path(self, name: str) -> Path:
        return self.root / PurePosixPath(name)

    def _materialise(
        self, target: Path, source: str, how: Materialize, before: Puts
    ) -> tuple[str, PlacedFile | None]:
        """Make the photo lie there: the reason if its source does not allow it, and what was put there.

        Nothing is put in place of an edited copy.
        """
        try:
            status = Path(source).stat()
            if not stat.S_ISREG(status.st_mode):
                return "not a regular file", None
            file = Path(source).open("rb")  # noqa: SIM115 - closed below; opening tells whether it is readable
        except (OSError, ValueError) as error:
            return getattr(error, "strerror", None) or str(error), None
        with file:
            in_place = _is_in_place(target, source, status, how)
            if in_place or _was_edited(target, status, before):
                self.unchanged += 1
                return "", _record(target, source, status) if in_place else None
            temporary = self.root / _TEMPORARY
            with writing(target):
                target.parent.mkdir(parents=True, exist_ok=True)
                temporary.unlink(missing_ok=True)
            reason = _produce(temporary, file, source, how)
            if reason:
                return reason, None
            with writing(target):
                temporary.replace(target)
        self.copied += 1
        return "", _record(target, source, status)

    def remove_leftovers(self) -> int:
        """Remove what was ours and is not part of this result, and folders that this empties."""
        removed = 0
        for name in sorted(self.owned.keys() - self.kept.keys()):
            path = self._path(name)
            if _may_remove(path, self.owned[name]):
                with writing(path):
                    path.unlink()
                removed += 1
            elif _is_last_copy(path, self.owned[name]):
                self._set_aside(path)
            _remove_empty_parents(path, self.root)
        return removed

    def _set_aside(self, path: Path) -> None:
        """Keep the last copy of a photo, but not among the photos of whoever has that folder now."""
        place = self.root / WITHOUT_ORIGINAL / path.name
        with writing(place):
            place.parent.mkdir(exist_ok=True)
            if not _exists(place):
                path.replace(place)
                self.set_aside += 1
            elif place.is_file() and place.read_bytes() == path.read_bytes():
                # A photo of several people lay in each of their folders.
                path.unlink()


@contextmanager
def writing_results(root: Path, earlier: Mapping[str, PlacedFile | None]) -> Iterator[ResultFolder]:
    """Take an output folder for one run.

    Parameters
    ----------
    root : Path
        Made if it is not there.
    earlier : mapping
        Relative names that the folder's own manifest lists, with what was put there.

    Raises
    ------
    AlreadyRunning
        Another run writes there.
    CannotWrite
        The folder cannot be made.
    """
    with writing(root):
        root.mkdir(parents=True, exist_ok=True)
    with FileLock(root / _LOCK, what=printable(root)):
        sweep_temporaries(root / ANNOUNCEMENT)
        folder = ResultFolder(root, _ours(root, earlier))
        try:
            yield folder
        finally:
            (root / _TEMPORARY).unlink(missing_ok=True)


def finish(folder: ResultFolder, manifest_name: str, content: bytes) -> int:
    """Remove leftovers, write the manifest as the last file, and withdraw the announcement.

    Returns
    -------
    int
        Files of earlier runs that were removed.
    """
    removed = folder.remove_leftovers()
    with atomic_write(folder.root / manifest_name) as file:
        file.write(content)
    (folder.root / ANNOUNCEMENT).unlink(missing_ok=True)
    return removed


def would_remove(root: Path, earlier: Mapping[str, PlacedFile | None], planned: Iterable[str]) -> int:
    """How many files a run with this plan would remove; for `--dry-run`."""
    ours = _ours(root, earlier)
    return sum(_may_remove(root / PurePosixPath(name), ours[name]) for name in ours.keys() - set(planned))


def _ours(root: Path, earlier: Mapping[str, PlacedFile | None]) -> dict[str, Puts]:
    """Names listed by a manifest or announced by an interrupted run, with what may have been put there."""
    ours: dict[str, Puts] = {name: (put,) if put else () for name, put in earlier.items()}
    for name, puts in _announced(root).items():
        ours[name] = _with(ours.get(name, ()), *puts)
    return _believed(root, ours)


def _announced(root: Path) -> dict[str, Puts]:
    """What an interrupted run announced."""
    try:
        raw = json.loads((root / ANNOUNCEMENT).read_bytes())
        return {name: tuple(_placed(*put) for put in puts) for name, puts in raw.items()}
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise CannotWrite(
            f"{printable(root / ANNOUNCEMENT)} cannot be read. Look what lies in that folder, remove that "
            "file, and run the same command again."
        ) from error


def _placed(source: object, size: object, mtime_ns: object) -> PlacedFile:
    if isinstance(source, str) and isinstance(size, int) and isinstance(mtime_ns, int):
        return PlacedFile(source, size, mtime_ns)
    raise TypeError


def _with(puts: Puts, *more: PlacedFile) -> Puts:
    return tuple(dict.fromkeys([*puts, *more]))


def _as_it_is(source: str) -> PlacedFile:
    """A photo as a copy of it would be now."""
    try:
        status = Path(source).stat()
    except (OSError, ValueError):
        return PlacedFile(source, -1, -1)
    return PlacedFile(source, status.st_size, status.st_mtime_ns)


def _believed(root: Path, names: Mapping[str, _T]) -> dict[str, _T]:
    """Leave out names that lead out of the folder, by themselves or through a linked directory."""
    top = Path(os.path.realpath(root))
    parents = {PurePosixPath(name).parent for name in names if is_inside(name)}
    within = {parent for parent in parents if _leads_into(top, root / parent)}
    return {n: what for n, what in names.items() if is_inside(n) and PurePosixPath(n).parent in within}


def _leads_into(top: Path, folder: Path) -> bool:
    # Unlike Path.resolve, this does not raise where links go in circles.
    return Path(os.path.realpath(folder)).is_relative_to(top)


def is_inside(name: str) -> bool:
    r"""Whether a relative name read from a file stays in its folder, on every system.

    No name of ours holds `\` or `:`, which lead elsewhere on Windows.
    """
    parts = PurePosixPath(name).parts
    return bool(parts) and ".." not in parts and not name.startswith("/") and not set(name) & set("\\:\0")


def _in_the_way(target: Path) -> CannotWrite:
    return CannotWrite(f"{printable(target)} is not ours to replace. Move it away, or choose another OUT.")


def _exists(path: Path) -> bool:
    return os.path.lexists(path)


def _holds(path: Path, content: bytes) -> bool:
    try:
        return path.stat().st_size == len(content) and path.read_bytes() == content
    except (FileNotFoundError, NotADirectoryError):
        return False


def _is_in_place(target: Path, source: str, status: os.stat_result, how: Materialize) -> bool:
    """Whether the photo lies there in the wanted way; a copy is known by size and time."""
    try:
        there = target.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    if how == "symlink":
        return target.is_symlink() and target.readlink() == Path(source)
    if target.is_symlink():
        return False
    same_file = os.path.samestat(there, status)
    if how == "hardlink":
        return same_file
    return not same_file and (there.st_size, there.st_mtime_ns) == (status.st_size, status.st_mtime_ns)


def _record(target: Path, source: str, status: os.stat_result) -> PlacedFile:
    """A photo as it lies there now; a link has the state of what it points to."""
    there = target.lstat()
    if stat.S_ISLNK(there.st_mode):
        there = status
    return PlacedFile(source, there.st_size, there.st_mtime_ns)


def _was_edited(target: Path, source: os.stat_result, puts: Puts) -> bool:
    """Whether somebody worked on our copy: it is a file of its own, and not as we put it there."""
    try:
        there = target.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    if not stat.S_ISREG(there.st_mode) or os.path.samestat(there, source):
        return False
    return (there.st_size, there.st_mtime_ns) not in {(put.size, put.mtime_ns) for put in puts}


def _may_remove(target: Path, puts: Puts) -> bool:
    """Whether a file of ours can go: not one that was edited, nor the last copy of a photo."""
    if not _exists(target) or target.is_dir():
        return False
    if not puts or target.is_symlink():
        return True
    try:
        return not _was_edited(target, Path(puts[-1].source).stat(), puts)
    except (OSError, ValueError):
        return False


def _is_last_copy(target: Path, puts: Puts) -> bool:
    """Whether it lies there as it was put, and the photo that it was made from is gone."""
    try:
        there = target.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    unedited = (there.st_size, there.st_mtime_ns) in {(put.size, put.mtime_ns) for put in puts}
    return unedited and stat.S_ISREG(there.st_mode) and not any(_exists(Path(put.source)) for put in puts)


def _produce(temporary: Path, file: IO[bytes], source: str, how: Materialize) -> str:
    """Make the copy or link under a temporary name; the reason if the source fails, else nothing."""
    if how == "copy":
        return _copy(temporary, file)
    try:
        if how == "hardlink":
            os.link(source, temporary, follow_symlinks=True)
        else:
            temporary.symlink_to(source)
    except OSError as error:
        if error.errno in (errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EMLINK):
            raise CannotWrite(
                f"{printable(temporary.parent)} cannot hold a {how} to {printable(source)} "
                f"({error.strerror}). Use --materialize copy."
            ) from error
        with writing(temporary):
            raise
    return ""


def _copy(temporary: Path, file: IO[bytes]) -> str:
    """Clone the bytes where the file system can, else copy them, and keep the times."""
    status = os.fstat(file.fileno())
    with writing(temporary), temporary.open("wb") as copy:
        if not _clone(file, copy):
            try:
                block = file.read(_CHUNK)
                while block:
                    copy.write(block)
                    block = file.read(_CHUNK)
            except OSError as error:
                if error.errno in (errno.EIO, errno.ESTALE):
                    return error.strerror or "cannot be read"
                raise
    with writing(temporary):
        os.utime(temporary, ns=(status.st_atime_ns, status.st_mtime_ns))
        shutil.copymode(file.name, temporary)
    return ""


def _clone(source: IO[bytes], target: IO[bytes]) -> bool:
    """Share the bytes copy-on-write (Btrfs, XFS, bcachefs); False where that is not possible."""
    if sys.platform != "linux":
        return False
    import fcntl

    try:
        fcntl.ioctl(target.fileno(), _FICLONE, source.fileno())
    except OSError:
        return False
    return True


def _remove_empty_parents(path: Path, root: Path) -> None:
    for parent in path.parents:
        if parent == root:
            return
        try:
            parent.rmdir()
        except OSError:
            return
