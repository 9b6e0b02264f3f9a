"""Find EXIF and XMP in a picture's file by reading only its headers, without the pixels.

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

MAX_XMP = 1_000_000
"""Maximum bytes of a packet that is read together with other metadata."""
_MAX_BLOCK = 4_000_000
MAX_PARTS = 10_000
_MAX_PARTS_FOR_NAMES = 100_000
"""Pictures of a hundred million pixels have forty thousand parts if a program writes small ones."""
_MAX_TAGS = 4096
_FILL = b"\xff"
_FILL_BYTES = 4096
_MAX_FILLS = 256
OF_PROGRAMS = 0xE1
"""Marker of a JPEG file's parts (APP1) that hold EXIF and XMP."""
_PNG_TAIL = 32_000
_XMP_IN_JPEG = b"http://ns.adobe.com/xap/1.0/\0"
_END_OF_ITS_NAME = b"/xap/1.0/\0"
"""End of the XMP part's name; some sites change the beginning."""
_XMP_IN_PNG = b"XML:com.adobe.xmp"
_RAW_XMP_IN_PNG = (b"Raw profile type xmp", b"Raw profile type APP1")
_RAW_IN_PNG = (b"Raw profile type exif", *_RAW_XMP_IN_PNG)
_LONGEST_NAME_IN_PNG = 80
_DIGITS = 3
"""Maximum bytes of hexadecimal digits and line breaks per byte."""
_XMP_IN_TIFF = 0x02BC
_OF_BYTES = (1, 7)
"""Types of a TIFF file's values that hold bytes."""


@dataclass(slots=True)
class Blocks:
    """The metadata blocks of a file.

    Attributes
    ----------
    exif : binary file or None
        Begins with the TIFF header, or with `Exif` and two zeros in front of it.
    xmp : bytes
        XML; empty if there is none.
    has_larger_xmp : bool
        Whether XMP was left unread because it exceeds the limit.
    parts_looked_at : int
        Number of parts read if EXIF or XMP may follow in later ones; else 0.
    """

    exif: IO[bytes] | None = None
    xmp: bytes = b""
    has_larger_xmp: bool = False
    parts_looked_at: int = 0

    @property
    def has_both(self) -> bool:
        """Whether both EXIF and XMP are found."""
        return self.exif is not None and bool(self.xmp)


def find_blocks(file: IO[bytes], max_xmp: int = MAX_XMP) -> Blocks:
    """Return EXIF and XMP of a JPEG, PNG, WebP, TIFF, HEIF or AVIF file; empty for other files.

    Parameters
    ----------
    max_xmp : int
        Maximum bytes of a packet; a larger one is not read. Above the default, packets are searched
        everywhere, in PNG files even behind thousands of parts with pixels.

    Raises
    ------
    OSError, EOFError, IndexError, struct.error, zlib.error
        The file cannot be read, or is broken.
    """
    head = file.read(16)
    if head[:4] in (b"II*\0", b"MM\0*"):
        return _in_tiff(file, "<" if head.startswith(b"II") else ">", max_xmp)
    if head.startswith(b"\xff\xd8"):
        return _in_jpeg(file)
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return _in_png(file, max_xmp)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return _in_webp(file, max_xmp)
    if head[4:8] == b"ftyp":
        return Blocks(*exif_and_xmp(file, max_xmp))
    return Blocks()


def _window(file: IO[bytes], start: int, length: int, **how: int) -> IO[bytes]:
    return Window(file, start, length, **how)  # type: ignore[return-value]


def _in_tiff(file: IO[bytes], order: str, max_xmp: int) -> Blocks:
    blocks = Blocks(_window(file, 0, file.seek(0, os.SEEK_END)))
    file.seek(4)
    place = file.read(4)
    file.seek(struct.unpack(f"{order}I", place)[0] if len(place) == 4 else 0)
    head = file.read(2)
    written = struct.unpack(f"{order}H", head)[0] if len(head) == 2 else 0
    tags = file.read(12 * min(written, _MAX_TAGS))
    for tag, kind, length, start in struct.iter_unpack(f"{order}HHII", tags[: len(tags) // 12 * 12]):
        if tag == _XMP_IN_TIFF and kind in _OF_BYTES and length > 4:
            blocks.has_larger_xmp = length > max_xmp
            file.seek(start)
            blocks.xmp = b"" if blocks.has_larger_xmp else file.read(length)
            break
    return blocks


def jpeg_segments(file: IO[bytes]) -> Iterator[tuple[int, int]]:
    """Yield kind and length of each part of a JPEG before its pixels, with the file at its content.

    If there are too many, one more than `MAX_PARTS` is yielded.

    Raises
    ------
    OSError, IndexError, struct.error
        The file cannot be read, or is broken.
    """
    file.seek(2)
    for _ in range(MAX_PARTS + 1):
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
    """Return the next part's marker; any number of 0xFF may precede it, and some are skipped."""
    marker = file.read(2)
    if marker != _FILL * 2:
        return marker
    for _ in range(_MAX_FILLS):
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
        if number == MAX_PARTS:
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


def _in_png(file: IO[bytes], max_xmp: int) -> Blocks:
    blocks, for_names = Blocks(), max_xmp > MAX_XMP
    max_parts = _MAX_PARTS_FOR_NAMES if for_names else MAX_PARTS
    file.seek(8)
    for number in count():
        head = file.read(8)
        if len(head) < 8 or blocks.has_both or (for_names and blocks.xmp):
            return blocks
        if number == max_parts:
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
            _note_text(blocks, kind, file, length, max_xmp)
        file.seek(start + length + 4)
    for kind, content in _at_end_of_png(file):
        if kind == b"eXIf":
            blocks.exif = blocks.exif or io.BytesIO(content)
        else:
            _note_text(blocks, kind, io.BytesIO(content), len(content), max_xmp)
    return blocks


_TEXTS_IN_PNG = (b"iTXt", b"zTXt", b"tEXt")


def _note_text(blocks: Blocks, kind: bytes, file: IO[bytes], length: int, max_xmp: int) -> None:
    """Store the content of a PNG text, unless an earlier one was stored."""
    content = file.read(min(length, _LONGEST_NAME_IN_PNG))
    name = content.partition(b"\0")[0]
    if not (kind == b"iTXt" and name == _XMP_IN_PNG) and name not in _RAW_IN_PNG:
        return
    is_larger = length > (max_xmp + _LONGEST_NAME_IN_PNG) * (1 if name == _XMP_IN_PNG else _DIGITS)
    text = None if is_larger else (content + file.read(length - len(content)))[len(name) + 1 :]
    if text is not None and name == _XMP_IN_PNG:
        # After the name: whether and how it is compressed, the language, and the name in that language.
        rest = text[2:].split(b"\0", 2)[-1]
        text = _inflated(rest, max_xmp) if text[:1] == b"\1" else rest
    elif text is not None and kind == b"zTXt":
        text = _inflated(text[1:], _DIGITS * max_xmp)
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
    """Return decompressed data; None if it is larger than the limit."""
    decompressor = zlib.decompressobj()
    whole = decompressor.decompress(content, most)
    return None if decompressor.unconsumed_tail else whole


def _raw_profile(text: bytes) -> bytes:
    """Decode ImageMagick's form: a line break, a name, a length, and lines of hexadecimal digits."""
    lines = text.strip().split(b"\n", 2)
    try:
        return binascii.unhexlify(b"".join(lines[2].split())) if len(lines) == 3 else b""
    except binascii.Error:
        return b""


def _at_end_of_png(file: IO[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Look for blocks after the pixels, reading from the end; a part's checksum confirms it."""
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


def _in_webp(file: IO[bytes], max_xmp: int) -> Blocks:
    blocks = Blocks()
    file.seek(12)
    for number in count():
        head = file.read(8)
        if len(head) < 8 or blocks.has_both:
            break
        if number == MAX_PARTS:
            blocks.parts_looked_at = number
            break
        kind, length = struct.unpack("<4sI", head)
        start = file.tell()
        if kind == b"EXIF" and length <= _MAX_BLOCK:
            blocks.exif = blocks.exif or _window(file, start, length)
        elif kind == b"XMP ":
            blocks.has_larger_xmp |= length > max_xmp
            blocks.xmp = blocks.xmp or (file.read(length) if length <= max_xmp else b"")
        file.seek(start + length + (length & 1))
    return blocks
