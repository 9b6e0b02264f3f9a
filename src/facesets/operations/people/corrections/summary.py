"""What a change of people tells at its end."""

from dataclasses import dataclass
from uuid import UUID

from facesets.operations.people.corrections.who import called, require_person, short
from facesets.store.postgres.connection import Connection, only_row
from facesets.store.postgres.people.steps import Step


@dataclass(frozen=True, slots=True)
class PersonSummary:
    """Somebody as they are after a change, and what was done.

    Attributes
    ----------
    step : int or None
        The number that takes it back; None where nothing changed.
    """

    person: str
    name: str
    faces: int
    did: str
    step: int | None


@dataclass(frozen=True, slots=True)
class SaidSummary:
    """What was said about two."""

    said: str
    step: int | None


@dataclass(frozen=True, slots=True)
class MoveSummary:
    """Where faces went.

    Attributes
    ----------
    person, name : str
        Whose they are now; empty for nobody.
    """

    faces: int
    person: str
    name: str
    step: int | None


def summary_of(connection: Connection, person: UUID, did: str, step: Step) -> PersonSummary:
    """How somebody stands after a step."""
    state = require_person(connection, person)
    return PersonSummary(short(state.id), called(state), state.faces, did, kept_step(connection, step))


def kept_step(connection: Connection, step: Step) -> int | None:
    """The number of a step; None if it changed nothing."""
    row = only_row(connection.execute("SELECT EXISTS (SELECT FROM steps WHERE id = %s)", (step.id,)))
    return step.id if row[0] else None
