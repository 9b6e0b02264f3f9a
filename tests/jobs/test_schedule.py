"""Times of day in the settings, on the clock of a host."""

from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from facesets.errors import WrongUsage
from facesets.jobs.schedule import ScheduledTime, due, read_schedule

BERLIN = ZoneInfo("Europe/Berlin")
SPRING, AUTUMN = date(2027, 3, 28), date(2027, 10, 31)
"""Sundays on which the clock goes from 2:00 to 3:00, and from 3:00 to 2:00."""


def test_times_are_read_as_people_write_them() -> None:
    assert read_schedule({"daily": "03:00", "weekly": "Sun 4:30"}) == {
        "daily": ScheduledTime(time(3)),
        "weekly": ScheduledTime(time(4, 30), 6),
    }


@pytest.mark.parametrize(
    ("at", "utc"),
    [
        (time(1, 30), {SPRING: "00:30", AUTUMN: "23:30"}),
        (time(2, 30), {SPRING: "01:30", AUTUMN: "00:30"}),
        (time(3), {SPRING: "01:00", AUTUMN: "02:00"}),
        (time(0), {SPRING: "23:00", AUTUMN: "22:00"}),
    ],
)
@pytest.mark.parametrize("change", [SPRING, AUTUMN])
def test_upkeep_is_due_once_each_day_at_local_time_also_when_the_clock_is_changed(
    at: time, utc: dict[date, str], change: date
) -> None:
    schedule = {"daily": ScheduledTime(at), "weekly": ScheduledTime(at, 6)}
    # A worker that looks twice a minute from the day before until the day after.
    looked = datetime.combine(change - timedelta(days=1), time(), BERLIN).astimezone(UTC)
    end = datetime.combine(change + timedelta(days=2), time(), BERLIN).astimezone(UTC)
    looked -= timedelta(seconds=1)
    daily: list[datetime] = []
    weekly: list[datetime] = []
    while looked + timedelta(seconds=30) < end:
        now = looked + timedelta(seconds=30)
        found = due(schedule, looked, now, BERLIN)
        daily += [found["daily"]] if "daily" in found else []
        weekly += [found["weekly"]] if "weekly" in found else []
        looked = now
    local = [moment.astimezone(BERLIN) for moment in daily]
    assert Counter(moment.date() for moment in local) == {
        change + timedelta(days=days): 1 for days in (-1, 0, 1)
    }
    assert {local[0].time(), local[2].time()} == {at}
    assert [f"{moment:%H:%M}" for moment in weekly] == [utc[change]] == [f"{daily[1]:%H:%M}"]


def test_a_worker_that_slept_for_days_is_due_once() -> None:
    now = datetime(2027, 6, 10, 12, tzinfo=UTC)
    found = due({"daily": ScheduledTime(time(3))}, now - timedelta(days=5), now, BERLIN)
    assert found == {"daily": datetime(2027, 6, 10, 1, tzinfo=UTC)}


@pytest.mark.parametrize(
    "schedule",
    [
        {"daily": "3"},
        {"daily": "25:00"},
        {"daily": "monday 03:00"},
        {"weekly": "03:00"},
        {"weekly": "s 03:00"},
        {"weekly": "monthly 03:00"},
        {"hourly": "03:00"},
    ],
)
def test_invalid_times_are_refused(schedule: dict[str, str]) -> None:
    with pytest.raises(WrongUsage):
        read_schedule(schedule)
