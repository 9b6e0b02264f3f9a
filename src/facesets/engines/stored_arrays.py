"""Large arrays in files: this process maps them, workers read the parts that they need.

If memory is short, the system writes mapped arrays back to their files and reads them again; workers hold
only the requested parts of an array.
"""

import os
import shutil
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from facesets.errors import CannotWrite, Field
from facesets.files import printable
from facesets.rights import file_mode, private


@dataclass(frozen=True, slots=True)
class StoredArray:
    """An array in a file, as a task sees it: indexing reads that part into an array."""

    path: str
    shape: tuple[int, ...]
    dtype: str

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, which: slice | NDArray[Any]) -> NDArray[Any]:
        if not isinstance(which, slice):
            mapped = np.memmap(self.path, self.dtype, "r", shape=self.shape)
            return np.asarray(mapped[which])
        first, end, _ = which.indices(len(self))
        wanted = (max(0, end - first), *self.shape[1:])
        row = prod(self.shape[1:]) * np.dtype(self.dtype).itemsize
        return np.fromfile(self.path, self.dtype, prod(wanted), offset=first * row).reshape(wanted)


class ArrayFolder:
    """A folder for the arrays of one run, removed when it is closed."""

    def __init__(self, parent: Path) -> None:
        """Create the folder below `parent`.

        Raises
        ------
        CannotWrite
            It cannot be made.
        """
        try:
            parent.mkdir(parents=True, exist_ok=True)
            self.path = Path(tempfile.mkdtemp(prefix="run-", dir=parent)).resolve()
        except OSError as error:
            raise _cannot_write(parent, error) from error
        self._numbers = count()
        self._is_closed = False

    def close(self) -> None:
        """Remove the folder; if files are still mapped, it is removed with the last of them."""
        self._is_closed = True
        shutil.rmtree(self.path, ignore_errors=True)

    def empty(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """Return an array mapped to a file, which is removed with the array.

        Raises
        ------
        CannotWrite
            There is no room for it.
        """
        size = prod(shape) * np.dtype(dtype).itemsize
        if not size:
            return np.empty(shape, dtype)
        path = self.path / f"{next(self._numbers)}.bin"
        try:
            _reserve(path, size)
            array: np.memmap[Any, Any] = np.memmap(path, dtype, "r+", shape=shape)
        except OSError as error:
            path.unlink(missing_ok=True)
            raise _cannot_write(self.path, error) from error
        # With the mapping rather than the array: Windows removes only files whose mapping is closed.
        weakref.finalize(array.base, self._remove, path)
        return array

    def _remove(self, path: Path) -> None:
        with suppress(OSError):
            path.unlink(missing_ok=True)
            if self._is_closed:
                self.path.rmdir()

    @contextmanager
    def lent(self, arrays: Sequence[NDArray[Any]], *, flushed: bool) -> Iterator[tuple[StoredArray, ...]]:
        """Yield arrays as workers read them: those of this folder as is, others temporarily written to it.

        With `flushed`, written data is flushed to disk for other machines.
        """
        # Their files exist as long as the arrays.
        held = [array if self._is_whole(array) else self._copied(array) for array in arrays]
        yield tuple(self._stored(array, flushed=flushed) for array in held)

    def _copied(self, array: NDArray[Any]) -> NDArray[Any]:
        room = self.empty(array.shape, array.dtype)
        room[:] = array
        return room

    def _stored(self, array: NDArray[Any], *, flushed: bool) -> StoredArray:
        if isinstance(array, np.memmap):
            if flushed:
                array.flush()
            return StoredArray(str(array.filename), array.shape, array.dtype.str)
        nothing = self.path / "empty.bin"
        nothing.touch(file_mode())
        return StoredArray(str(nothing), array.shape, array.dtype.str)

    def _is_whole(self, array: NDArray[Any]) -> bool:
        """Whether an array is a whole file of this folder."""
        path = Path(array.filename) if isinstance(array, np.memmap) and array.filename else None
        if path is None or path.parent != self.path or not array.flags.c_contiguous:
            return False
        return path.exists() and path.stat().st_size == array.nbytes


def _reserve(path: Path, size: int) -> None:
    """Create a file of this size; writing to a mapped one without space would end the process."""
    with open(path, "wb", opener=private) as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
            return
        if shutil.disk_usage(path.parent).free < size:
            raise OSError("no space left on device")
        file.truncate(size)


def _cannot_write(folder: Path, error: OSError) -> CannotWrite:
    reason = error.strerror or str(error)
    return CannotWrite(
        f"Cannot write arrays to {printable(folder)} ({reason}). Free some space there, or name another "
        f"folder with {Field('shards')}."
    )
