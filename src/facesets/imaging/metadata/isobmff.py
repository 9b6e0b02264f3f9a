"""Find EXIF and XMP in HEIF and AVIF files.

References
----------
ISO/IEC 14496-12, 8.11 (iinf, iloc), and ISO/IEC 23008-12, annex A.
"""

import io
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO

from facesets.imaging.metadata.window import Window

_MAX_BLOCK = 4_000_000
_MAX_META = 1_000_000
_MAX_EXTENTS = 16
_MAX_PARTS = 10_000
_XMP_TYPE = b"application/rdf+xml"


@dataclass(frozen=True, slots=True)
class _Extent:
    method: int
    offset: int
    length: int


def exif_and_xmp(file: IO[bytes], max_xmp: int) -> tuple[IO[bytes] | None, bytes, bool]:
    """Return a file's EXIF (None if missing), XMP, and whether XMP exceeds the limit.

    Raises
    ------
    OSError, EOFError, IndexError, struct.error
        The file cannot be read, or is broken.
    """
    # The first four bytes of these boxes are version and flags.
    parts = dict(_boxes(_meta(file)[4:]))
    exif_item, xmp_item = _items(parts.get(b"iinf", b""))
    places = _extents(parts.get(b"iloc", b""), {exif_item, xmp_item} - {-1})
    idat = parts.get(b"idat", b"")
    exif = _content(file, places.get(exif_item, ()), idat, _MAX_BLOCK)
    if exif is not None:
        start = exif.read(4)
        # Offset of the TIFF header; the prefix of JPEG files may precede it.
        length = exif.seek(0, io.SEEK_END)
        skipped = 4 + struct.unpack(">I", start)[0]
        exif = Window(exif, skipped, length - skipped)  # type: ignore[assignment]
    extents = places.get(xmp_item, ())
    xmp = _content(file, extents, idat, max_xmp)
    return exif, b"" if xmp is None else xmp.read(), bool(extents) and xmp is None


def _content(file: IO[bytes], extents: Sequence[_Extent], idat: bytes, most: int) -> IO[bytes] | None:
    if not extents or sum(extent.length for extent in extents) > most:
        return None
    if len(extents) == 1 and extents[0].method == 0:
        return Window(file, extents[0].offset, extents[0].length, largest=most)  # type: ignore[return-value]
    content = bytearray()
    for extent in extents:
        if extent.method == 1:
            content += idat[extent.offset : extent.offset + extent.length]
        elif extent.method == 0:
            file.seek(extent.offset)
            content += file.read(extent.length)
    return io.BytesIO(bytes(content))


def _meta(file: IO[bytes]) -> bytes:
    file.seek(0)
    for _ in range(_MAX_PARTS):
        head = file.read(8)
        if len(head) < 8:
            return b""
        length, kind = struct.unpack(">I4s", head)
        taken = 8
        if length == 1:
            length, taken = struct.unpack(">Q", file.read(8))[0], 16
        if kind == b"meta":
            return file.read(min(length - taken, _MAX_META)) if length else file.read(_MAX_META)
        if length < taken:
            return b""
        file.seek(length - taken, 1)
    raise EOFError


def _boxes(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at + 8 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, at)
        taken = 8
        if length == 1:
            length, taken = struct.unpack_from(">Q", content, at + 8)[0], 16
        end = at + length if length else len(content)
        if end < at + taken:
            return
        yield kind, content[at + taken : end]
        at = end


def _items(iinf: bytes) -> tuple[int, int]:
    """Return the numbers of the items that hold EXIF and XMP; -1 for none."""
    exif = xmp = -1
    if not iinf:
        return exif, xmp
    for kind, info in _boxes(iinf[6 if iinf[0] == 0 else 8 :]):
        if kind != b"infe" or info[0] < 2:
            continue
        wide = info[0] > 2
        number = int(struct.unpack_from(">I" if wide else ">H", info, 4)[0])
        item_type, rest = info[10 if wide else 8 :][:4], info[14 if wide else 12 :]
        if item_type == b"Exif" and exif < 0:
            exif = number
        elif item_type == b"mime" and xmp < 0 and rest.split(b"\0")[1:2] == [_XMP_TYPE]:
            xmp = number
    return exif, xmp


def _extents(iloc: bytes, wanted: set[int]) -> dict[int, list[_Extent]]:
    """Return the parts of some items."""
    found: dict[int, list[_Extent]] = {}
    if not iloc or not wanted:
        return found
    numbers = _Numbers(iloc)
    version = numbers.take(1)
    numbers.take(3)
    sizes = numbers.take(2)
    of_offset, of_length, of_base, of_index = (sizes >> shift & 15 for shift in (12, 8, 4, 0))
    for _ in range(numbers.take(2 if version < 2 else 4)):
        item = numbers.take(2 if version < 2 else 4)
        method = numbers.take(2) & 15 if version else 0
        numbers.take(2)
        base = numbers.take(of_base)
        extents = []
        count = numbers.take(2)
        if count > _MAX_EXTENTS:
            # Extents may take no bytes, so that a small file could keep this loop busy for hours.
            return {}
        for _ in range(count):
            if version:
                numbers.take(of_index)
            offset = base + numbers.take(of_offset)
            extents.append(_Extent(method, offset, numbers.take(of_length)))
        if item in wanted:
            found.setdefault(item, extents)
        if len(found) == len(wanted):
            break
    return found


class _Numbers:
    """Reads consecutive big-endian numbers of any width."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0

    def take(self, width: int) -> int:
        if self._at + width > len(self._content):
            raise EOFError
        self._at += width
        return int.from_bytes(self._content[self._at - width : self._at], "big")
