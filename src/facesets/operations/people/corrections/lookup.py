"""The person that a user names: by name, id, cluster or face."""

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from facesets.errors import Command, Field, NotFound, WrongUsage
from facesets.files import printable
from facesets.joiners import OVERRIDES, without_invisible
from facesets.result import Result
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.people.face_groups import OF_PERSON
from facesets.store.postgres.people.persons import (
    PersonState,
    all_names,
    person_of_name,
    person_state,
    persons_by_prefix,
    persons_of_faces,
    unassigned_faces_of_cluster,
)
from facesets.store.postgres.people.steps import Step

SHORT = 8
"""Characters of a person's printed id."""
MAX_NAME_LENGTH = 200
"""Maximum characters of a name, which has to fit tables and folder names."""
RESERVED = frozenset({"new", "nobody"})
"""Targets of `people move` that are not a person, so no person can have these names."""
_MIN_DIGITS = 4
_MAX_MERGES = 100
Finder = Callable[[Connection, str], "PersonOrCluster"]
"""How to find the requested person: `find`, or `find_cluster`."""


@dataclass(frozen=True, slots=True)
class PersonOrCluster:
    """A person; or the faces of a cluster that is not a person yet."""

    person: UUID | None
    faces: tuple[int, ...] = ()


def short(person: UUID) -> str:
    """Return a person's id in its short form."""
    return person.hex[:SHORT]


def called(state: PersonState) -> str:
    """Return what to call a person in messages."""
    return printable(state.names[0]) if state.names else short(state.id)


def folded(name: str) -> str:
    """Return a name in the form in which names are compared."""
    return unicodedata.normalize("NFC", without_invisible(name).strip()).casefold()


def without_accents(name: str) -> str:
    """Return a folded name without accents, for searching."""
    if name.isascii():
        return name
    return "".join(each for each in unicodedata.normalize("NFKD", name) if not unicodedata.combining(each))


def cleaned(name: str) -> str:
    """Return a name as it is stored. Raises `WrongUsage` if it is empty, too long or has control characters.

    Joiners are part of names in many scripts, and of emoji.
    """
    text = unicodedata.normalize("NFC", " ".join(name.split()))
    if not any(each.isprintable() and not each.isspace() for each in text) or any(
        unicodedata.category(each) in {"Cc", "Cs", "Zl", "Zp"} or each in OVERRIDES for each in text
    ):
        raise WrongUsage("A name must contain at least one letter or digit, and no control characters.")
    if len(text) > MAX_NAME_LENGTH:
        raise WrongUsage(f"A name can have at most {MAX_NAME_LENGTH} characters; this one has {len(text)}.")
    return text


def chosen_name(name: str) -> str:
    """Return a user's name for a person as it is stored. Raises `WrongUsage` as `cleaned`, or if reserved."""
    text = cleaned(name)
    if folded(text) in RESERVED:
        raise WrongUsage(
            f"A person cannot be named {printable(text)}, a keyword of {Command('people move')}. Choose "
            "another name."
        )
    return text


def find_person(connection: Connection, name_or_id: str) -> PersonState:
    """Return the requested person; for a merged one, the person it was merged into.

    Raises
    ------
    WrongUsage
        No person matches, or several do.
    """
    found = find(connection, name_or_id)
    if found.person is None:
        raise WrongUsage(
            f"{printable(name_or_id)} is a cluster, not yet a person. Name it first: "
            f"{Command('people name', printable(name_or_id), 'NAME')}."
        )
    return require_person(connection, found.person)


def current_person(connection: Connection, person: UUID) -> PersonState | None:
    """Return a person, or the one it was merged into; None if there is none."""
    for _ in range(_MAX_MERGES):
        state = person_state(connection, person)
        if state is None or state.status != "merged":
            return state
        if state.merged_into is None:
            return None
        person = state.merged_into
    return None


def require_person(connection: Connection, person: UUID) -> PersonState:
    """Return as `current_person`. Raises `NotFound` if there is no person."""
    state = current_person(connection, person)
    if state is None:
        raise NotFound(f"Person not found: {short(person)}. {Command('people list')} shows all people.")
    return state


def find(connection: Connection, name_or_id: str) -> PersonOrCluster:
    """Find a person or cluster by a name, the beginning of one, an id or its beginning.

    Raises
    ------
    WrongUsage
        No person matches, or several do.
    """
    text = folded(name_or_id)
    if not text:
        raise WrongUsage(f"Missing person. Give a name, or an id from {Command('people list')}.")
    names = all_names(connection)
    exact = {person for name, person in names if folded(name) == text}
    if len(exact) == 1:
        return PersonOrCluster(exact.pop())
    by_number = _by_number(connection, text)
    if by_number is not None:
        return PersonOrCluster(by_number)
    # The server rejects bytes that are not valid text.
    faces = unassigned_faces_of_cluster(connection, name_or_id.strip()) if name_or_id.isprintable() else []
    if faces:
        return PersonOrCluster(None, tuple(faces))
    begun = {person: name for name, person in names if folded(name).startswith(text)}
    if len(begun) == 1:
        return PersonOrCluster(next(iter(begun)))
    if begun:
        listed = ", ".join(f"{printable(name)} ({short(person)})" for person, name in sorted(begun.items()))
        raise WrongUsage(f"{printable(name_or_id)} matches several people: {listed}. Use the id in brackets.")
    raise NotFound(f"Person not found: {printable(name_or_id)}. {Command('people list')} shows all people.")


def _by_number(connection: Connection, text: str) -> UUID | None:
    digits = text.replace("-", "")
    if len(digits) < _MIN_DIGITS or any(each not in "0123456789abcdef" for each in digits):
        return None
    found = persons_by_prefix(connection, digits)
    if len(found) > 1:
        listed = ", ".join(str(person) for person in found)
        raise WrongUsage(f"Several ids begin with {text}: {listed}. Give more characters.")
    return found[0] if found else None


def find_cluster(connection: Connection, cluster: str) -> PersonOrCluster:
    """Return what a cluster id means: a person for `person_<uuid>`, else its unassigned faces.

    Raises
    ------
    NotFound
        The cluster does not exist, was merged, or all its faces are assigned.
    """
    state = cluster_as_person(connection, cluster)
    if state is not None:
        return PersonOrCluster(state.id)
    # The server rejects bytes that are not valid text.
    faces = unassigned_faces_of_cluster(connection, cluster) if cluster.isprintable() else []
    if not faces:
        raise NotFound(f"Unnamed cluster not found: {printable(cluster)}.")
    return PersonOrCluster(None, tuple(faces))


def cluster_as_person(connection: Connection, cluster: str) -> PersonState | None:
    """Return the person that `person_<uuid>` stands for; None if it is gone or was merged."""
    try:
        person = UUID(cluster.removeprefix(OF_PERSON))
    except ValueError:
        return None
    state = person_state(connection, person) if cluster == f"{OF_PERSON}{person}" else None
    return None if state is None or state.status == "merged" else state


def require_faces(connection: Connection, faces: list[int]) -> dict[int, UUID | None]:
    """Return the persons of some faces. Raises `NotFound` if a face does not exist."""
    found = persons_of_faces(connection, faces)
    missing = [face for face in faces if face not in found]
    if missing:
        show = Command("people show", "WHO", Field("limit", "20"))
        raise NotFound(f"Face not found: {missing[0]}. To list face numbers, run {show}.")
    return found


def has_name(connection: Connection, name: str) -> UUID | None:
    """Return the person who has a name already, however it is written."""
    text = folded(name)
    known = (person for other, person in all_names(connection) if folded(other) == text)
    return next(known, None) or person_of_name(connection, name)


def two_faces(connection: Connection, first: str, second: str) -> tuple[int, int]:
    """Return two different face numbers. Raises `WrongUsage` if one does not exist."""
    if not (first.strip().isdecimal() and second.strip().isdecimal()) or int(first) == int(second):
        show = Command("people show", "WHO", Field("limit", "20"))
        raise WrongUsage(f"Give two different face numbers. To list them, run {show}.")
    require_faces(connection, [int(first), int(second)])
    return int(first), int(second)


def result_of(connection: Connection, person: UUID, did: str, step: Step | None = None) -> Result:
    """Return a person after a change, and what was done in words."""
    state = require_person(connection, person)
    return Result(
        person=short(state.id),
        name=called(state),
        faces=state.faces,
        did=did,
        step=None if step is None else step_number(connection, step),
    )


def step_number(connection: Connection, step: Step) -> int | None:
    """Return the number of a change; None if it changed nothing."""
    found = connection.scalar("SELECT EXISTS (SELECT FROM steps WHERE id = %s)", (step.id,))
    return step.id if found else None
