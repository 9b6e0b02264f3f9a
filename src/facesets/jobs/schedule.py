"""The schedule of a worker: times of day, and tasks that are due."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta, tzinfo

from facesets.errors import WrongUsage
from facesets.files import printable

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_TIME = re.compile(r"(?:([a-z]+) )?(\d{1,2}):(\d{2})")
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class ScheduledTime:
    """A daily or weekly time.

    Attributes
    ----------
    weekday : int or None
        0 for Monday; None for each day.
    """

    at: time
    weekday: int | None = None

    def latest(self, now: datetime, zone: tzinfo | None = None) -> datetime:
        """Return its latest moment at or before `now`, in UTC.

        A time that the clock skips in spring is moved by the skipped hour; a time that the clock shows twice
        in autumn means the first one.

        Parameters
        ----------
        now : datetime
            A time with any time zone.
        zone : tzinfo or None
            The time zone of the schedule; None for that of this host.
        """
        day = now.astimezone(zone).date()
        while True:
            moment = datetime.combine(day, self.at, zone).astimezone(UTC)
            if moment <= now and self.weekday in (None, day.weekday()):
                return moment
            day -= _DAY


@dataclass(frozen=True, slots=True)
class WorkerTiming:
    """The timing of a worker: heartbeats, end, and scheduled tasks.

    Attributes
    ----------
    heartbeat_s : float
        Seconds between heartbeats; must be the same for all workers of a library.
    until_empty : bool
        The worker ends when no job is left that it can take.
    schedule : mapping of str to ScheduledTime
        When tasks of `maintain` are queued.
    """

    heartbeat_s: float = 10.0
    until_empty: bool = False
    schedule: Mapping[str, ScheduledTime] = field(default_factory=dict)


def read_schedule(texts: Mapping[str, str]) -> dict[str, ScheduledTime]:
    """Read the tasks of `maintain` by their times.

    Parameters
    ----------
    texts : mapping
        `daily` with a time such as 03:00, `weekly` with a day and a time such as sunday 04:00.

    Raises
    ------
    WrongUsage
        A name or a time is invalid.
    """
    return {name: _read(name, text) for name, text in texts.items()}


def due(
    schedule: Mapping[str, ScheduledTime], since: datetime, now: datetime, zone: tzinfo | None = None
) -> dict[str, datetime]:
    """Return the tasks due after `since` until `now`, each with its latest moment."""
    moments = {name: each.latest(now, zone) for name, each in schedule.items()}
    return {name: moment for name, moment in moments.items() if moment > since}


def _read(name: str, text: str) -> ScheduledTime:
    match = _TIME.fullmatch(text.strip().lower())
    is_weekly = name == "weekly"
    days = [each for each in _DAYS if match and len(match[1] or "") >= 3 and each.startswith(match[1])]
    if name not in ("daily", "weekly") or match is None or is_weekly != bool(days):
        raise WrongUsage(
            f'{printable(name)} = "{printable(text)}" under [schedule] is not a valid time. Write '
            'daily = "03:00" or weekly = "sunday 04:00".'
        )
    hour, minute = int(match[2]), int(match[3])
    if hour > 23 or minute > 59:
        raise WrongUsage(f"Invalid time of day: {printable(text)}. Correct it under [schedule].")
    return ScheduledTime(time(hour, minute), _DAYS.index(days[0]) if is_weekly else None)
