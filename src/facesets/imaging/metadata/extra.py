"""Collect all other tags as plain JSON values of a bounded size."""

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from PIL.TiffImagePlugin import IFDRational

from facesets.imaging.metadata.fields import Fields, from_bytes, from_latin, of_comment
from facesets.imaging.metadata.tags import XMP, as_number
from facesets.imaging.metadata.xmp import TAGS_OF_XMP, Properties

MAX_BYTES = 16_000
"""Maximum size of all values together, as JSON with their names."""
_MAX_TEXT = 2000
_MAX_NUMBERS = 32

_SKIPPED = frozenset(
    {
        # Data of makers and programs, unreadable without them.
        *("MakerNote", "MakerNoteSafety", "PrintImageMatching", "ImageResources", "InterColorProfile"),
        *(
            "ImageSourceData",
            "IPTCNAA",
            "DNGPrivateData",
            "JPEGTables",
            "CFAPattern",
            "DeviceSettingDescription",
        ),
        # Offsets in the file, which mean nothing without it.
        *("StripOffsets", "StripByteCounts", "TileOffsets", "TileByteCounts", "SubIFDs", "ColorMap"),
        *("JpegIFOffset", "JpegIFByteCount", "FreeOffsets", "FreeByteCounts", "TransferFunction", XMP),
    }
)
_TEXTS_OF_WINDOWS = ("XPTitle", "XPComment", "XPAuthor", "XPKeywords", "XPSubject")
_COMMENTS = ("UserComment", "GPSProcessingMethod", "GPSAreaInformation")


def extra_of(fields: Fields, properties: Properties, used: Collection[str]) -> Mapping[str, Any]:
    """Return the unused tags, then the XMP properties with other meanings than the used ones.

    What does not fit is noted in `fields.refused`.
    """
    extra: dict[str, Any] = {}
    room = MAX_BYTES
    for name, value in [*_of_tags(fields), *_of_xmp(properties, used)]:
        size = len(json.dumps({name: value}))
        if size > room:
            fields.refused["extra"] = f"{name} and possibly more: the limit is {MAX_BYTES // 1000} kB"
            continue
        extra[name] = value
        room -= size
    return extra


def _of_tags(fields: Fields) -> Iterator[tuple[str, Any]]:
    for name, value in fields.tags.items():
        if name in fields.used or name in _SKIPPED:
            continue
        json_value = _json_value(name, value)
        if json_value is None and _is_broken_ratio(value):
            fields.refuse(name, "is not a number")
        elif json_value not in (None, "", []):
            yield name, json_value


def _of_xmp(properties: Properties, used: Collection[str]) -> Iterator[tuple[str, Any]]:
    for name, value in properties.items():
        if TAGS_OF_XMP.get(name) in used or not value:
            continue
        yield name, value[:_MAX_TEXT] if isinstance(value, str) else [each[:_MAX_TEXT] for each in value]


def _is_broken_ratio(value: object) -> bool:
    parts = value if isinstance(value, tuple) else (value,)
    return any(isinstance(part, IFDRational) and not part.denominator for part in parts)


def _json_value(name: str, value: object) -> object:
    """Convert a value to JSON; None for a blob or a number that is not finite."""
    if isinstance(value, str):
        return from_latin(value)[:_MAX_TEXT]
    if isinstance(value, bytes):
        return _text_of(name, value)[:_MAX_TEXT] or _number_of(value)
    if isinstance(value, tuple):
        if len(value) > _MAX_NUMBERS:
            return None
        parts = [_json_value(name, part) for part in value]
        return None if None in parts else parts
    number = as_number(value)
    return int(number) if number is not None and number.is_integer() else number


def _text_of(name: str, content: bytes) -> str:
    if name in _COMMENTS:
        return of_comment(content)
    if name in _TEXTS_OF_WINDOWS:
        return from_latin(content.decode("utf-16-le", "replace").split("\0", 1)[0].encode().decode("latin-1"))
    return from_bytes(content)


def _number_of(content: bytes) -> int | None:
    return content[0] if len(content) == 1 else None
