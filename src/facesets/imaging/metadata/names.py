"""Read dates of photos from the names of files and folders.

Only a whole date counts: `IMG_2019` is the 2019th photo of a camera, and 2019 a year. It may have the time
behind it in any of the ways that cameras, phones and messengers write it.
"""

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import PurePosixPath, PureWindowsPath

import numpy as np

from facesets.imaging.metadata.fields import clean
from facesets.imaging.metadata.times import Taken, unbelievable

# No digit before or after a date, which excludes photo numbers, sizes and times. Joined dates may have the
# time right after them.
_TIME_JOINED = r"(?:[01]\d|2[0-3])[0-5]\d[0-5]\d(?:\d{1,3})?"
_DATES = (
    # IMG_20190412_123456, IMG-20190412-WA0003, PXL_20190412_101112123, 20190412123456
    re.compile(rf"(?<!\d)(?P<y>\d{{4}})(?P<m>\d{{2}})(?P<d>\d{{2}})(?=(?:{_TIME_JOINED})?(?!\d))", re.ASCII),
    # 2019-04-12 10.11.12, Screenshot_2019_04_12, 2019.04.12
    re.compile(r"(?<!\d)(?P<y>\d{4})([-_. ])(?P<m>\d{2})\2(?P<d>\d{2})(?!\d)", re.ASCII),
    # 12.04.2019
    re.compile(r"(?<!\d)(?P<d>\d{2})([-_. ])(?P<m>\d{2})\2(?P<y>\d{4})(?!\d)", re.ASCII),
    # 04-12-2019
    re.compile(r"(?<!\d)(?P<m>\d{2})([-_. ])(?P<d>\d{2})\2(?P<y>\d{4})(?!\d)", re.ASCII),
)
_AT = r"(?:at|um|à|a las|alle(?: ore)?|om|kl\.?|às)"  # codespell:ignore alle,ore
# Behind a date: 153000, _153000123, 15.30.00, -15-30-00, T15-30-00Z, " at 3.30.00 PM", ", 15 30 00".
_TIMES = (
    re.compile(r"[-_ T,.]{0,2}(?P<h>\d{2})(?P<min>\d{2})(?P<s>\d{2})(?P<f>\d{1,3})?(?!\d)", re.ASCII),
    re.compile(
        rf"(?:[-_ T,.]{{1,3}}| {_AT} )(?P<h>\d{{1,2}})(?P<sep>[-_.:h ])(?P<min>\d{{2}})(?P=sep)(?P<s>\d{{2}})"
        r"(?:[-_.](?P<f>\d{3}))?(?!\d)(?:\s?(?P<noon>[AaPp])\.?[Mm]\b)?"
    ),
)
# Phones of this maker write UTC into names, and local time into the file.
_BY_UTC = re.compile(r"PXL_\d{8}_\d{9}", re.ASCII)

_NESTED = re.compile(r"(?:^|/)(?P<y>\d{4})/(?P<m>\d{2})/(?P<d>\d{2})$", re.ASCII)
_FOLDERS_UP = 3


def time_in_name(path: str, *, latest: np.datetime64) -> Taken:
    """Return the time in the name of a photo's file; midnight if it has only the day.

    Parameters
    ----------
    latest : datetime64
        As in `read_time`.
    """
    name = PureWindowsPath(PurePosixPath(path).name).name
    return next(_times(name, "file name", latest), Taken("file name", ""))


def day_of_folder(path: str, *, latest: np.datetime64) -> Taken:
    """Return the day in the names of the nearest folders: `2019-07-04 Beach`, or `2019/07/04`."""
    folder = PurePosixPath(path.replace("\\", "/")).parent
    for _ in range(_FOLDERS_UP):
        if match := _NESTED.search(str(folder)):
            taken = _taken(match, "", str(folder)[match.start() :].strip("/"), "folder name", latest)
            if taken is not None:
                return taken
        for found in _times(folder.name, "folder name", latest):
            return found
        folder = folder.parent
    return Taken("folder name", "")


def _times(name: str, source: str, latest: np.datetime64) -> Iterator[Taken]:
    for pattern in _DATES:
        for match in pattern.finditer(name):
            taken = _taken(match, name[match.end() :], name, source, latest)
            if taken is not None:
                yield taken


def _taken(date: re.Match[str], behind: str, name: str, source: str, latest: np.datetime64) -> Taken | None:
    year, month, day = (int(date[part]) for part in "ymd")
    try:
        midnight = datetime(year, month, day)  # noqa: DTZ001 - by the camera's clock
    except ValueError:
        return None
    moment = next(
        (moment for pattern in _TIMES if (moment := _moment(pattern.match(behind), midnight))), midnight
    )
    time = np.datetime64(moment, "us")
    if unbelievable(time, latest):
        return None
    return Taken(source, clean(name), time, 0 if _BY_UTC.search(name) else None)


def _moment(time: re.Match[str] | None, midnight: datetime) -> datetime | None:
    if time is None:
        return None
    hour = int(time["h"])
    noon = time.groupdict().get("noon")
    if noon:
        hour = hour % 12 + (12 if noon in "Pp" else 0) if 1 <= hour <= 12 else 24
    try:
        return midnight.replace(
            hour=hour,
            minute=int(time["min"]),
            second=int(time["s"]),
            microsecond=int(f"{time['f'] or '':0<6}"),
        )
    except ValueError:
        return None
