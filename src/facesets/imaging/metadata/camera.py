"""By which camera and how a photo was taken."""

import math
from typing import Any

from facesets.imaging.metadata.fields import Fields
from facesets.imaging.metadata.tags import ISO

_ISO_IS_ELSEWHERE = 65535
"""What the two bytes of the sensitivity hold where it is larger."""


def camera_of(fields: Fields) -> dict[str, Any]:
    """The fields of `PhotoMetadata` that tags say: texts, and numbers that are not None."""
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
