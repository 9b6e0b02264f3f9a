"""Photos by when they were taken."""

from dataclasses import dataclass
from datetime import date

from psycopg import sql

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


def taken_on(dates: Dates) -> Conditions:
    """Photos that were taken then."""
    ends = []
    if dates.first is not None:
        ends.append(sql.SQL("i.taken >= %(first)s::date"))
    if dates.last is not None:
        ends.append(sql.SQL("i.taken < %(last)s::date + 1"))
    return ends, {"first": dates.first, "last": dates.last}
