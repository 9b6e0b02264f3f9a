"""The groups that wait for a name, counted once for as long as nobody changes anything.

To count a million faces takes a tenth of a second, which is too long for each page of a list.
"""

import threading
import time
from dataclasses import dataclass

from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.people.candidates import newest_step
from facesets.store.postgres.people.face_groups import GroupSizes, group_sizes

_KEPT_S = 30.0
"""Photos that are deleted, and SQL, make no step."""


@dataclass(frozen=True, slots=True)
class _Counted:
    step: int
    at: float
    sizes: GroupSizes


class CurrentGroups:
    """Counts groups again after each step, and from time to time. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counted: dict[bool, _Counted] = {}

    def sizes(self, database: Database, *, labeled: bool = False) -> GroupSizes:
        """All groups that are not hidden; with `labeled` also people who have a name."""

        def work(connection: Connection) -> _Counted:
            step = newest_step(connection)
            known = self._counted.get(labeled)
            if known is not None and known.step == step and time.monotonic() - known.at < _KEPT_S:
                return known
            return _Counted(step, time.monotonic(), group_sizes(connection, labeled=labeled))

        with self._lock:
            counted = self._counted[labeled] = database.run(work)
        return counted.sizes
