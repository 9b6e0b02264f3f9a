"""Writing and mapping `.npz` files whose arrays may be larger than memory.

Any NumPy reads what is written here. Arrays are stored uncompressed and aligned, so that they can be
used straight from the mapped file.
"""

import mmap
import struct
import sys
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from facesets.formats.plain_npz import read_header

_ALIGNMENT = 64
_LOCAL_HEADER = struct.Struct("<4s5H3I2H")
# The id that Android's zipalign uses for padding; readers skip extra fields they do not know.
_PADDING_ID = 0xD935


@dataclass(frozen=True, slots=True)
class Column:
    """An array to write, piece by piece."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    pieces: Iterable[NDArray[Any]]

    @classmethod
    def of(cls, array: NDArray[Any]) -> "Column":
        """Make a column from an array in memory."""
        return cls(array.dtype, array.shape, [array])


def write_columns(file: IO[bytes], columns: Mapping[str, Column]) -> None:
    """Write an `.npz` file; equal columns give equal bytes."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name, column in columns.items():
            member = zipfile.ZipInfo(f"{name}.npy")
            # 20 bytes for the sizes that a member of over 4 GB needs, 4 for the padding's own header.
            before = file.tell() + _LOCAL_HEADER.size + len(member.filename) + 20 + 4
            padding = -before % _ALIGNMENT
            member.extra = struct.pack("<HH", _PADDING_ID, padding) + bytes(padding)
            with archive.open(member, "w", force_zip64=True) as out:
                header = {
                    "descr": npy.dtype_to_descr(column.dtype),
                    "fortran_order": False,
                    "shape": column.shape,
                }
                npy.write_array_header_1_0(out, header)
                for piece in column.pieces:
                    out.write(np.ascontiguousarray(piece, column.dtype).reshape(-1).view(np.uint8).data)


def map_columns(path: Path, *, verify: bool, in_memory: bool = False) -> dict[str, NDArray[Any]]:
    """Map all arrays of an `.npz` file written by `write_columns`, as read-only views.

    Parameters
    ----------
    verify : bool
        Read everything once and compare with the archive's checksums.
    in_memory : bool
        Read the file rather than map it.

    Raises
    ------
    OSError, ValueError, zipfile.BadZipFile
        The file is missing, damaged, compressed, or holds Python objects.
    """
    with path.open("rb") as file, zipfile.ZipFile(file) as archive:
        for member in archive.infolist():
            # So the stated size of a member never exceeds the size of the file.
            if member.compress_type != zipfile.ZIP_STORED or member.file_size != member.compress_size:
                raise ValueError(f"{member.filename} is compressed")
        damaged = archive.testzip() if verify else None
        if damaged is not None:
            raise ValueError(f"{damaged} is damaged")
        file.seek(0)
        content = file.read() if in_memory else mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return {
            member.filename.removesuffix(".npy"): _view(content, file, member)
            for member in archive.infolist()
        }


def let_go(array: NDArray[Any]) -> None:
    """Release the memory of a mapped array; it is read again when needed."""
    base: object = array
    while isinstance(base, np.ndarray):
        base = base.base
    if sys.platform != "win32" and isinstance(base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        base.madvise(mmap.MADV_DONTNEED)


def _view(content: mmap.mmap | bytes, file: IO[bytes], member: zipfile.ZipInfo) -> NDArray[Any]:
    file.seek(member.header_offset)
    fields = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
    file.seek(fields[-2] + fields[-1], 1)
    shape, dtype = read_header(file, member.file_size)
    return np.ndarray(shape, dtype, buffer=content, offset=file.tell())
