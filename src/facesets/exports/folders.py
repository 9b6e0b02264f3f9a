"""Result folders that can be written again and again, and whose writing may be cut off at any moment.

A folder belongs to its user. Only names that an earlier manifest lists, or that an interrupted run
announced in `.facesets-writing.json`, are ever replaced or removed; and of those not a copy that somebody
edited, nor one whose original is gone.
"""

import errno
import json
import os
import shutil
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO

from facesets.errors import CannotWrite
from facesets.exports.manifest import Failure
from facesets.exports.materialize import Materialize
from facesets.files import FileLock, atomic_write, printable, sweep_temporaries, write_json, writing

ANNOUNCEMENT = ".facesets-writing.json"
_LOCK = ".facesets.lock"
_TEMPORARY = ".facesets-copying.tmp"
_CHUNK = 1 << 20
_FICLONE = 0x40049409


@dataclass(slots=True)
class ResultFolder:
    """An output folder while one run writes into it; made by `writing_results`.

    Attributes
    ----------
    root : Path
    owned : dict
        Relative names that were ours before this run began, or that this run announced, each with the
        photo it is made from; empty for files of our own making.
    kept : dict
        The same, of those that belong to the result of this run.
    copied, unchanged : int
        Photos materialised by this run, and those that lay there already.
    failed : list of Failure
    """

    root: Path
    owned: dict[str, str]
    kept: dict[str, str] = field(default_factory=dict)
    copied: int = 0
    unchanged: int = 0
    failed: list[Failure] = field(default_factory=list)

    def announce(self, names: Mapping[str, str]) -> None:
        """Say durably, before any of it is written, which names this run may write, and from what."""
        before = {name: source for name, source in self.owned.items() if _exists(self._path(name))}
        new = {n: source for n, source in names.items() if n in before or not _exists(self._path(n))}
        self.owned = before | new
        write_json(self.root / ANNOUNCEMENT, dict(sorted(self.owned.items())))

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
        reason = self._materialise(target, source, how)
        if reason:
            self.failed.append(Failure(source, reason))
        if not reason or _exists(target):
            self.kept[name] = source

    def write(self, name: str, content: bytes) -> None:
        """Write a file of our own making, unless it is there already with the same bytes.

        Raises
        ------
        CannotWrite
            The folder cannot be written, or a file of the user's has that name.
        """
        if not _holds(self._path(name), content):
            self.write_with(name, lambda file: file.write(content))
        self.kept[name] = ""

    def write_with(self, name: str, fill: Callable[[IO[bytes]], object]) -> None:
        """Write a file of our own making by a function that fills it; errors as `write`."""
        target = self._path(name)
        if name not in self.owned:
            raise CannotWrite(
                f"{printable(target)} is not ours to replace. Move it away, or choose another OUT."
            )
        with atomic_write(target) as file:
            fill(file)
        self.kept[name] = ""

    def keep(self, names: Iterable[str]) -> None:
        """Count files of our own making from an earlier run among the result, as they are."""
        self.kept |= dict.fromkeys(names, "")

    def _path(self, name: str) -> Path:
        return self.root / PurePosixPath(name)

    def _materialise(self, target: Path, source: str, how: Materialize) -> str:
        """Make the photo lie there; the reason if its source does not allow it, else nothing."""
        try:
            status = Path(source).stat()
            if not stat.S_ISREG(status.st_mode):
                return "not a regular file"
            file = Path(source).open("rb")  # noqa: SIM115 - closed below; opening tells whether it is readable
        except (OSError, ValueError) as error:
            return getattr(error, "strerror", None) or str(error)
        with file:
            if _is_in_place(target, source, status, how) or _was_edited(target, status):
                self.unchanged += 1
                return ""
            temporary = self.root / _TEMPORARY
            with writing(target):
                target.parent.mkdir(parents=True, exist_ok=True)
                temporary.unlink(missing_ok=True)
            reason = _produce(temporary, file, source, how)
            if reason:
                return reason
            with writing(target):
                temporary.replace(target)
        self.copied += 1
        return ""

    def remove_leftovers(self) -> int:
        """Remove what was ours and is not part of this result, and folders that this empties."""
        removed = 0
        for name in sorted(self.owned.keys() - self.kept.keys()):
            path = self._path(name)
            if _may_remove(path, self.owned[name]):
                with writing(path):
                    path.unlink()
                removed += 1
            _remove_empty_parents(path, self.root)
        return removed


@contextmanager
def writing_results(root: Path, earlier: Mapping[str, str]) -> Iterator[ResultFolder]:
    """Take an output folder for one run.

    Parameters
    ----------
    root : Path
        Made if it is not there.
    earlier : mapping
        Relative names that the folder's own manifest lists, with the photos they were made from.

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
        folder = ResultFolder(root, {**earlier, **_announced(root)})
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


def would_remove(root: Path, earlier: Mapping[str, str], planned: Iterable[str]) -> int:
    """How many files a run with this plan would remove; for `--dry-run`."""
    ours = {**earlier, **_announced(root)}
    return sum(_may_remove(root / PurePosixPath(name), ours[name]) for name in ours.keys() - set(planned))


def _announced(root: Path) -> dict[str, str]:
    """Names that an interrupted run announced; they can only lie inside the folder."""
    try:
        names = json.loads((root / ANNOUNCEMENT).read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError) as error:
        raise CannotWrite(
            f"{printable(root / ANNOUNCEMENT)} cannot be read. Look what lies in that folder, remove that "
            "file, and run the same command again."
        ) from error
    return {name: source for name, source in names.items() if is_inside(name)}


def is_inside(name: str) -> bool:
    """Whether a relative name read from a file stays in its folder."""
    parts = PurePosixPath(name).parts
    return bool(parts) and not name.startswith("/") and ".." not in parts


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


def _was_edited(target: Path, source: os.stat_result) -> bool:
    """Whether somebody worked on our copy: it is a file of its own that is newer than its source."""
    try:
        there = target.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    own = stat.S_ISREG(there.st_mode) and not os.path.samestat(there, source)
    return own and there.st_mtime_ns > source.st_mtime_ns


def _may_remove(target: Path, source: str) -> bool:
    """Whether a file of ours can go: not one that was edited, nor the last copy of a photo."""
    if not _exists(target) or target.is_dir():
        return False
    if not source or target.is_symlink():
        return True
    try:
        return not _was_edited(target, Path(source).stat())
    except (OSError, ValueError):
        return False


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
