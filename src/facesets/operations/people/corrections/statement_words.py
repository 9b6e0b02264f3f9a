"""Statements in words."""

from collections.abc import Callable
from uuid import UUID

from facesets.operations.people.corrections.contradictions import Statement
from facesets.operations.people.corrections.who import called, short
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.people.persons import person_state
from facesets.store.postgres.people.statements import FacePair, FaceStatement


def describing(connection: Connection) -> Callable[[Statement], str]:
    """What puts a statement into words; it looks everybody's name up once."""
    names: dict[UUID, str] = {}

    def name_of(person: UUID) -> str:
        if person not in names:
            state = person_state(connection, person)
            names[person] = short(person) if state is None else called(state)
        return names[person]

    def describe(said: Statement) -> str:
        if isinstance(said, FaceStatement):
            return f"face {said.face} {'is' if said.is_person else 'is not'} {name_of(said.person)}"
        if isinstance(said, FacePair):
            return f"faces {said.first} and {said.second} show {'one person' if said.same else 'two people'}"
        return f"{name_of(said.first)} and {name_of(said.second)} are two people"

    return describe
