"""The metadata of a photo, from its file alone."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

UNKNOWN_TIME = np.datetime64("NaT", "us")


@dataclass(frozen=True, slots=True)
class PhotoMetadata:
    """When, where and how a photo was taken. Unknown numbers are None, unknown texts empty.

    Attributes
    ----------
    taken : datetime64[us]
        By the camera's clock; NaT without a credible source.
    taken_from : str
        Its source: `DateTimeOriginal`, `DateTimeDigitized`, `DateTime`, `XMP`, `file name`, `folder name`
        or `mtime`; empty where nothing does.
    taken_text : str
        The text read there; if no source is credible, that of the first.
    utc_offset_min : int or None
        Minutes by which the camera's clock is ahead of UTC.
    latitude, longitude : float or None
        Degrees, north and east positive; both or none.
    altitude_m, gps_accuracy_m : float or None
        Meters above the sea, and how sure the place is.
    make, model, lens : str
        Of the camera.
    aperture : float or None
        The f-number.
    exposure_s, focal_length_mm : float or None
    orientation : int
        As EXIF numbers it, 1 to 8; 1 if not stated.
    refused : mapping of str to str
        Fields that the file holds and that are not believed, with the reason.
    extra : mapping of str to JSON values
        All other tags by their names.
    """

    taken: np.datetime64 = UNKNOWN_TIME
    taken_from: str = ""
    taken_text: str = ""
    utc_offset_min: int | None = None
    latitude: float | None = None
    longitude: float | None = None
    altitude_m: float | None = None
    gps_accuracy_m: float | None = None
    make: str = ""
    model: str = ""
    lens: str = ""
    iso: int | None = None
    aperture: float | None = None
    exposure_s: float | None = None
    focal_length_mm: float | None = None
    orientation: int = 1
    refused: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)


def exposure(seconds: float) -> str:
    """Format an exposure time in seconds as cameras show it: `1/250`, `0.3` or `30`."""
    return f"1/{1 / seconds:.0f}" if 0 < seconds <= _SHORT else f"{seconds:.3g}"


_SHORT = 0.25
"""Longer times, in seconds, are written without a fraction."""
