"""The state that cached data about people is from, so that only what changed is recomputed.

Code that reads the faces of all people notes it; the next reader asks who changed since then. For a
million faces it takes 0.2 s of a processor to compare all with the stored totals, and 0.3 s with the
prototypes, which is too long for each page and each letter of a name that is typed.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

from facesets.store.postgres.connection import Connection


@dataclass(frozen=True, slots=True)
class State:
    """The state of people at a moment, for data cached in memory.

    Attributes
    ----------
    step : int
        The number of the latest step; 0 before the first.
    others : int
        Changes with each change that made no step: added or removed photos, and SQL.
    """

    step: int
    others: int


def current_state(connection: Connection) -> State:
    """Return a state no newer than what later statements see; read it before cached data."""
    row = connection.one(
        """SELECT (SELECT coalesce(max(id), 0) FROM steps),
            (SELECT coalesce(sum(changed_in::text::bigint), 0)::bigint FROM changes_without_step)"""
    )
    return State(int(row[0]), int(row[1]))


_MANY = 1000
"""Changed people above which recomputing all is as fast."""

_LOCK = 0x66616365_73746174
"""Key of the advisory lock for noting a state: `facestat` in ASCII."""


@dataclass(frozen=True, slots=True)
class PeopleToRecompute:
    """The people to recompute.

    Attributes
    ----------
    persons : list of UUID or None
        None for all.
    state : State or None
        The state to note afterwards; None within a step, which has not noted its people yet.
    """

    persons: list[UUID] | None
    state: State | None


def due_since_computed(connection: Connection, what: str) -> PeopleToRecompute:
    """Return the people whose faces may have changed since a state was noted; call it first."""
    if _makes_step(connection):
        return PeopleToRecompute(None, None)
    now = current_state(connection)
    row = connection.execute("SELECT step, others FROM computed_states WHERE what = %s", (what,)).fetchone()
    if row is None or row[1] != now.others or row[0] > now.step:
        return PeopleToRecompute(None, now)
    if row[0] == now.step:
        return PeopleToRecompute([], now)
    persons = connection.scalars("SELECT DISTINCT person_id FROM step_persons WHERE step_id > %s", (row[0],))
    return PeopleToRecompute(None if len(persons) > _MANY else persons, now)


def note_computed(connection: Connection, what: str, due: PeopleToRecompute) -> None:
    """Note that data is current, unless the server is read-only or another session notes something."""
    if due.state is None or due.persons == []:
        return
    # Do not wait here: a session that others wait for in a step would deadlock.
    found = connection.scalar(
        "SELECT current_setting('transaction_read_only') = 'off' AND pg_try_advisory_xact_lock(%s)",
        (_LOCK,),
    )
    if found:
        connection.execute(
            """INSERT INTO computed_states (what, step, others) VALUES (%s, %s, %s)
                ON CONFLICT (what) DO UPDATE SET step = excluded.step, others = excluded.others""",
            (what, due.state.step, due.state.others),
        )


@contextmanager
def replacing_computed(connection: Connection) -> Iterator[None]:
    """Delete cached data in the block without marking it as changed, because it is remade at once."""
    before = "yes" if _makes_step(connection) else ""
    connection.execute("SELECT set_config('facesets.makes_step', 'yes', true)")
    yield
    connection.execute("SELECT set_config('facesets.makes_step', %s, true)", (before,))


def _makes_step(connection: Connection) -> bool:
    return bool(connection.scalar("SELECT current_setting('facesets.makes_step', true)") == "yes")
