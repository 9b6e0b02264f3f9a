"""What a camera wrote beside the pixels."""

import re

import numpy as np
from PIL import ExifTags, Image

Exif = Image.Exif

ORIENTATION = int(ExifTags.Base.Orientation)

FIRST_YEAR = 1840
"""No photo is older; cameras whose clock was never set write the year 0."""

_TIME = re.compile(r"^\s*(\d{4})[:\-](\d{2})[:\-](\d{2})[ T](\d{2}):(\d{2}):(\d{2})")
_CAPTURE_TAGS = (ExifTags.Base.DateTimeOriginal, ExifTags.Base.DateTimeDigitized)


def capture_time(exif: Exif) -> np.datetime64:
    """When the picture was taken, by the camera's clock; NaT when the file does not say."""
    photo = _photo_part(exif)
    times = (_time(photo.get(tag)) for tag in _CAPTURE_TAGS)
    return next((time for time in times if not np.isnat(time)), np.datetime64("NaT", "s"))


def capture_year(exif: Exif, *, latest: int) -> int:
    """The year in which the picture was taken, or else was last changed; 0 when the file does not say.

    Years before photography and after `latest` come from clocks that were never set.
    """
    photo = _photo_part(exif)
    times = [*(_time(photo.get(tag)) for tag in _CAPTURE_TAGS), _time(exif.get(ExifTags.Base.DateTime))]
    return next((year for time in times if (year := sane_year(time, latest=latest))), 0)


def sane_year(time: np.datetime64, *, latest: int) -> int:
    """The year of a time if a photo can be from it, else 0."""
    if np.isnat(time):
        return 0
    year = int(time.astype("datetime64[Y]").astype(int)) + 1970
    return year if FIRST_YEAR <= year <= latest else 0


def _photo_part(exif: Exif) -> dict[int, object]:
    try:
        return exif.get_ifd(ExifTags.IFD.Exif)
    except (OSError, SyntaxError, ValueError, TypeError, KeyError):
        return {}


def _time(text: object) -> np.datetime64:
    match = _TIME.match(str(text or ""))
    if match:
        year, month, day, hour, minute, second = match.groups()
        try:
            return np.datetime64(f"{year}-{month}-{day}T{hour}:{minute}:{second}", "s")
        except ValueError:
            pass
    return np.datetime64("NaT", "s")
