"""Files written whole or not at all, locks released when their holder dies, hashes, safe texts."""

import errno
import hashlib
import json
import os
import re
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Self

from facesets.errors import AlreadyRunning, CannotWrite, WrongUsage
from facesets.file_system import IN_USE, REMOVES_OPEN_FILES, lock, patiently, unlock
from facesets.joiners import made_printable

LONGEST_STEM = 80
"""Maximum characters of a name that are part of the name of its temporary file."""

_LATEST_NS = 2**63 - 1
_HELD = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)
"""Errors of systems for a lock that another process holds; after any other error, none holds it."""

_NAME_PARTS = re.compile(r"[/_.]*[^/_.]+(?:\.[^/_.]{1,5}$)?_*|[/_.]+")

RUN_RECORD = "facesets-run.json"
"""The record that marks a folder made by `run`; beside its results there may be photos."""

RUN_CACHE, PEOPLE, SETS, PAGES = "faces.npz", "people", "facesets", "pages"
"""Results of `run` beside that record: faces, folders of people, face sets, pages with thumbnails."""


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the system's refusals to write at `path` into a sentence.

    Raises
    ------
    CannotWrite
        The disk is full, a limit is reached, or permission is missing.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise CannotWrite(
                f"No space left to write {printable(path)}. Free some space and run the same command again "
                "to resume."
            ) from error
        if error.errno == errno.ELOOP:
            raise CannotWrite(
                f"{printable(path)} is behind a link, and links are not followed here. Remove the link, or "
                "replace it with its target."
            ) from error
        if error.errno == errno.ENAMETOOLONG:
            raise CannotWrite(
                f"The name {printable(path)} is too long for the disk. Choose a shorter one."
            ) from error
        if getattr(error, "winerror", 0) in IN_USE:
            raise CannotWrite(
                f"{printable(path)} is open in another program. Close it there, then run the same command "
                "again."
            ) from error
        raise CannotWrite(
            f"Cannot write {printable(path)} ({error.strerror}). Choose a place that you can write to."
        ) from error


@contextmanager
def atomic_write(
    path: Path, *, rights: int = 0, before_replacing: Callable[[Path], object] | None = None
) -> Iterator[IO[bytes]]:
    """Open a file that replaces `path` when the block ends well and leaves no trace otherwise.

    The bytes are on the disk before the name points to them. Groups and others get these `rights`, within
    the umask and those of an existing file. `before_replacing` is called with the finished file,
    just before it gets its name.

    Raises
    ------
    CannotWrite
        As `writing`.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            dir=path.parent, prefix=f".{path.name[:LONGEST_STEM]}.", suffix=".tmp"
        )
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            with suppress(FileNotFoundError):
                there = path.lstat()
                rights &= there.st_mode
                is_root = hasattr(os, "geteuid") and os.geteuid() == 0
                if is_root and hasattr(os, "chown"):
                    # If run by root, as in a container, the owner must still be able to read it.
                    with suppress(PermissionError):
                        os.chown(temporary, there.st_uid, there.st_gid)
            temporary.chmod(0o600 | rights)
            if before_replacing is not None:
                before_replacing(temporary)
            patiently(os.replace, temporary, path)
        except BaseException:
            with suppress(FileNotFoundError):
                patiently(os.unlink, temporary)
            raise
        sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make names in a directory durable, if the system supports that."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_files() -> None:
    """Make everything written so far durable by one call, if the system has such a call.

    For a thousand files this takes no longer than `fsync` of a few.
    """
    if hasattr(os, "sync"):
        os.sync()


def sweep_temporaries(*paths: Path) -> None:
    """Remove leftovers of killed `atomic_write`s to these paths. Only the lock's holder may."""
    folders: dict[Path, set[str]] = {}
    for path in paths:
        folders.setdefault(path.parent, set()).add(path.name[:LONGEST_STEM])
    for folder, stems in folders.items():
        for leftover in folder.glob(".*.tmp"):
            if leftover.name[1:].removesuffix(".tmp").rpartition(".")[0] in stems:
                # A leftover that cannot be removed does no harm; the next write there reports why.
                with suppress(OSError):
                    patiently(os.unlink, leftover)


def json_bytes(value: Any) -> bytes:  # noqa: ANN401 - whatever JSON can hold
    r"""UTF-8 JSON. Bytes of a file name that are not UTF-8 come out as `\udcXX` and read back the same."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return text.encode("utf-8", errors="backslashreplace") + b"\n"


def write_json(path: Path, value: Any, *, rights: int = 0) -> None:  # noqa: ANN401 - whatever JSON can hold
    """Write a JSON file, whole or not at all; `rights` as `atomic_write` takes them."""
    with atomic_write(path, rights=rights) as file:
        file.write(json_bytes(value))


def open_regular_file(path: str | os.PathLike[str]) -> IO[bytes]:
    """Open a file for reading, without ever waiting on a pipe or a device.

    Raises
    ------
    OSError
        The file cannot be opened, or is no regular file.
    """
    # Opening a pipe without O_NONBLOCK waits for a writer, perhaps forever.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    file = os.fdopen(os.open(path, flags), "rb")
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "not a regular file")
    return file


def read_regular_file(path: Path, *, max_bytes: int) -> bytes:
    """Return a file's bytes, without ever waiting on a pipe or a device.

    Raises
    ------
    OSError
        The file cannot be opened or read, is no regular file, or is larger than `max_bytes`.
    """
    with open_regular_file(path) as file:
        if os.fstat(file.fileno()).st_size > max_bytes:
            raise OSError(errno.EFBIG, f"larger than {max_bytes // 1_000_000} MB")
        return file.read(max_bytes)


def is_there(path: Path) -> bool:
    """Whether a path visibly exists: not in a closed folder, or on a broken mount."""
    try:
        return path.exists()
    except OSError:
        return False


def plain_path(path: Path) -> Path:
    """Return the absolute path without detours, so that a folder has one name."""
    return Path(os.path.normpath(path.absolute()))


def path_of_cache(path: Path) -> Path:
    """Return the absolute path of a cache; without detours, unless one leads elsewhere by a link."""
    whole, plain = path.absolute(), plain_path(path)
    try:
        is_same = whole.parent.resolve() == plain.parent.resolve()
    except (OSError, RuntimeError):
        # A loop of links: opening the file reports it.
        is_same = False
    return plain if is_same else whole


def mtime_ns_of(status: os.stat_result) -> int:
    """Return the change time of a file in nanoseconds, within 64 bits: a clock may have been far ahead."""
    return min(status.st_mtime_ns, _LATEST_NS)


def require_suffix(path: Path, suffix: str) -> None:
    """Refuse a name for a result that lacks the suffix of such results: it may be a user's photo.

    Raises
    ------
    WrongUsage
        It ends with something else.
    """
    if path.suffix.lower() != suffix:
        raise WrongUsage(f"{printable(path)} does not end in {suffix}. Choose a name that does.")


def sha256_of(path: Path) -> str:
    """Hex digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def printable(path: str | os.PathLike[str]) -> str:
    """Return a path as one harmless line: control characters and foreign bytes are escaped.

    Joiners stay where they belong to how a name is written: within emoji, and in scripts that need them.
    """
    text = os.fspath(path).encode("utf-8", errors="backslashreplace").decode("utf-8")
    return made_printable(text, lambda character: character.encode("unicode_escape").decode())


def name_parts(path: str) -> list[str]:
    """Return the parts of a path or a name after which a line may break."""
    return _NAME_PARTS.findall(path)


class FileLock:
    """A lock on a file beside the protected one; the system releases it when its holder dies.

    Used as a context manager. The file is removed on a normal end; one that a killed run left
    behind is reused.
    """

    def __init__(self, path: Path, *, what: str, waits: Callable[[], bool] = lambda: False) -> None:
        """Take the lock's file, a name for what it protects, and whether to retry."""
        self._path = path
        self._what = what
        self._waits = waits
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Self:
        """Take the lock.

        Raises
        ------
        AlreadyRunning
            Another process holds it.
        CannotWrite
            The lock file cannot be made, is a link, or lies on a disk without locks.
        """
        while self._file is None:
            with writing(self._path):
                self._path.parent.mkdir(parents=True, exist_ok=True)
                file = open(self._path, "ab", opener=_no_link)
            try:
                lock(file)
            except OSError as error:
                file.close()
                if error.errno not in _HELD:
                    raise CannotWrite(
                        f"Cannot lock {printable(self._path)} ({error.strerror}). Choose a disk that "
                        "supports file locks."
                    ) from error
                if self._waits():
                    continue
                raise AlreadyRunning(
                    f"Another run is working on {self._what}. Wait for it to finish, then try again."
                ) from error
            if self._is_current(file):
                self._file = file
            else:
                file.close()
        return self

    def _is_current(self, file: IO[bytes]) -> bool:
        """Whether the locked file is still the one under that name: its last holder removes it."""
        try:
            return os.path.samestat(os.fstat(file.fileno()), self._path.stat())
        except FileNotFoundError:
            return False

    def __exit__(self, *_: object) -> None:
        if self._file is None:
            return
        if REMOVES_OPEN_FILES:
            self._path.unlink(missing_ok=True)
        unlock(self._file)
        self._file.close()
        self._file = None
        if not REMOVES_OPEN_FILES:
            # A waiting process may have opened it by now, and holds it then.
            with suppress(OSError):
                self._path.unlink()


def _no_link(path: str, flags: int) -> int:
    """Open a file without following a link."""
    if not hasattr(os, "O_NOFOLLOW") and os.path.islink(path):  # noqa: PTH114 - its text
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)


def has_something(root: Path) -> bool:
    """Whether a root is a file, or a folder that is not empty; one that cannot be listed does not count."""
    try:
        if not root.is_dir():
            return root.exists()
    except OSError:
        return False
    try:
        with os.scandir(root) as entries:
            return next(entries, None) is not None
    except OSError as error:
        return isinstance(error, PermissionError)
