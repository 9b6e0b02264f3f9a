"""Reading and writing `.npz` files whose arrays may be larger than memory.

Any NumPy reads what is written here. Arrays are stored uncompressed and aligned, so that they can be
used straight from the mapped file.
"""

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
    """All arrays of an `.npz` file, in memory, with the archive's checksums verified.

    Raises
    ------
    OSError, ValueError, zipfile.BadZipFile
        The file is missing, damaged, or holds Python objects.
    """
    with path.open("rb") as file:
        if not zipfile.is_zipfile(file):
            raise ValueError(f"{path.name} is not an .npz archive")
        file.seek(0)
        archive = np.load(file, allow_pickle=False)
        return {name: archive[name] for name in archive.files}


def map_columns(path: Path, *, verify: bool) -> dict[str, NDArray[Any]]:
    """All arrays of an `.npz` file as read-only views of the file.

    Parameters
    ----------
    verify : bool
        Read everything once and compare with the archive's checksums.

    Raises
    ------
    OSError, ValueError, zipfile.BadZipFile
        The file is missing, damaged, compressed, or holds Python objects.
    """
    with path.open("rb") as file, zipfile.ZipFile(file) as archive:
        damaged = archive.testzip() if verify else None
        if damaged is not None:
            raise ValueError(f"{damaged} is damaged")
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return {
            member.filename.removesuffix(".npy"): _view(mapped, file, member) for member in archive.infolist()
        }


def let_go(array: NDArray[Any]) -> None:
    """Give back the memory that the mapped file of an array takes by now; it is read again at need."""
    base: object = array
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        base.madvise(mmap.MADV_DONTNEED)


def _view(mapped: mmap.mmap, file: IO[bytes], member: zipfile.ZipInfo) -> NDArray[Any]:
    if member.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{member.filename} is compressed")
    file.seek(member.header_offset)
    fields = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
    file.seek(fields[-2] + fields[-1], 1)
    npy.read_magic(file)
    shape, fortran_order, dtype = npy.read_array_header_1_0(file)
    if dtype.hasobject or fortran_order:
        raise ValueError(f"{member.filename} is not a plain array")
    return np.ndarray(shape, dtype, buffer=mapped, offset=file.tell())
