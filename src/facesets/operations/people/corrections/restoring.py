"""Named people after their rows were removed, by a reset in SQL say: brought back from what was said."""

from dataclasses import dataclass
from uuid import UUID

from facesets.operations.people.corrections.who import has_name
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.people.persons import add_name, give_faces, make_person, person_state, set_status
from facesets.store.postgres.people.said_people import faces_away_from_home, lost_people
from facesets.store.postgres.people.steps import Step


@dataclass(frozen=True, slots=True)
class Restored:
    """How many people came back, and how many faces went to whom a human had said they are."""

    people: int
    faces: int


def restore_people(step: Step) -> Restored:
    """Bring back whom a human named or hid, and give them the faces that were said to be theirs."""
    connection = step.connection
    lost = lost_people(connection)
    for said in lost:
        make_person(step, said.person)
        for name in said.names:
            # Somebody else may be called so by now.
            if has_name(connection, name) is None:
                add_name(step, said.person, name)
        if said.status != "active":
            set_status(step, said.person, said.status)
    given = 0
    by_person: dict[UUID, list[int]] = {}
    for face, person in faces_away_from_home(connection):
        by_person.setdefault(person, []).append(face)
    for person, faces in by_person.items():
        if _exists(connection, person):
            give_faces(step, faces, person, "manual")
            given += len(faces)
    return Restored(len(lost), given)


def _exists(connection: Connection, person: UUID) -> bool:
    state = person_state(connection, person)
    return state is not None and state.status != "merged"
