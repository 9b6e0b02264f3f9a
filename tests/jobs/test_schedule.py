"""Times of day in the settings."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from facesets.errors import WrongUsage
from facesets.jobs.schedule import crons

EAST = datetime(2026, 6, 1, tzinfo=timezone(timedelta(hours=2)))


def test_times_are_those_of_the_host() -> None:
    assert crons({"daily": "03:00", "weekly": "Sunday 04:30"}, datetime(2026, 6, 1, tzinfo=UTC)) == {
        "daily": "0 3 * * *",
        "weekly": "30 4 * * 0",
    }
    assert crons({"daily": "01:15", "weekly": "mon 01:15"}, EAST) == {
        "daily": "15 23 * * *",
        "weekly": "15 23 * * 0",
    }


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
def test_what_is_no_time_is_refused(schedule: dict[str, str]) -> None:
    with pytest.raises(WrongUsage):
        crons(schedule, EAST)
