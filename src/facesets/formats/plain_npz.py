"""Read `.npz` files of any origin safely: plain arrays, and no false claims of size."""

import math
import struct
import tokenize
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

DAMAGE = (
    OSError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    EOFError,
    NotImplementedError,
    OverflowError,
    MemoryError,
    RecursionError,
    SyntaxError,
    tokenize.TokenError,
    struct.error,
    zipfile.BadZipFile,
)
"""Exceptions of numpy and zipfile for damaged bytes, found by damaging files."""

# Arrays of numbers hardly compress; lists of names do, tens of times.
_LARGEST_RATIO = 200
_SMALL_BYTES = 64 << 20


def read_columns(path: Path, *, max_bytes: int | None = None) -> dict[str, NDArray[Any]]:
    """Read all arrays of an `.npz` file into memory, verifying the archive's checksums.

    Parameters
    ----------
    max_bytes : int, optional
        Maximum size of all arrays together.

    Raises
    ------
    OSError, ValueError, zipfile.BadZipFile
        The file is missing, damaged, claims more than it can hold, or holds Python objects; of damaged bytes
        any of `DAMAGE`.
    """
    with path.open("rb") as file:
        if not zipfile.is_zipfile(file):
            raise ValueError(f"{path.name} is not an .npz archive")
        file.seek(0)
        with zipfile.ZipFile(file) as archive:
            most = max(path.stat().st_size * _LARGEST_RATIO, _SMALL_BYTES)
            _refuse_bombs(archive, most if max_bytes is None else min(most, max_bytes))
        file.seek(0)
        arrays = np.load(file, allow_pickle=False)
        return {name: arrays[name] for name in arrays.files}


def _refuse_bombs(archive: zipfile.ZipFile, most: int) -> None:
    """Refuse an archive whose members claim more than the allowed size."""
    claimed = sum(member.file_size for member in archive.infolist())
    if claimed > most:
        raise ValueError("the archive declares more data than its size allows")
    for member in archive.infolist():
        with archive.open(member) as file:
            read_header(file, member.file_size)


def read_header(file: IO[bytes], size: int) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return shape and type of an array in `.npy` form of this size; `ValueError` if they differ."""
    begin = file.tell()
    version = npy.read_magic(file)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, fortran_order, dtype = read(file)
    if dtype.hasobject or (fortran_order and len(shape) > 1):
        raise ValueError("not a plain array")
    if any(edge < 0 for edge in shape) or math.prod(shape) * dtype.itemsize != size - (file.tell() - begin):
        raise ValueError("an array's shape does not match its size")
    return shape, dtype
