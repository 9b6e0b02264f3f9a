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
from typing import IO

from facesets.imaging.metadata.isobmff import exif_and_xmp
from facesets.imaging.metadata.window import Window

_MAX_BLOCK = 4_000_000
_MAX_XMP = 1_000_000
_MAX_PARTS = 10_000
OF_PROGRAMS = 0xE1
"""The kind of a JPEG file's parts (APP1) that hold EXIF and XMP."""
_PNG_TAIL = 32_000
_XMP_IN_JPEG = b"http://ns.adobe.com/xap/1.0/\0"
_END_OF_ITS_NAME = b"/xap/1.0/\0"
"""Some sites write what is before it in their own way."""
_XMP_IN_PNG = b"XML:com.adobe.xmp"
_XMP_IN_TIFF = 1 << 16


@dataclass(slots=True)
class Blocks:
    """What a file holds beside pixels.

    Attributes
    ----------
    exif : binary file or None
        Begins with the TIFF header, or with `Exif` and two zeros in front of it.
    xmp : bytes
        XML; empty where there is none, or a TIFF file, which has it among its tags.
    """

    exif: IO[bytes] | None = None
    xmp: bytes = b""

    @property
    def has_both(self) -> bool:
        """Whether there is nothing left to look for."""
        return self.exif is not None and bool(self.xmp)


def find_blocks(file: IO[bytes]) -> Blocks:
    """EXIF and XMP of a JPEG, PNG, WebP, TIFF, HEIF or AVIF file; none where it is another one.

    Raises
    ------
    OSError, EOFError, IndexError, struct.error, zlib.error
        The file cannot be read, or is broken.
    """
    head = file.read(16)
    if head[:4] in (b"II*\0", b"MM\0*"):
        return Blocks(_window(file, 0, file.seek(0, os.SEEK_END), largest=_XMP_IN_TIFF))
    if head.startswith(b"\xff\xd8"):
        return _in_jpeg(file)
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return _in_png(file)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return _in_webp(file)
    if head[4:8] == b"ftyp":
        return Blocks(*exif_and_xmp(file))
    return Blocks()


def _window(file: IO[bytes], start: int, length: int, **how: int) -> IO[bytes]:
    return Window(file, start, length, **how)  # type: ignore[return-value]


def jpeg_segments(file: IO[bytes]) -> Iterator[tuple[int, int]]:
    """The parts of a JPEG file before its pixels: kind and length of each, with the file at its content.

    Raises
    ------
    OSError, IndexError, struct.error
        The file cannot be read, or is broken.
    """
    file.seek(2)
    for _ in range(_MAX_PARTS):
        marker = file.read(2)
        while marker == b"\xff\xff":
            marker = b"\xff" + file.read(1)
        if len(marker) < 2 or marker[0] != 0xFF or marker[1] in (0xDA, 0xD9):
            return
        length = struct.unpack(">H", file.read(2))[0] - 2
        if length < 0:
            return
        start = file.tell()
        yield marker[1], length
        file.seek(start + length)


def _in_jpeg(file: IO[bytes]) -> Blocks:
    blocks = Blocks()
    for kind, length in jpeg_segments(file):
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


def _in_png(file: IO[bytes]) -> Blocks:
    blocks = Blocks()
    file.seek(8)
    for _ in range(_MAX_PARTS):
        head = file.read(8)
        if len(head) < 8 or blocks.has_both:
            return blocks
        length, kind = struct.unpack(">I4s", head)
        start = file.tell()
        if kind == b"IDAT":
            break
        if kind == b"IEND":
            return blocks
        if kind in _KEPT_IN_PNG and length <= _MAX_BLOCK:
            _note_png(blocks, kind, file.read(length))
        file.seek(start + length + 4)
    for kind, content in _at_end_of_png(file):
        _note_png(blocks, kind, content)
    return blocks


_KEPT_IN_PNG = (b"eXIf", b"iTXt", b"zTXt", b"tEXt")


def _note_png(blocks: Blocks, kind: bytes, content: bytes) -> None:
    """Take what a part of a PNG file holds, unless it was there before."""
    if kind == b"eXIf":
        blocks.exif = blocks.exif or io.BytesIO(content)
        return
    name, _, text = content.partition(b"\0")
    if name == _XMP_IN_PNG and kind == b"iTXt":
        # Behind the name: whether it is compressed, how, the language and the name in that.
        compressed, rest = text[:1] == b"\1", text[2:].split(b"\0", 2)[-1]
        blocks.xmp = blocks.xmp or (_inflated(rest) if compressed else rest)
    elif name in (b"Raw profile type exif", b"Raw profile type APP1", b"Raw profile type xmp"):
        profile = _raw_profile(_inflated(text[1:]) if kind == b"zTXt" else text)
        if profile.startswith(b"Exif\0\0"):
            blocks.exif = blocks.exif or io.BytesIO(profile)
        elif name.endswith(b"xmp") or profile.startswith(_XMP_IN_JPEG):
            blocks.xmp = blocks.xmp or profile.removeprefix(_XMP_IN_JPEG)


def _inflated(content: bytes) -> bytes:
    return zlib.decompressobj().decompress(content, _MAX_XMP)


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
    for kind in _KEPT_IN_PNG:
        at = tail.rfind(kind)
        if at < 4:
            continue
        length = struct.unpack(">I", tail[at - 4 : at])[0]
        content, end = tail[at + 4 : at + 4 + length], at + 4 + length
        if tail[end : end + 4] == struct.pack(">I", zlib.crc32(kind + content)):
            yield kind, content


def _in_webp(file: IO[bytes]) -> Blocks:
    blocks = Blocks()
    file.seek(12)
    for _ in range(_MAX_PARTS):
        head = file.read(8)
        if len(head) < 8 or blocks.has_both:
            break
        kind, length = struct.unpack("<4sI", head)
        start = file.tell()
        if kind == b"EXIF" and length <= _MAX_BLOCK:
            blocks.exif = blocks.exif or _window(file, start, length)
        elif kind == b"XMP " and length <= _MAX_XMP:
            blocks.xmp = blocks.xmp or file.read(length)
        file.seek(start + length + (length & 1))
    return blocks
