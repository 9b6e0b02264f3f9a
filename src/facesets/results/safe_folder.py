"""A folder from which nothing outside can be reached: no link is followed, and no name leads out.

All files that the program writes, moves, or removes in a result folder go through a `SafeFolder`. A user may
link a sub-folder to another disk, and a name may come from a file of unknown origin. So each folder on the
way to a name is opened without following a link, and the last part of the name is used in the opened folder.
If the system has no such calls (Windows), each folder is checked instead.

Files that are made there give groups and others the folder's `rights`: none, unless the caller sets them from
the photos' rights.

Names are relative, with `/` between their parts. Every function raises `OSError` if the system refuses,
with `ELOOP` for a name that would lead outside through a link or `..`; a name that cannot be checked
raises `CannotWrite`.
"""

import errno
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from facesets.errors import CannotWrite
from facesets.file_system import link_text, patiently, remove_tree
from facesets.files import LONGEST_STEM, json_bytes, printable, writing
from facesets.results.inside import (
    NO_LINK,
    is_inside,
    is_link,
    looked_at,
    opened,
    parts_of,
    refuse_link,
    unusable,
)
from facesets.rights import file_mode, folder_mode

# Opening a pipe without O_NONBLOCK waits for a writer, perhaps forever.
_FILE = NO_LINK | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_NOT_THERE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG)


@dataclass(frozen=True, slots=True)
class SafeFolder:
    """A folder by its path, which may itself be a link."""

    root: Path
    rights: int = 0

    def path(self, name: str) -> Path:
        """Return the path of a name, for messages and for reading files that may be links."""
        return self.root / PurePosixPath(name)

    def status(self, name: str) -> os.stat_result | None:
        """Return the status of a name, of the link itself for a link; None if missing or behind a link."""
        try:
            with self._at(name) as (last, folder):
                return os.stat(last, dir_fd=folder, follow_symlinks=False)
        except PermissionError as error:
            raise _refused(self.path(name), error) from error
        except OSError as error:
            if error.errno in _NOT_THERE:
                return None
            raise

    def exists(self, name: str) -> bool:
        """Whether a name exists, even as a broken link."""
        return self.status(name) is not None

    def existing(self, names: Iterable[str]) -> set[str]:
        """Return the names that exist, as in `exists`; each folder is listed once."""
        listed: dict[str, set[str]] = {}
        found = set()
        for name in names:
            above, _, last = name.rpartition("/")
            if above not in listed:
                try:
                    listed[above] = set(self.names_in(above))
                except CannotWrite:
                    # The folder can be searched, but not listed, so known names may exist.
                    listed[above] = set()
            # Some systems find names in another spelling.
            if (last in listed[above] and is_inside(name)) or self.exists(name):
                found.add(name)
        return found

    def is_file(self, name: str) -> bool:
        """Whether a name is a file, not a link to one."""
        there = self.status(name)
        return there is not None and stat.S_ISREG(there.st_mode)

    def link_above(self, name: str) -> str:
        """Return the first folder on the way to a name that is a link; empty if there is none."""
        *above, _ = parts_of(name)
        for count in range(1, len(above) + 1):
            folder = "/".join(above[:count])
            there = self.status(folder)
            if there is None:
                return ""
            if is_link(there):
                return folder
        return ""

    def link_target(self, name: str) -> str:
        """Return the target of a link."""
        with self._at(name) as (last, folder):
            return link_text(os.readlink(last, dir_fd=folder))

    def names_in(self, name: str = "") -> list[str]:
        """Return the last parts of all names in a folder, in order; none if there is no such folder."""
        try:
            with self._folder(name) as (path, handle):
                if handle is None:
                    return sorted(os.listdir(path))  # noqa: PTH208
                listed = os.open(".", os.O_RDONLY, dir_fd=handle)
                try:
                    return sorted(os.listdir(listed))  # noqa: PTH208 - a handle, not a path
                finally:
                    os.close(listed)
        except PermissionError as error:
            raise _refused(self.path(name), error) from error
        except OSError as error:
            if error.errno in _NOT_THERE:
                return []
            raise

    def open(self, name: str) -> IO[bytes]:
        """Open a regular file for reading, without waiting on a pipe."""
        try:
            with self._at(name, is_followed=True) as (last, folder):
                file = os.fdopen(os.open(last, os.O_RDONLY | _FILE, dir_fd=folder), "rb")
        except PermissionError as error:
            raise _refused(self.path(name), error) from error
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            file.close()
            raise OSError(errno.EINVAL, "not a regular file")
        return file

    def read(self, name: str) -> bytes:
        """Return the bytes of a regular file."""
        with self.open(name) as file:
            return file.read()

    def create(self, name: str, *, instead_of: os.stat_result | None = None) -> IO[bytes]:
        """Open a new file for writing, with no more rights than the one that it replaces."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FILE
        rights = self.rights if instead_of is None else self.rights & instead_of.st_mode
        with self._at(name) as (last, folder):
            return os.fdopen(os.open(last, flags, file_mode(rights), dir_fd=folder), "wb")

    def append(self, name: str) -> IO[bytes]:
        """Open a file for reading and writing, such as a list of lines; it is made if missing."""
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | _FILE
        with self._at(name, is_followed=True) as (last, folder):
            return os.fdopen(os.open(last, flags, file_mode(self.rights), dir_fd=folder), "a+b")

    def make_folder(self, name: str) -> None:
        """Make a folder and the folders above it, if they are missing."""
        with self._folder(name, make=True):
            pass

    def make_folder_of(self, name: str) -> None:
        """Make the folders above a name, if they are missing."""
        if not is_inside(name):
            raise unusable(name)
        self.make_folder(name.rpartition("/")[0])

    def remove(self, name: str) -> None:
        """Remove a file or a link, if it exists."""
        with suppress(FileNotFoundError), self._at(name) as (last, folder):
            patiently(os.unlink, last, dir_fd=folder)

    def remove_tree(self, name: str) -> None:
        """Remove a folder with its content."""
        with self._at(name) as (last, folder):
            remove_tree(last, dir_fd=folder)

    def remove_empty_folder(self, name: str) -> None:
        """Remove a folder, if it is one and empty."""
        with suppress(OSError), self._at(name) as (last, folder):
            os.rmdir(last, dir_fd=folder)

    def remove_empty_folders_above(self, name: str) -> None:
        """Remove the folders above a removed file, if they are empty."""
        for above in [parent.as_posix() for parent in PurePosixPath(name).parents][:-1]:
            self.remove_empty_folder(above)

    def rename(self, name: str, place: str) -> None:
        """Rename a file, replacing a file of that name."""
        with self._at(name) as (old, source), self._at(place) as (new, target):
            patiently(os.replace, old, new, src_dir_fd=source, dst_dir_fd=target)

    def link(self, name: str, place: str) -> None:
        """Link or copy a file to a free name, with its times; as a hard link if possible."""
        with self._at(name) as (old, source), self._at(place) as (new, target):
            try:
                os.link(old, new, src_dir_fd=source, dst_dir_fd=target, follow_symlinks=False)
            except (OSError, NotImplementedError):
                status = os.stat(old, dir_fd=source, follow_symlinks=False)
            else:
                return
        if is_link(status):
            self.symlink_to(self.link_target(name), place)
            return
        with self.open(name) as file, self.create(place) as copy:
            shutil.copyfileobj(file, copy)
        self.make_like(place, status)

    def hardlink_to(self, source: str, name: str) -> None:
        """Make a hard link to a file somewhere else."""
        with self._at(name) as (last, folder):
            os.link(os.path.realpath(source), last, dst_dir_fd=folder)

    def symlink_to(self, source: str, name: str) -> None:
        """Make a link to a file somewhere else."""
        with self._at(name) as (last, folder):
            os.symlink(source, last, dir_fd=folder)

    def make_like(self, name: str, status: os.stat_result) -> None:
        """Give a file of ours the times of another, and its rights within those of this folder."""
        with self._at(name) as (last, folder):
            os.utime(last, ns=(status.st_atime_ns, status.st_mtime_ns), dir_fd=folder)
            os.chmod(last, file_mode(status.st_mode & self.rights), dir_fd=folder)

    def sync(self, name: str = "") -> None:
        """Make the names in a folder durable, if the system can."""
        with self._folder(name) as (_, handle):
            if handle is None:
                return
            synced = os.open(".", os.O_RDONLY, dir_fd=handle)
            try:
                os.fsync(synced)
            finally:
                os.close(synced)

    @contextmanager
    def writing(
        self, name: str, *, before_replacing: Callable[[os.stat_result], object] | None = None
    ) -> Iterator[IO[bytes]]:
        """Open a file that takes a name when the block ends well and leaves no trace otherwise.

        The bytes are on the disk before the name points to them. `before_replacing` is called with what the
        finished file is, just before it gets its name.

        Raises
        ------
        CannotWrite
            As `facesets.files.writing`.
        """
        above, _, last = name.rpartition("/")
        temporary = f".{last[:LONGEST_STEM]}.{secrets.token_hex(4)}.tmp"
        temporary = f"{above}/{temporary}" if above else temporary
        with writing(self.path(name)):
            self.make_folder_of(name)
            file = self.create(temporary, instead_of=self.status(name))
            try:
                with file:
                    yield file
                    file.flush()
                    os.fsync(file.fileno())
                    status = os.fstat(file.fileno())
                if before_replacing is not None:
                    before_replacing(status)
                self.rename(temporary, name)
            except BaseException:
                self.remove(temporary)
                raise
            self.sync(above)

    def write_json(self, name: str, value: Any) -> None:  # noqa: ANN401 - whatever JSON can hold
        """Write a JSON file, whole or not at all; raises `CannotWrite`."""
        with self.writing(name) as file:
            file.write(json_bytes(value))

    def sweep(self, names: Iterable[str]) -> None:
        """Remove leftovers of killed `writing`s to these names. The caller must hold the folder's lock."""
        folders: dict[str, set[str]] = {}
        for above, _, last in (name.rpartition("/") for name in names if is_inside(name)):
            folders.setdefault(above, set()).add(last[:LONGEST_STEM])
        for above, stems in folders.items():
            for leftover in self.names_in(above):
                stem, _, ending = leftover.removesuffix(".tmp").rpartition(".")
                if leftover.endswith(".tmp") and ending and stem.startswith(".") and stem[1:] in stems:
                    self.remove(f"{above}/{leftover}" if above else leftover)

    def refuse_links(self, names: Iterable[str]) -> None:
        """Refuse links under names that are the program's own.

        Raises
        ------
        CannotWrite
            There is one.
        """
        for name in names:
            there = self.status(name)
            if there is not None and is_link(there):
                raise CannotWrite(
                    f"{printable(self.path(name))} is a link, and links are not followed in a result "
                    "folder. Remove the link, or replace it with its target."
                )

    @contextmanager
    def _at(self, name: str, *, is_followed: bool = False) -> Iterator[tuple[str, int | None]]:
        """Yield the last part of a name with its open folder; on Windows only the path.

        If the system would follow a link there (`is_followed`), the name is checked for one before.
        """
        if not is_inside(name):
            raise unusable(name)
        *above, last = parts_of(name)
        folder = opened(self.root, above)
        if folder is None:
            path = looked_at(self.root, above, make=False) / last
            if is_followed and os.path.lexists(path):
                refuse_link(path)
            yield str(path), None
            return
        try:
            yield last, folder
        finally:
            os.close(folder)

    @contextmanager
    def _folder(self, name: str, *, make: bool = False) -> Iterator[tuple[Path, int | None]]:
        """Yield a folder by its name, or this one: its path, and open if the system can."""
        parts = parts_of(name)
        if parts and not is_inside(name):
            raise unusable(name)
        folder = opened(self.root, parts, make=folder_mode(self.rights) if make else 0)
        if folder is None:
            yield looked_at(self.root, parts, make=make), None
            return
        try:
            yield self.path(name), folder
        finally:
            os.close(folder)


def _refused(path: Path, error: PermissionError) -> CannotWrite:
    return CannotWrite(
        f"{printable(path)} cannot be read ({error.strerror}), so it is not treated as deleted. Change its "
        "permissions, or choose another folder."
    )
