"""Read camera, exposure and location of a photo from its tags."""

import math
import re
from typing import Any

from facesets.imaging.metadata.fields import Fields, clean
from facesets.imaging.metadata.tags import ISO, as_number

_ISO_IS_ELSEWHERE = 65535
"""Value of the two-byte sensitivity if the true one does not fit."""


def camera_of(fields: Fields) -> dict[str, Any]:
    """Return the fields of `PhotoMetadata` in tags: texts, and numbers that are not None."""
    found: dict[str, Any] = {
        "make": fields.text("Make"),
        "model": fields.text("Model"),
        "lens": fields.text("LensModel"),
        "iso": _iso(fields),
        "aperture": _aperture(fields),
        "exposure_s": _exposure(fields),
        "focal_length_mm": fields.number("FocalLength", least=0, most=100_000, above=True),
        "orientation": _orientation(fields),
    }
    return {name: value for name, value in found.items() if value not in (None, "")}


def _iso(fields: Fields) -> int | None:
    iso = fields.number(ISO, least=0, most=10_000_000, above=True)
    if iso == _ISO_IS_ELSEWHERE or (iso is None and ISO not in fields.refused):
        for name in ("RecommendedExposureIndex", "ISOSpeed", "StandardOutputSensitivity"):
            larger = fields.number(name, least=0, most=10_000_000, above=True)
            if larger is not None:
                return round(larger)
    return None if iso is None else round(iso)


def _aperture(fields: Fields) -> float | None:
    number = fields.number("FNumber", least=0, most=1000, above=True)
    if number is not None:
        return number
    apex = fields.number("ApertureValue", least=-10, most=20)
    return None if apex is None else 2 ** (apex / 2)


def _exposure(fields: Fields) -> float | None:
    seconds = fields.number("ExposureTime", least=0, most=1_000_000, above=True)
    if seconds is not None:
        return seconds
    apex = fields.number("ShutterSpeedValue", least=-20, most=30)
    return None if apex is None else math.pow(2, -apex)


def _orientation(fields: Fields) -> int | None:
    number = fields.number("Orientation", least=1, most=8)
    return None if number is None else int(number)


_HEMISPHERES = {"GPSLatitude": ("N", "S", 90), "GPSLongitude": ("E", "W", 180)}
_BELOW_SEA = (1, 3)
_XMP_DEGREES = re.compile(
    r"(\d+(?:\.\d+)?),(?:(\d+(?:\.\d+)?)(?:,(\d+(?:\.\d+)?))?)?([NSEW])|(\d+(?:\.\d+)?)([NSEW])", re.ASCII
)


def place_of(fields: Fields) -> dict[str, Any]:
    """Return the credible ones of latitude, longitude, altitude and accuracy in the GPS tags."""
    latitude, longitude = (_degrees(fields, name) for name in _HEMISPHERES)
    found: dict[str, Any] = {
        "altitude_m": _altitude(fields),
        "gps_accuracy_m": fields.number("GPSHPositioningError", least=0, most=1e7),
    }
    if latitude is not None and longitude is not None:
        if latitude == longitude == 0:
            fields.refused["GPSLatitude"] = "0, 0 stands for an unknown location"
        else:
            found |= {"latitude": latitude, "longitude": longitude}
    elif (latitude is None) != (longitude is None) and not {*_HEMISPHERES} & {*fields.refused}:
        present = "GPSLongitude" if latitude is None else "GPSLatitude"
        fields.refuse(present, "lacks the other coordinate")
    return {name: value for name, value in found.items() if value is not None}


def _degrees(fields: Fields, name: str) -> float | None:
    positive, negative, most = _HEMISPHERES[name]
    value = fields.value(name)
    hemisphere = fields.text(f"{name}Ref").upper()[:1]
    if value is None:
        return None
    if isinstance(value, str):
        value, hemisphere = _parts_of_text(value, hemisphere)
    parts = value if isinstance(value, tuple) else (value,)
    numbers = [as_number(part) for part in parts[:3]]
    if not numbers or None in numbers:
        fields.refuse(name, "is not a number")
        return None
    degrees: float = sum((number or 0) / 60.0**place for place, number in enumerate(numbers))
    if hemisphere not in (positive, negative):
        hemisphere_text = f"the hemisphere {hemisphere!r}" if hemisphere else "no hemisphere"
        fields.refuse(name, f"has {hemisphere_text} instead of {positive} or {negative}")
        return None
    if not 0 <= degrees <= most or any((number or 0) < 0 for number in numbers):
        fields.refuse(name, "is out of range")
        return None
    # A tenth of a millimeter; further digits are rounding errors.
    return round(-degrees if hemisphere == negative else degrees, 9)


def _parts_of_text(text: str, hemisphere: str) -> tuple[tuple[float, ...], str]:
    """Split a coordinate of XMP, `48,12.5N`, into degrees, minutes, seconds and hemisphere."""
    match = _XMP_DEGREES.fullmatch(clean(text))
    if match is None:
        return (), hemisphere
    return tuple(float(part) for part in (*match.groups()[:3], match[5]) if part), match[4] or match[6]


def _altitude(fields: Fields) -> float | None:
    meters = fields.number("GPSAltitude", least=-20_000, most=1_000_000)
    below = fields.value("GPSAltitudeRef")
    if isinstance(below, bytes):
        below = below[0] if below else 0
    return -meters if meters and below in _BELOW_SEA else meters
