"""XMP properties as the EXIF tags that they mean, so that both are read by the same rules."""

import re

from PIL.TiffImagePlugin import IFDRational

from facesets.imaging.metadata.tags import ISO, Tags
from facesets.imaging.metadata.xmp import Properties

TIMES_OF_XMP = ("exif:DateTimeOriginal", "photoshop:DateCreated", "xmp:CreateDate")
"""What says when a photo was taken, the surest first."""

TAGS_OF_XMP = {
    "tiff:Make": "Make",
    "tiff:Model": "Model",
    "exifEX:LensModel": "LensModel",
    "aux:Lens": "LensModel",
    "exifEX:PhotographicSensitivity": ISO,
    "exif:ISOSpeedRatings": ISO,
    "exif:FNumber": "FNumber",
    "exif:ApertureValue": "ApertureValue",
    "exif:ExposureTime": "ExposureTime",
    "exif:ShutterSpeedValue": "ShutterSpeedValue",
    "exif:FocalLength": "FocalLength",
    "exif:GPSLatitude": "GPSLatitude",
    "exif:GPSLongitude": "GPSLongitude",
    "exif:GPSAltitude": "GPSAltitude",
    "exif:GPSAltitudeRef": "GPSAltitudeRef",
    "exif:GPSHPositioningError": "GPSHPositioningError",
}
"""The first property of those that mean the same tag counts."""

_TEXTS = ("Make", "Model", "LensModel", "GPSLatitude", "GPSLongitude")
_RATIO = re.compile(r"(-?\d{1,20})/(\d{1,20})", re.ASCII)
_NUMBER = re.compile(r"-?\d{1,20}(?:\.\d{1,20})?", re.ASCII)


def tags_of(properties: Properties) -> Tags:
    """The tags that some properties mean: texts, and numbers where they are numbers."""
    tags: dict[str, object] = {}
    for name, tag in TAGS_OF_XMP.items():
        text = first_text(properties.get(name, ""))
        if text and tag not in tags:
            tags[tag] = text if tag in _TEXTS else _number(text)
    return tags


def first_text(value: str | list[str]) -> str:
    """A property, or the first of a list."""
    return value if isinstance(value, str) else next(iter(value), "")


def _number(text: str) -> object:
    if match := _RATIO.fullmatch(text):
        return IFDRational(int(match[1]), int(match[2]))
    return float(text) if _NUMBER.fullmatch(text) else text
