"""Photos by when they were taken."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from psycopg import sql

from facesets.store.postgres.connection import Connection, only_row
from facesets.store.postgres.photo_conditions import Conditions


@dataclass(frozen=True, slots=True)
class Dates:
    """Images taken from the first day to the last, both included; None is open."""

    first: date | None = None
    last: date | None = None

    @property
    def open(self) -> bool:
        """Whether images of all days and of none are meant."""
        return self.first is None and self.last is None

    @property
    def span(self) -> tuple[datetime, datetime]:
        """From when on, and before when."""
        first, last = self.first or date.min, self.last or date.max
        end = datetime.max if last == date.max else datetime.combine(last + timedelta(days=1), time.min)  # noqa: DTZ901 - by the camera's clock
        return datetime.combine(first, time.min), end


def taken_on(dates: Dates) -> Conditions:
    """Photos that were taken then."""
    ends = []
    if dates.first is not None:
        ends.append(sql.SQL("i.taken >= %(first)s::date"))
    if dates.last is not None:
        ends.append(sql.SQL("i.taken < %(last)s::date + 1"))
    return ends, {"first": dates.first, "last": dates.last}


def times_of_photos(connection: Connection) -> tuple[datetime, datetime] | None:
    """When the first and the last photo was taken; None where none says when."""
    first, last = only_row(connection.execute("SELECT min(taken), max(taken) FROM present_images"))
    return None if first is None else (first, last)
