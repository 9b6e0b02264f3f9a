"""Parse times as cameras and programs write them, and check whether they are credible."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from facesets.imaging.metadata.record import UNKNOWN_TIME

FIRST_YEAR = 1840
"""Earliest credible year; cameras whose clock was never set write the year 0."""

_FIRST = np.datetime64(f"{FIRST_YEAR}-01-01T00:00:00", "us")
_A_DAY = np.timedelta64(86_400_000_000, "us")
_AHEAD = _A_DAY
"""How far a camera's clock may be ahead, as it may be in any time zone."""

_CLOCKS_BEGIN = (np.datetime64("1904-01-01", "us"), np.datetime64("1970-01-01", "us"))
"""First days of clocks without a battery."""
_ARCHIVES_BEGIN = np.datetime64("1980-01-01", "us")
"""Default time of file systems and archives that store none."""

_MAX_OFFSET_MIN = 15 * 60

_TIME = re.compile(
    r"(?P<year>\d{4})(?:[:/.-](?P<month>\d{1,2})(?:[:/.-](?P<day>\d{1,2})"
    r"(?:[ T]+(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,](?P<fraction>\d+))?)?"
    r"\s*(?P<zone>Z|[+-]\d{1,2}:?\d{2})?)?)?)?(?![\d:])",
    re.ASCII,
)
_ZONE = re.compile(r"(Z)|([+-])(\d{1,2}):?(\d{2})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Taken:
    """A capture time as stated by a source.

    Attributes
    ----------
    source : str
        As in `PhotoMetadata.taken_from`.
    text : str
        The original text; empty without one.
    time : datetime64[us]
        NaT if the time is not credible.
    utc_offset_min : int or None
        As in `PhotoMetadata`.
    reason : str
        Why the time is not credible; empty if it is.
    """

    source: str
    text: str
    time: np.datetime64 = UNKNOWN_TIME
    utc_offset_min: int | None = None
    reason: str = ""


def read_time(source: str, text: str, *, latest: np.datetime64, fraction: str = "", zone: str = "") -> Taken:
    """Parse a time as EXIF or XMP write it: `2019:07:04 15:30:00`, `2019-07-04T15:30:00.25+02:00`, `2019-07`.

    Missing parts mean the first month, the first day, midnight.

    Parameters
    ----------
    latest : datetime64
        About now: times more than a day later come from a wrong clock.
    fraction, zone : str
        Fraction of a second and offset from UTC, if these are stored separately.
    """
    text = text.strip()
    if not text.strip(": 0-/.TZ") and not text.strip(": "):
        return Taken(source, "")
    match = _TIME.match(text)
    if match is None:
        return Taken(source, text, reason="it is not a time")
    year, month, day, hour, minute, second = (int(match[name] or least) for name, least in _PARTS.items())
    if not year:
        return Taken(source, text, reason="the clock was never set")
    try:
        whole = datetime(year, month, day, hour, minute, second)  # noqa: DTZ001 - by the camera's clock
    except ValueError:
        return Taken(source, text, reason="it is not a valid time")
    digits = match["fraction"] or (fraction.strip() if fraction.strip().isdecimal() else "")
    microseconds = int(f"{digits:0<6.6}") if digits.isascii() else 0
    time = np.datetime64(whole + timedelta(microseconds=microseconds), "us")
    reason = unbelievable(time, latest)
    if reason:
        return Taken(source, text, reason=reason)
    return Taken(source, text, time, offset_of(match["zone"] or zone))


_PARTS = {"year": 0, "month": 1, "day": 1, "hour": 0, "minute": 0, "second": 0}


def offset_of(text: str) -> int | None:
    """Parse `+02:00`, `-0330` or `Z` to minutes ahead of UTC; None for anything else."""
    match = _ZONE.fullmatch(text.strip())
    if match is None:
        return None
    if match[1]:
        return 0
    minutes = int(match[3]) * 60 + int(match[4])
    if minutes > _MAX_OFFSET_MIN or int(match[4]) > 59:
        return None
    return -minutes if match[2] == "-" else minutes


def unbelievable(time: np.datetime64, latest: np.datetime64) -> str:
    """Return why no photo can be from a time; empty if it can."""
    if time > latest + _AHEAD:
        return "it is in the future"
    if time < _FIRST:
        return "it is before the invention of photography"
    if any(day <= time < day + _A_DAY for day in _CLOCKS_BEGIN) or time == _ARCHIVES_BEGIN:
        return "it is the initial time of a clock that was never set"
    return ""
