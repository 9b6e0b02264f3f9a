"""Who the people of a file are here, by their numbers and names."""

from collections.abc import Mapping
from contextlib import suppress
from uuid import UUID

from facesets.errors import WrongUsage
from facesets.operations.people.carrying.people_file import FilePerson
from facesets.operations.people.corrections.who import cleaned, folded, standing
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.people.persons import PersonState, person_of_name


def _sound(person: FilePerson) -> list[str]:
    """Names that somebody may have; the server takes no others."""
    names: list[str] = []
    for name in person.names:
        with suppress(WrongUsage):
            names.append(cleaned(name))
    return names


def of_name(connection: Connection, person: FilePerson, by_name: Mapping[str, UUID]) -> PersonState | None:
    """Who has one of somebody's names here."""
    for name in _sound(person):
        owner = by_name.get(folded(name)) or person_of_name(connection, name)
        state = None if owner is None else standing(connection, owner)
        if state is not None:
            return state
    return None


def going_to_be_called(by_name: dict[str, UUID], person: FilePerson, target: UUID | None) -> None:
    """Keep who is going to have somebody's names."""
    if target is not None:
        for name in _sound(person):
            by_name.setdefault(folded(name), target)
