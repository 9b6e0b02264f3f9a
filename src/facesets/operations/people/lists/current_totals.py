"""Totals that lists show, kept current without looking at every face each time."""

import threading
import time
from collections.abc import Sequence
from uuid import UUID

from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.models import usual_detector
from facesets.store.postgres.people.person_totals import refresh_totals
from facesets.store.postgres.people.prototypes import refresh_prototypes
from facesets.store.postgres.people.steps import people_since

_MANY = 1000
"""People whose faces changed; of more, everybody is counted."""
_REFRESHED = 1000
"""Faces of those whose prototypes are made again at once: within a tenth of a second or two."""
_COUNTED_EVERY_S = 600.0


class CurrentTotals:
    """Counts everybody once, and then those whom steps are about. Safe to use from several threads.

    Photos that are removed make no step. So everybody is counted again from time to time.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._step: int | None = None
        self._claiming = threading.Lock()
        self._counted_at = 0.0

    def recount_is_due(self) -> bool:
        """Whether whoever asks is to count everybody again: from time to time one of all who ask."""
        with self._claiming:
            is_due = time.monotonic() - self._counted_at > _COUNTED_EVERY_S
            if is_due:
                self._counted_at = time.monotonic()
            return is_due

    def refresh(self, database: Database, *, everybody: bool = False) -> None:
        """Count again whose faces changed by a step since the last time, or, seldom, everybody."""
        with self._lock:
            seen = None if everybody else self._step

            def work(connection: Connection) -> int:
                step, persons = people_since(connection, seen or 0)
                if seen is None or len(persons) > _MANY:
                    _count(connection, None)
                elif persons:
                    _count(connection, persons)
                return step

            self._step = database.run(work)
            if seen is None:
                self._counted_at = time.monotonic()


def _count(connection: Connection, persons: Sequence[UUID] | None) -> None:
    changed = refresh_totals(connection, persons)
    detector = usual_detector(connection)
    if changed and detector is not None and sum(changed.values()) <= _REFRESHED:
        refresh_prototypes(connection, detector, list(changed))
