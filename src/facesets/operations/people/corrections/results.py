"""The result of a change of people."""

from uuid import UUID

from facesets.operations.people.corrections.who import called, require_person, short
from facesets.result import Result
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.people.steps import Step


def result_of(connection: Connection, person: UUID, did: str, step: Step | None = None) -> Result:
    """Somebody as they are after a step, or where nothing changed, and what was done in words."""
    state = require_person(connection, person)
    return Result(
        person=short(state.id),
        name=called(state),
        faces=state.faces,
        did=did,
        step=None if step is None else kept_step(connection, step),
    )


def kept_step(connection: Connection, step: Step) -> int | None:
    """The number of a step; None if it changed nothing."""
    found = connection.scalar("SELECT EXISTS (SELECT FROM steps WHERE id = %s)", (step.id,))
    return step.id if found else None
