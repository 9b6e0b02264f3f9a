"""Totals that lists show, kept current without looking at every face each time."""

import threading
import time
from collections.abc import Callable, Sequence
from uuid import UUID

from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.models import detectors, usual_detector
from facesets.store.postgres.people.changes import State, current_state, people_since
from facesets.store.postgres.people.person_totals import refresh_totals
from facesets.store.postgres.people.prototypes import refresh_prototypes, stale_faces

_MANY = 1000
"""People whose faces changed; of more, everybody is counted."""
_REFRESHED = 1000
"""Faces of those whose prototypes are made again at once: within a tenth of a second or two."""
_WARMED = 50_000
"""Faces of those whose prototypes are made again before anybody asks: within a second or two."""
_QUICK_S = 0.1
_SHARE = 20


class Pace:
    """How often everything is counted while photos come and go: at most a twentieth of the time goes into it.

    What is counted quickly is counted as often as anybody asks.
    """

    def __init__(self) -> None:
        self._took = 0.0
        self._ended = 0.0

    @property
    def is_due(self) -> bool:
        """Whether everything may be counted again."""
        return self._took < _QUICK_S or time.monotonic() - self._ended > _SHARE * self._took

    def note(self, began: float) -> None:
        """Everything was counted, since that time of `time.monotonic`."""
        self._ended = time.monotonic()
        self._took = self._ended - began


class Kept:
    """What follows from everybody's faces, made once and then for those whom steps are about.

    Photos that come or go, and SQL, make no step: then it is made for everybody again. Safe to use from
    several threads.
    """

    def __init__(self, make: Callable[[Connection, Sequence[UUID] | None], None]) -> None:
        """Keep what `make` makes of some people, or of everybody."""
        self._make = make
        self._lock = threading.Lock()
        self._seen: State | None = None
        self._pace = Pace()

    def refresh(self, database: Database) -> None:
        """Make it again for those whose faces changed since the last time."""
        with self._lock:
            self._seen = database.run(self._refreshed)

    def _refreshed(self, connection: Connection) -> State:
        now, seen = current_state(connection), self._seen
        if now == seen:
            return now
        if seen is None or now.step < seen.step or (now.others != seen.others and self._pace.is_due):
            return self._of_everybody(connection, now)
        _, persons = people_since(connection, seen.step)
        if len(persons) > _MANY:
            return self._of_everybody(connection, now)
        if persons:
            self._make(connection, persons)
        return State(now.step, seen.others)

    def _of_everybody(self, connection: Connection, now: State) -> State:
        began = time.monotonic()
        self._make(connection, None)
        self._pace.note(began)
        return now


def count_totals(connection: Connection, persons: Sequence[UUID] | None) -> None:
    """Count whose faces changed, of some or of everybody; prototypes are made again if that is quick."""
    changed = refresh_totals(connection, persons)
    detector = usual_detector(connection)
    if changed and detector is not None and sum(changed.values()) <= _REFRESHED:
        refresh_prototypes(connection, detector, list(changed))


def make_all_prototypes(connection: Connection, persons: Sequence[UUID] | None) -> None:
    """Make the prototypes again that are stale, by every recogniser, of some or of everybody."""
    for detector in {each.model_id: each for each in detectors(connection)}.values():
        refresh_prototypes(connection, detector, persons)


def warm_prototypes(database: Database, prototypes: Kept) -> None:
    """Make what the first visitor would wait for, only if few are stale: steps wait for them."""

    def stale(connection: Connection) -> int:
        every = {each.model_id: each for each in detectors(connection)}.values()
        return sum(stale_faces(connection, detector) for detector in every)

    if database.run(stale) <= _WARMED:
        prototypes.refresh(database)
