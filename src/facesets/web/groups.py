"""The list of groups that wait for a name, counted once for as long as nobody changes anything.

To count a million faces takes a tenth of a second, which is too much for each page of a list.
"""

import time
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from facesets.assembly.sessions import Sessions
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.people.candidates import newest_step
from facesets.store.postgres.people.face_groups import GroupSizes, group_sizes
from facesets.web.site import Site

_KEPT_S = 30.0
"""Photos that are deleted, and SQL, make no step."""


@dataclass(frozen=True, slots=True)
class _Counted:
    step: int
    at: float
    sizes: GroupSizes


_counted: WeakKeyDictionary[Sessions, dict[bool, _Counted]] = WeakKeyDictionary()


def sizes_of_groups(site: Site, session: Database, *, labeled: bool = False) -> GroupSizes:
    """All groups that are not hidden; with `labeled` also people who have a name."""

    def work(connection: Connection) -> _Counted:
        step = newest_step(connection)
        known = _counted.get(site.sessions, {}).get(labeled)
        if known is not None and known.step == step and time.monotonic() - known.at < _KEPT_S:
            return known
        return _Counted(step, time.monotonic(), group_sizes(connection, labeled=labeled))

    counted = session.run(work)
    _counted.setdefault(site.sessions, {})[labeled] = counted
    return counted.sizes
