"""The year in which a photo was taken: what its header says, else what its name says."""

import re
from datetime import date
from pathlib import PurePosixPath, PureWindowsPath
from typing import IO

from facesets.imaging.exif import FIRST_YEAR, capture_year
from facesets.imaging.exif_block import read_exif

# A whole date, and no digit before or after it: the numbers of photos, sizes and times are not dates.
_DATES = (
    # IMG_20190412_123456, IMG-20190412-WA0003, PXL_20190412_101112123, 20190412123456
    re.compile(
        r"(?<!\d)(?P<y>\d{4})(?P<m>\d{2})(?P<d>\d{2})(?:(?:[01]\d|2[0-3])[0-5]\d[0-5]\d(?:\d{3})?)?(?!\d)"
    ),
    # 2019-04-12 10.11.12, Screenshot_2019_04_12, 2019.04.12
    re.compile(r"(?<!\d)(?P<y>\d{4})([-_. ])(?P<m>\d{2})\2(?P<d>\d{2})(?!\d)"),
    # 12.04.2019
    re.compile(r"(?<!\d)(?P<d>\d{2})([-_. ])(?P<m>\d{2})\2(?P<y>\d{4})(?!\d)"),
    # 04-12-2019
    re.compile(r"(?<!\d)(?P<m>\d{2})([-_. ])(?P<d>\d{2})\2(?P<y>\d{4})(?!\d)"),
)


def year_in_header(file: IO[bytes], *, latest: int) -> int:
    """Capture year by the EXIF of an open file; 0 when it does not say. Reads the header only.

    Raises
    ------
    OSError
        The file cannot be read.
    """
    return capture_year(read_exif(file), latest=latest)


def year_in_name(path: str, *, latest: int) -> int:
    """Capture year by a date in the file's name; 0 when there is none.

    Folders do not count: people name them for many reasons. Nor do bare years: `IMG_2019` is the 2019th
    photo of a camera.
    """
    name = PureWindowsPath(PurePosixPath(path).name).name
    for pattern in _DATES:
        for found in pattern.finditer(name):
            year, month, day = (int(found[part]) for part in ("y", "m", "d"))
            if FIRST_YEAR <= year <= latest and _is_date(year, month, day):
                return year
    return 0


def _is_date(year: int, month: int, day: int) -> bool:
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True
