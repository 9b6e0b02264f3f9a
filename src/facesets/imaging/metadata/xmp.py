"""Read XMP: properties by short names such as `exif:FNumber`, and the EXIF tags that they mean."""

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TypeAlias
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring
from PIL.TiffImagePlugin import IFDRational

from facesets.imaging.metadata.fields import clean
from facesets.imaging.metadata.tags import ISO, Tags

Properties: TypeAlias = Mapping[str, str | list[str]]

_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_PREFIXES = {
    "http://ns.adobe.com/exif/1.0/": "exif",
    "http://cipa.jp/exif/1.0/": "exifEX",
    "http://ns.adobe.com/exif/1.0/aux/": "aux",
    "http://ns.adobe.com/tiff/1.0/": "tiff",
    "http://ns.adobe.com/xap/1.0/": "xmp",
    "http://ns.adobe.com/xap/1.0/rights/": "xmpRights",
    "http://ns.adobe.com/photoshop/1.0/": "photoshop",
    "http://purl.org/dc/elements/1.1/": "dc",
    "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/": "Iptc4xmpCore",
    "http://ns.adobe.com/lightroom/1.0/": "lr",
    "http://www.digikam.org/ns/1.0/": "digiKam",
    "http://ns.google.com/photos/1.0/camera/": "GCamera",
}
"""Namespaces that describe a photo. Others hold the settings and histories of programs."""

_MAX_PROPERTIES = 1000


class BrokenXmp(Exception):
    """The XMP is not XML, or harmful XML; the message is the reason."""


def properties(xmp: bytes) -> Properties:
    """Return a packet's properties by name, the first of each name.

    Raises
    ------
    BrokenXmp
        It cannot be parsed, or defines entities.
    """
    try:
        root = fromstring(xmp.strip(b"\0 \r\n\t"), forbid_dtd=True)
    except DefusedXmlException as error:
        raise BrokenXmp("it defines entities, which XMP does not allow") from error
    except (ParseError, ValueError, LookupError) as error:
        raise BrokenXmp("it is not XML") from error
    found: dict[str, str | list[str]] = {}
    for description in root.iter(f"{_RDF}Description"):
        for name, value in _of(description):
            if len(found) >= _MAX_PROPERTIES:
                return MappingProxyType(found)
            found.setdefault(name, value)
    return MappingProxyType(found)


def _of(description: Element) -> Iterator[tuple[str, str | list[str]]]:
    for key, value in description.attrib.items():
        if name := _short(key):
            yield name, clean(value)
    for child in description:
        name = _short(child.tag)
        if not name:
            continue
        if not len(child):
            yield name, clean(child.text or "")
        elif child[0].tag in (f"{_RDF}Seq", f"{_RDF}Bag", f"{_RDF}Alt"):
            yield name, [clean(item.text or "") for item in child[0] if not len(item)]


def _short(key: str) -> str:
    space, _, name = key.removeprefix("{").partition("}")
    prefix = _PREFIXES.get(space)
    return f"{prefix}:{name}" if prefix and name else ""


TIMES_OF_XMP = ("exif:DateTimeOriginal", "photoshop:DateCreated", "xmp:CreateDate")
"""Properties with the time a photo was taken, the most reliable first."""

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
"""EXIF tags by property; of several properties for one tag, the first counts."""

_TEXTS = ("Make", "Model", "LensModel", "GPSLatitude", "GPSLongitude")
_RATIO = re.compile(r"(-?\d{1,20})/(\d{1,20})", re.ASCII)
_NUMBER = re.compile(r"-?\d{1,20}(?:\.\d{1,20})?", re.ASCII)


def tags_of(properties: Properties) -> Tags:
    """Return the tags that properties mean: texts, and numbers for numeric tags."""
    tags: dict[str, object] = {}
    for name, tag in TAGS_OF_XMP.items():
        text = first_text(properties.get(name, ""))
        if text and tag not in tags:
            tags[tag] = text if tag in _TEXTS else _number(text)
    return tags


def first_text(value: str | list[str]) -> str:
    """Return a property, or the first value of a list."""
    return value if isinstance(value, str) else next(iter(value), "")


def _number(text: str) -> object:
    if match := _RATIO.fullmatch(text):
        return IFDRational(int(match[1]), int(match[2]))
    return float(text) if _NUMBER.fullmatch(text) else text
