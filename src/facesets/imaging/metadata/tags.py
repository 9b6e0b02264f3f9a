"""Read the EXIF tags of a file by their names.

Pillow parses them. exifread does it in 0.1 ms a file in place of 0.3, but raises on one damaged file of six
and on some whole HEIF files, and finds nothing in others; piexif is unmaintained, and pyexiv2's license would
bind us. Pillow reads too much and stops at a broken value; `window`, through which it sees the file, prevents
both.
"""

import struct
from collections.abc import Iterator, Mapping
from typing import IO, Any

from PIL import ExifTags, Image
from PIL.TiffImagePlugin import IFDRational

from facesets.imaging.metadata.window import Window, is_of_system

XMP = "XMLPacket"
ISO = "PhotographicSensitivity"

BROKEN = (
    *(OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, EOFError, OverflowError),
    *(MemoryError, RuntimeError, AttributeError, ZeroDivisionError, struct.error),
)
"""Exceptions of Pillow's parser for hostile files; errors of the system also have a number."""

_POINTERS = {int(ifd) for ifd in ExifTags.IFD}
_NAMES = {tag: name for tag, name in ExifTags.TAGS.items() if tag not in _POINTERS} | {
    0x8827: ISO,
    0x02BC: XMP,
}
_GPS_NAMES = dict(ExifTags.GPSTAGS)


def read_tags(file: IO[bytes]) -> tuple[dict[str, Any], bool]:
    """Return a picture's EXIF and GPS tags, and whether any part is broken.

    Values are texts, bytes, whole and broken numbers, or tuples of those. A tag of the EXIF part comes before
    one of the same name in the first part; those without a name are left out.

    Raises
    ------
    OSError
        The file cannot be read.
    """
    exif = Image.Exif()
    broken = False
    try:
        exif.load_from_fp(_without_name(file))
    except BROKEN as error:
        if is_of_system(error):
            raise
        return {}, True
    tags: dict[str, Any] = {}
    for part, names in ((None, _NAMES), (ExifTags.IFD.Exif, _NAMES), (ExifTags.IFD.GPSInfo, _GPS_NAMES)):
        try:
            values = dict(_items(exif)) if part is None else exif.get_ifd(part)
        except BROKEN as error:
            if is_of_system(error):
                raise
            broken = True
        else:
            tags |= {names[tag]: value for tag, value in values.items() if tag in names}
    return tags, broken


def _items(exif: Image.Exif) -> Iterator[tuple[int, Any]]:
    for tag in list(exif):
        try:
            yield tag, exif[tag]
        except BROKEN as error:
            if is_of_system(error):
                raise


def _without_name(file: IO[bytes]) -> IO[bytes]:
    """Return the file from its TIFF header on: JPEG files have a prefix, some programs write it twice."""
    length = file.seek(0, 2)
    start = 0
    for _ in range(2):
        file.seek(start)
        if file.read(6) != b"Exif\0\0":
            break
        start += 6
    file.seek(0)
    return Window(file, start, length - start, largest=1 << 16) if start else file  # type: ignore[return-value]


def as_number(value: object) -> float | None:
    """Return a number, or the first of several; None for anything else, or a ratio by zero."""
    if isinstance(value, tuple):
        value = next((each for each in value if each), value[0]) if value else None
    if isinstance(value, IFDRational):
        return float(value.numerator) / value.denominator if value.denominator else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < float("inf") else None


def as_text(value: object) -> str:
    """Format a refused value."""
    if isinstance(value, tuple):
        return " ".join(as_text(each) for each in value[:4])
    if isinstance(value, IFDRational):
        return f"{value.numerator}/{value.denominator}"
    if isinstance(value, bytes):
        return value[:16].hex(" ")
    return str(value)[:80]


Tags = Mapping[str, Any]
