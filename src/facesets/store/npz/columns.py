"""Reading and writing `.npz` files whose arrays may be larger than memory.

Any NumPy reads what is written here. Arrays are stored uncompressed and aligned, so that they can be
used straight from the mapped file.
"""

import math
import mmap
import struct
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

_ALIGNMENT = 64
_LOCAL_HEADER = struct.Struct("<4s5H3I2H")
# The id that Android's zipalign uses for padding; readers skip extra fields they do not know.
_PADDING_ID = 0xD935
# Arrays of numbers hardly shrink; lists of names do, by tens.
_LARGEST_RATIO = 200
_SMALL_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Column:
    """An array to be written, piece by piece."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    pieces: Iterable[NDArray[Any]]

    @classmethod
    def of(cls, array: NDArray[Any]) -> "Column":
        """A column that lies in memory as a whole."""
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


def read_columns(path: Path) -> dict[str, NDArray[Any]]:
    """All arrays of an `.npz` file of whatever origin, in memory, with the archive's checksums verified.

    Raises
    ------
    OSError, ValueError, zipfile.BadZipFile
        The file is missing, damaged, claims more than it can hold, or holds Python objects.
    """
    with path.open("rb") as file:
        if not zipfile.is_zipfile(file):
            raise ValueError(f"{path.name} is not an .npz archive")
        file.seek(0)
        with zipfile.ZipFile(file) as archive:
            _refuse_bombs(archive, path.stat().st_size)
        file.seek(0)
        arrays = np.load(file, allow_pickle=False)
        return {name: arrays[name] for name in arrays.files}


def map_columns(path: Path, *, verify: bool, in_memory: bool = False) -> dict[str, NDArray[Any]]:
    """All arrays of an `.npz` file that `write_columns` wrote, as read-only views of the file.

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
            # So what a member claims to hold is never more than the file holds.
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


def _refuse_bombs(archive: zipfile.ZipFile, size: int) -> None:
    """Compare what an archive's members claim to hold with what so many bytes can hold."""
    claimed = sum(member.file_size for member in archive.infolist())
    if claimed > max(size * _LARGEST_RATIO, _SMALL_BYTES):
        raise ValueError("the archive claims more than its size allows")
    for member in archive.infolist():
        with archive.open(member) as file:
            _read_header(file, member.file_size)


def _read_header(file: IO[bytes], size: int) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and type of an array whose `.npy` form takes so many bytes."""
    begin = file.tell()
    version = npy.read_magic(file)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, fortran_order, dtype = read(file)
    if dtype.hasobject or (fortran_order and len(shape) > 1):
        raise ValueError("not a plain array")
    if any(edge < 0 for edge in shape) or math.prod(shape) * dtype.itemsize != size - (file.tell() - begin):
        raise ValueError("an array's shape does not fit its size")
    return shape, dtype


def let_go(array: NDArray[Any]) -> None:
    """Give back the memory that the mapped file of an array takes by now; it is read again at need."""
    base: object = array
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        base.madvise(mmap.MADV_DONTNEED)


def _view(content: mmap.mmap | bytes, file: IO[bytes], member: zipfile.ZipInfo) -> NDArray[Any]:
    file.seek(member.header_offset)
    fields = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
    file.seek(fields[-2] + fields[-1], 1)
    shape, dtype = _read_header(file, member.file_size)
    return np.ndarray(shape, dtype, buffer=content, offset=file.tell())
