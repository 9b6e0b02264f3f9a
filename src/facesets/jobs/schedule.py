"""When upkeep is queued: from times of day as people write them to what procrastinate goes by."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta

from facesets.errors import WrongUsage
from facesets.files import printable

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_TIME = re.compile(r"(?:([a-z]+) )?(\d{1,2}):(\d{2})")


def crons(schedule: Mapping[str, str], today: datetime) -> dict[str, str]:
    """Tasks of `maintain` by cron lines in UTC.

    Parameters
    ----------
    schedule : mapping
        `daily` to a time such as 03:00, `weekly` to a day and a time such as sunday 04:00.
    today : datetime
        With the time zone that the times are of.

    Raises
    ------
    WrongUsage
        A name or a time is none of these.
    """
    return {name: _cron(name, text, today) for name, text in schedule.items()}


def _cron(name: str, text: str, today: datetime) -> str:
    match = _TIME.fullmatch(text.strip().lower())
    is_weekly = name == "weekly"
    days = [each for each in _DAYS if match and len(match[1] or "") >= 3 and each.startswith(match[1])]
    if name not in ("daily", "weekly") or match is None or is_weekly != bool(days):
        raise WrongUsage(
            f'{printable(name)} = "{printable(text)}" under [schedule] is no time to do something. Write '
            'daily = "03:00" or weekly = "sunday 04:00".'
        )
    hour, minute = int(match[2]), int(match[3])
    if hour > 23 or minute > 59:
        raise WrongUsage(f"There is no time {printable(text)} on a day. Correct it under [schedule].")
    local = datetime.combine(today.date(), time(hour, minute), today.tzinfo)
    if is_weekly:
        local += timedelta(days=(_DAYS.index(days[0]) - local.weekday()) % 7)
    utc = local.astimezone(UTC)
    return f"{utc.minute} {utc.hour} * * {(utc.weekday() + 1) % 7 if is_weekly else '*'}"
