"""Where a picture's file keeps its EXIF, found by reading the header and nothing of the pixels.

A share over a network gives a few kilobytes at once and megabytes slowly, so this walks the parts of the
file by their lengths and reads only the one that matters.

References
----------
JPEG: CIPA DC-008 (EXIF 2.32), 4.7; PNG: third edition, 11.3.4.5 (eXIf); WebP: the RIFF container's
specification; HEIF and AVIF: ISO/IEC 14496-12, 8.11 (iinf, iloc) and ISO/IEC 23008-12, annex A.
"""

import struct
import zlib
from collections.abc import Iterator
from typing import IO

from facesets.imaging.exif import Exif

_MAX_BLOCK = 4_000_000
_MAX_META = 8_000_000
_MAX_PARTS = 10_000
_PNG_TAIL = 1 << 17

# What a hostile file makes of the parsers here and of Pillow's.
_BROKEN = (
    *(OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, EOFError, OverflowError),
    *(MemoryError, RuntimeError, struct.error, zlib.error),
)


def read_exif(file: IO[bytes]) -> Exif:
    """Metadata of a JPEG, PNG, WebP, TIFF, HEIF or AVIF file; empty where there is none or it is broken.

    Raises
    ------
    OSError
        The file cannot be read.
    """
    head = file.read(16)
    exif = Exif()
    try:
        if head[:4] in (b"II*\0", b"MM\0*"):
            file.seek(0)
            exif.load_from_fp(file)
        elif block := _block(head, file):
            exif.load(block)
    except OSError as error:
        # The system's own errors carry a number; those that Pillow makes up do not.
        if error.errno is not None:
            raise
        return Exif()
    except _BROKEN:
        return Exif()
    return exif


def _block(head: bytes, file: IO[bytes]) -> bytes:
    if head.startswith(b"\xff\xd8"):
        return _in_jpeg(file)
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return _in_png(file)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return _in_webp(file)
    if head[4:8] == b"ftyp":
        return _in_heif(file)
    return b""


def _in_jpeg(file: IO[bytes]) -> bytes:
    file.seek(2)
    for _ in range(_MAX_PARTS):
        marker = file.read(2)
        while marker == b"\xff\xff":
            marker = b"\xff" + file.read(1)
        if len(marker) < 2 or marker[0] != 0xFF or marker[1] in (0xDA, 0xD9):
            return b""
        length = struct.unpack(">H", file.read(2))[0] - 2
        if marker[1] == 0xE1:
            content = file.read(length)
            if content.startswith(b"Exif\0\0"):
                return content
        else:
            file.seek(length, 1)
    return b""


def _in_png(file: IO[bytes]) -> bytes:
    file.seek(8)
    for _ in range(_MAX_PARTS):
        length, kind = struct.unpack(">I4s", file.read(8))
        if kind == b"eXIf" and length <= _MAX_BLOCK:
            return b"Exif\0\0" + file.read(length)
        if kind == b"IDAT":
            return _at_end_of_png(file)
        if kind == b"IEND":
            return b""
        file.seek(length + 4, 1)
    return b""


def _at_end_of_png(file: IO[bytes]) -> bytes:
    """Look behind the pixels, which may be a thousand parts: from the end, and the checksum decides."""
    size = file.seek(0, 2)
    file.seek(max(size - _PNG_TAIL, 0))
    tail = file.read(_PNG_TAIL)
    at = tail.rfind(b"eXIf")
    if at < 4:
        return b""
    length = struct.unpack(">I", tail[at - 4 : at])[0]
    content, end = tail[at + 4 : at + 4 + length], at + 4 + length
    right = tail[end : end + 4] == struct.pack(">I", zlib.crc32(b"eXIf" + content))
    return b"Exif\0\0" + content if right else b""


def _in_webp(file: IO[bytes]) -> bytes:
    file.seek(12)
    for _ in range(_MAX_PARTS):
        head = file.read(8)
        if len(head) < 8:
            return b""
        kind, length = struct.unpack("<4sI", head)
        if kind == b"EXIF" and length <= _MAX_BLOCK:
            content = file.read(length)
            return content if content.startswith(b"Exif\0\0") else b"Exif\0\0" + content
        file.seek(length + (length & 1), 1)
    return b""


def _in_heif(file: IO[bytes]) -> bytes:
    meta = _meta(file)
    # The first four bytes of these boxes are version and flags.
    parts = dict(_boxes(meta[4:]))
    item = _exif_item(parts.get(b"iinf", b""))
    content = bytearray()
    for method, offset, length in _extents(parts.get(b"iloc", b""), item):
        if length > _MAX_BLOCK:
            return b""
        if method == 1:
            content += parts.get(b"idat", b"")[offset : offset + length]
        elif method == 0:
            file.seek(offset)
            content += file.read(length)
    if len(content) < 4:
        return b""
    start = 4 + struct.unpack(">I", content[:4])[0]
    return b"Exif\0\0" + bytes(content[start:])


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
    return b""


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


def _exif_item(iinf: bytes) -> int:
    """Number of the item that holds EXIF; -1 for none."""
    if not iinf:
        return -1
    for kind, info in _boxes(iinf[6 if iinf[0] == 0 else 8 :]):
        if kind != b"infe" or info[0] < 2:
            continue
        wide = info[0] > 2
        number = struct.unpack_from(">I" if wide else ">H", info, 4)[0]
        if info[10 if wide else 8 :][:4] == b"Exif":
            return int(number)
    return -1


def _extents(iloc: bytes, wanted: int) -> list[tuple[int, int, int]]:
    """Construction method, offset and length of each part of an item."""
    if not iloc or wanted < 0:
        return []
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
        for _ in range(numbers.take(2)):
            if version:
                numbers.take(of_index)
            offset = base + numbers.take(of_offset)
            extents.append((method, offset, numbers.take(of_length)))
        if item == wanted:
            return extents
    return []


class _Numbers:
    """Big-endian numbers of any width, one after the other."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0

    def take(self, width: int) -> int:
        if self._at + width > len(self._content):
            raise EOFError
        self._at += width
        return int.from_bytes(self._content[self._at - width : self._at], "big")
