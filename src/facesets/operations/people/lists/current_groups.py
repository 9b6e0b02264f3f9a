"""The groups that wait for a name, counted once, and then those that steps are about.

To count a million faces takes a tenth of a second or more, which is too long for each page of a list.
"""

import threading
import time
from bisect import insort
from dataclasses import dataclass

from facesets.operations.people.lists.current_totals import Pace
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.models import usual_detector
from facesets.store.postgres.people.changes import ChangedPeople, State, changed_since, current_state
from facesets.store.postgres.people.face_groups import OF_PERSON, GroupSizes, group_sizes

_MANY = 300
"""People or clusters that changed; of more, everything is counted."""


@dataclass(frozen=True, slots=True)
class _Counted:
    state: State
    sizes: GroupSizes


class CurrentGroups:
    """Counts all groups once, and then those whom steps are about. Safe to use from several threads.

    Photos that come or go, and SQL, make no step: then everything is counted again.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counted: dict[bool, _Counted] = {}
        self._pace = Pace()

    def sizes(self, database: Database, *, labeled: bool = False) -> GroupSizes:
        """All groups that are not hidden; with `labeled` also people who have a name."""
        with self._lock:
            counted = database.run(self._current, labeled=labeled)
            self._counted[labeled] = counted
        return counted.sizes

    def _current(self, connection: Connection, *, labeled: bool) -> _Counted:
        now, known = current_state(connection), self._counted.get(labeled)
        if known is None or now.step < known.state.step:
            return self._all(connection, now, labeled=labeled)
        if now.others != known.state.others and self._pace.is_due:
            return self._all(connection, now, labeled=labeled)
        if now.step == known.state.step:
            return known
        detector = usual_detector(connection)
        changed = None
        if detector is not None:
            changed = changed_since(connection, detector.model_id, known.state.step, most=_MANY)
        if changed is None:
            return self._all(connection, now, labeled=labeled)
        newer = group_sizes(connection, labeled=labeled, only=changed)
        return _Counted(State(now.step, known.state.others), _joined(known.sizes, newer, changed))

    def _all(self, connection: Connection, now: State, *, labeled: bool) -> _Counted:
        began = time.monotonic()
        sizes = group_sizes(connection, labeled=labeled)
        self._pace.note(began)
        return _Counted(now, sizes)


def _joined(known: GroupSizes, newer: GroupSizes, changed: ChangedPeople) -> GroupSizes:
    """The sizes that are known, with what changed as it is now."""
    gone = changed.clusters | {f"{OF_PERSON}{person}" for person in changed.persons}
    groups = [each for each in known.groups if each.id not in gone]
    for each in newer.groups:
        insort(groups, each, key=lambda group: group.place)
    return GroupSizes(groups, [*(each for each in known.loose if each not in gone), *newer.loose])
