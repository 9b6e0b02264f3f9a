"""What a camera wrote beside the pixels."""

import re

import numpy as np
from PIL import ExifTags, Image

Exif = Image.Exif

ORIENTATION = int(ExifTags.Base.Orientation)

_TIME = re.compile(r"^(\d{4})[:\-](\d{2})[:\-](\d{2})[ T](\d{2}):(\d{2}):(\d{2})")
_TIME_TAGS = (ExifTags.Base.DateTimeOriginal, ExifTags.Base.DateTimeDigitized)


def capture_time(exif: Exif) -> np.datetime64:
    """When the picture was taken, by the camera's clock; NaT when the file does not say."""
    try:
        photo = exif.get_ifd(ExifTags.IFD.Exif)
    except (OSError, SyntaxError, ValueError, TypeError, KeyError):
        photo = {}
    for tag in _TIME_TAGS:
        match = _TIME.match(str(photo.get(tag, "")))
        if match:
            year, month, day, hour, minute, second = match.groups()
            try:
                return np.datetime64(f"{year}-{month}-{day}T{hour}:{minute}:{second}", "s")
            except ValueError:
                continue
    return np.datetime64("NaT", "s")
