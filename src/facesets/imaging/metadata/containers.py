"""Where a picture's file keeps EXIF and XMP, found by reading the header and nothing of the pixels.

A share over a network gives a few kilobytes at once and megabytes slowly, so this walks the parts of the
file by their lengths and reads only those that matter.

References
----------
JPEG: CIPA DC-008 (EXIF 2.32), 4.7; PNG: third edition, 11.3.3 and 11.3.4.5 (eXIf); WebP: the RIFF
container's specification; XMP in all of them: XMP specification, part 3.
"""

import binascii
import io
import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import IO

from facesets.imaging.metadata.isobmff import exif_and_xmp
from facesets.imaging.metadata.window import Window

MOST_XMP = 1_000_000
"""Bytes of a packet that are read where it is one of many things to look at."""
_MAX_BLOCK = 4_000_000
MOST_PARTS = 10_000
_MOST_PARTS_FOR_NAMES = 100_000
"""Pictures of a hundred million pixels have forty thousand parts where a program writes small ones."""
_MAX_TAGS = 4096
_FILL = b"\xff"
_FILL_BYTES = 4096
_MOST_FILLS = 256
OF_PROGRAMS = 0xE1
"""The kind of a JPEG file's parts (APP1) that hold EXIF and XMP."""
_PNG_TAIL = 32_000
_XMP_IN_JPEG = b"http://ns.adobe.com/xap/1.0/\0"
_END_OF_ITS_NAME = b"/xap/1.0/\0"
"""Some sites write what is before it in their own way."""
_XMP_IN_PNG = b"XML:com.adobe.xmp"
_RAW_XMP_IN_PNG = (b"Raw profile type xmp", b"Raw profile type APP1")
_RAW_IN_PNG = (b"Raw profile type exif", *_RAW_XMP_IN_PNG)
_LONGEST_NAME_IN_PNG = 80
_DIGITS = 3
"""Bytes of hexadecimal digits and line breaks that a byte takes at most."""
_XMP_IN_TIFF = 0x02BC
_OF_BYTES = (1, 7)
"""The types of a TIFF file's values that hold bytes."""


@dataclass(slots=True)
class Blocks:
    """What a file holds beside pixels.

    Attributes
    ----------
    exif : binary file or None
        Begins with the TIFF header, or with `Exif` and two zeros in front of it.
    xmp : bytes
        XML; empty where there is none.
    has_larger_xmp : bool
        There is XMP that was not read, for it is larger than what was asked for.
    parts_looked_at : int
        Where there are more parts, and EXIF or XMP may be behind these; else 0.
    """

    exif: IO[bytes] | None = None
    xmp: bytes = b""
    has_larger_xmp: bool = False
    parts_looked_at: int = 0

    @property
    def has_both(self) -> bool:
        """Whether there is nothing left to look for."""
        return self.exif is not None and bool(self.xmp)


def find_blocks(file: IO[bytes], most_xmp: int = MOST_XMP) -> Blocks:
    """EXIF and XMP of a JPEG, PNG, WebP, TIFF, HEIF or AVIF file; none where it is another one.

    Parameters
    ----------
    most_xmp : int
        Bytes of a packet; a larger one is not read. Where more than usual are asked for, they are looked for
        wherever they may be, in PNG files behind thousands of parts with pixels.

    Raises
    ------
    OSError, EOFError, IndexError, struct.error, zlib.error
        The file cannot be read, or is broken.
    """
    head = file.read(16)
    if head[:4] in (b"II*\0", b"MM\0*"):
        return _in_tiff(file, "<" if head.startswith(b"II") else ">", most_xmp)
    if head.startswith(b"\xff\xd8"):
        return _in_jpeg(file)
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return _in_png(file, most_xmp)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return _in_webp(file, most_xmp)
    if head[4:8] == b"ftyp":
        return Blocks(*exif_and_xmp(file, most_xmp))
    return Blocks()


def _window(file: IO[bytes], start: int, length: int, **how: int) -> IO[bytes]:
    return Window(file, start, length, **how)  # type: ignore[return-value]


def _in_tiff(file: IO[bytes], order: str, most_xmp: int) -> Blocks:
    blocks = Blocks(_window(file, 0, file.seek(0, os.SEEK_END)))
    file.seek(4)
    place = file.read(4)
    file.seek(struct.unpack(f"{order}I", place)[0] if len(place) == 4 else 0)
    head = file.read(2)
    written = struct.unpack(f"{order}H", head)[0] if len(head) == 2 else 0
    tags = file.read(12 * min(written, _MAX_TAGS))
    for tag, kind, length, start in struct.iter_unpack(f"{order}HHII", tags[: len(tags) // 12 * 12]):
        if tag == _XMP_IN_TIFF and kind in _OF_BYTES and length > 4:
            blocks.has_larger_xmp = length > most_xmp
            file.seek(start)
            blocks.xmp = b"" if blocks.has_larger_xmp else file.read(length)
            break
    return blocks


def jpeg_segments(file: IO[bytes]) -> Iterator[tuple[int, int]]:
    """The parts of a JPEG file before its pixels: kind and length of each, with the file at its content.

    There is one more than `MOST_PARTS` where there are too many.

    Raises
    ------
    OSError, IndexError, struct.error
        The file cannot be read, or is broken.
    """
    file.seek(2)
    for _ in range(MOST_PARTS + 1):
        marker = _marker(file)
        if len(marker) < 2 or marker[0] != 0xFF or marker[1] in (0xDA, 0xD9):
            return
        length = struct.unpack(">H", file.read(2))[0] - 2
        if length < 0:
            return
        start = file.tell()
        yield marker[1], length
        file.seek(start + length)


def _marker(file: IO[bytes]) -> bytes:
    """The next two bytes that begin a part; before them may be any number of 0xFF, and some are passed."""
    marker = file.read(2)
    if marker != _FILL * 2:
        return marker
    for _ in range(_MOST_FILLS):
        some = file.read(_FILL_BYTES)
        kind = some.lstrip(_FILL)
        if kind:
            file.seek(1 - len(kind), os.SEEK_CUR)
            return _FILL + kind[:1]
        if len(some) < _FILL_BYTES:
            break
    return b""


def _in_jpeg(file: IO[bytes]) -> Blocks:
    blocks = Blocks()
    for number, (kind, length) in enumerate(jpeg_segments(file)):
        if number == MOST_PARTS:
            blocks.parts_looked_at = number
            break
        if kind != OF_PROGRAMS:
            continue
        start = file.tell()
        name = file.read(min(length, len(_XMP_IN_JPEG)))
        if name.startswith(b"Exif\0\0") and blocks.exif is None:
            blocks.exif = _window(file, start + 6, length - 6)
        elif _END_OF_ITS_NAME in name and not blocks.xmp:
            blocks.xmp = (name + file.read(length - len(name))).partition(_END_OF_ITS_NAME)[2]
        if blocks.has_both:
            break
    return blocks


def _in_png(file: IO[bytes], most_xmp: int) -> Blocks:
    blocks, for_names = Blocks(), most_xmp > MOST_XMP
    most_parts = _MOST_PARTS_FOR_NAMES if for_names else MOST_PARTS
    file.seek(8)
    for number in count():
        head = file.read(8)
        if len(head) < 8 or blocks.has_both or (for_names and blocks.xmp):
            return blocks
        if number == most_parts:
            blocks.parts_looked_at = number
            break
        length, kind = struct.unpack(">I4s", head)
        start = file.tell()
        if kind == b"IDAT" and not for_names:
            break
        if kind == b"IEND":
            return blocks
        if kind == b"eXIf" and length <= _MAX_BLOCK:
            blocks.exif = blocks.exif or io.BytesIO(file.read(length))
        elif kind in _TEXTS_IN_PNG:
            _note_text(blocks, kind, file, length, most_xmp)
        file.seek(start + length + 4)
    for kind, content in _at_end_of_png(file):
        if kind == b"eXIf":
            blocks.exif = blocks.exif or io.BytesIO(content)
        else:
            _note_text(blocks, kind, io.BytesIO(content), len(content), most_xmp)
    return blocks


_TEXTS_IN_PNG = (b"iTXt", b"zTXt", b"tEXt")


def _note_text(blocks: Blocks, kind: bytes, file: IO[bytes], length: int, most_xmp: int) -> None:
    """Take what a text of a PNG file holds, unless it was there before."""
    content = file.read(min(length, _LONGEST_NAME_IN_PNG))
    name = content.partition(b"\0")[0]
    if not (kind == b"iTXt" and name == _XMP_IN_PNG) and name not in _RAW_IN_PNG:
        return
    is_larger = length > (most_xmp + _LONGEST_NAME_IN_PNG) * (1 if name == _XMP_IN_PNG else _DIGITS)
    text = None if is_larger else (content + file.read(length - len(content)))[len(name) + 1 :]
    if text is not None and name == _XMP_IN_PNG:
        # Behind the name: whether it is compressed, how, the language and the name in that.
        rest = text[2:].split(b"\0", 2)[-1]
        text = _inflated(rest, most_xmp) if text[:1] == b"\1" else rest
    elif text is not None and kind == b"zTXt":
        text = _inflated(text[1:], _DIGITS * most_xmp)
    if text is None:
        blocks.has_larger_xmp |= name == _XMP_IN_PNG or name in _RAW_XMP_IN_PNG
    elif name == _XMP_IN_PNG:
        blocks.xmp = blocks.xmp or text
    else:
        _note_profile(blocks, name, _raw_profile(text))


def _note_profile(blocks: Blocks, name: bytes, profile: bytes) -> None:
    if profile.startswith(b"Exif\0\0"):
        blocks.exif = blocks.exif or io.BytesIO(profile)
    elif name.endswith(b"xmp") or profile.startswith(_XMP_IN_JPEG):
        blocks.xmp = blocks.xmp or profile.removeprefix(_XMP_IN_JPEG)


def _inflated(content: bytes, most: int) -> bytes | None:
    """What was compressed; None where it is larger than that."""
    decompressor = zlib.decompressobj()
    whole = decompressor.decompress(content, most)
    return None if decompressor.unconsumed_tail else whole


def _raw_profile(text: bytes) -> bytes:
    """What ImageMagick writes: a line break, a name, a length, and lines of hexadecimal digits."""
    lines = text.strip().split(b"\n", 2)
    try:
        return binascii.unhexlify(b"".join(lines[2].split())) if len(lines) == 3 else b""
    except binascii.Error:
        return b""


def _at_end_of_png(file: IO[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Look behind the pixels, which may be a thousand parts: from the end, and the checksum decides."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(size - _PNG_TAIL, 0))
    tail = file.read(_PNG_TAIL)
    for kind in (b"eXIf", *_TEXTS_IN_PNG):
        at = tail.rfind(kind)
        if at < 4:
            continue
        length = struct.unpack(">I", tail[at - 4 : at])[0]
        content, end = tail[at + 4 : at + 4 + length], at + 4 + length
        if tail[end : end + 4] == struct.pack(">I", zlib.crc32(kind + content)):
            yield kind, content


def _in_webp(file: IO[bytes], most_xmp: int) -> Blocks:
    blocks = Blocks()
    file.seek(12)
    for number in count():
        head = file.read(8)
        if len(head) < 8 or blocks.has_both:
            break
        if number == MOST_PARTS:
            blocks.parts_looked_at = number
            break
        kind, length = struct.unpack("<4sI", head)
        start = file.tell()
        if kind == b"EXIF" and length <= _MAX_BLOCK:
            blocks.exif = blocks.exif or _window(file, start, length)
        elif kind == b"XMP ":
            blocks.has_larger_xmp |= length > most_xmp
            blocks.xmp = blocks.xmp or (file.read(length) if length <= most_xmp else b"")
        file.seek(start + length + (length & 1))
    return blocks
