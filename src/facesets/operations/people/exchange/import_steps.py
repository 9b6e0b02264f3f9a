"""Imported people and corrections: matching people, births, and corrections of faces."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple
from uuid import UUID

from facesets.errors import WrongUsage
from facesets.files import printable
from facesets.operations.people.corrections.contradictions import Correction
from facesets.operations.people.corrections.who import cleaned, folded, short, standing
from facesets.operations.people.exchange.people_file import FilePerson
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.people.corrections import (
    FaceCorrection,
    FacePair,
    broken_by,
    correct_faces,
    correct_pair,
    load_corrections,
    mark_different,
    tied_faces,
)
from facesets.store.postgres.people.person_corrections import BirthDate, load_births, set_birth_date
from facesets.store.postgres.people.persons import (
    PersonState,
    give_faces,
    person_of_name,
    persons_of_faces,
    take_faces,
)
from facesets.store.postgres.people.steps import Step

_MOST_ROUNDS = 10


def store_corrections(step: Step, statements: Sequence[Correction]) -> None:
    """Store corrections, those about one person together."""
    of_person: dict[tuple[UUID, bool], list[int]] = {}
    for each in statements:
        if isinstance(each, FaceCorrection):
            of_person.setdefault((each.person, each.is_person), []).append(each.face)
        elif isinstance(each, FacePair):
            correct_pair(step, each.first, each.second, same=each.same)
        else:
            mark_different(step, each.first, each.second)
    for (person, is_person), faces in of_person.items():
        correct_faces(step, faces, person, is_person=is_person)


def follow_corrections(step: Step, kept: Sequence[Correction]) -> int:
    """Assign faces according to corrections, or unassign them if nothing else agrees; return how many."""
    connection = step.connection
    said_home = {each.face: each.person for each in load_corrections(connection).faces if each.is_person}
    faces = {each.face for each in kept if isinstance(each, FaceCorrection)}
    faces |= {end for each in kept if isinstance(each, FacePair) for end in (each.first, each.second)}
    before = persons_of_faces(connection, sorted(faces))
    homing: dict[UUID, list[int]] = {}
    for face, owner in before.items():
        if face in said_home and owner != said_home[face]:
            homing.setdefault(said_home[face], []).append(face)
    said = dict.fromkeys(each.person for each in kept if isinstance(each, FaceCorrection) and each.is_person)
    for person in said.keys() & homing.keys():
        give_faces(step, homing[person], person, "manual")
    for each in kept:
        if isinstance(each, FaceCorrection) and not each.is_person and before.get(each.face) == each.person:
            if each.face not in said_home:
                take_faces(step, [each.face])
        elif isinstance(each, FacePair) and each.same:
            _bring_together(step, each, said_home)
        elif isinstance(each, FacePair) and before[each.first] == before[each.second] is not None:
            take_faces(step, [each.first if each.second in said_home else each.second])
    _settle(step, said_home)
    after = persons_of_faces(connection, sorted(faces))
    return sum(after[face] != owner for face, owner in before.items())


def _bring_together(step: Step, pair: FacePair, said_home: Mapping[int, UUID]) -> None:
    """Let two faces that are said to show one person be one's: whose is said, else whose the first is."""
    tied = tied_faces(step.connection, [pair.first, pair.second])
    owners = persons_of_faces(step.connection, tied)
    homes = [owners[face] for face in tied if face in said_home]
    whose = next((owner for owner in [*homes, *owners.values()] if owner is not None), None)
    if whose is not None:
        following = [face for face in tied if face not in said_home and owners[face] != whose]
        give_faces(step, following, whose, "constrained")


def _settle(step: Step, said_home: Mapping[int, UUID]) -> None:
    """Let faces leave that runs had put where a statement does not allow them."""
    for _ in range(_MOST_ROUNDS):
        leaving: set[int] = set()
        for each in broken_by(step):
            if isinstance(each, FaceCorrection):
                leaving.add(each.face)
            elif each.same:
                _bring_together(step, each, said_home)
            else:
                leaving.add(each.first if each.second in said_home else each.second)
        if not leaving:
            return
        take_faces(step, sorted(leaving))


def _sound(person: FilePerson) -> list[str]:
    """Names that somebody may have; the server takes no others."""
    names: list[str] = []
    for name in person.names:
        with suppress(WrongUsage):
            names.append(cleaned(name))
    return names


def of_name(connection: Connection, person: FilePerson, by_name: Mapping[str, UUID]) -> PersonState | None:
    """Return the person who has one of these names."""
    for name in _sound(person):
        owner = by_name.get(folded(name)) or person_of_name(connection, name)
        state = None if owner is None else standing(connection, owner)
        if state is not None:
            return state
    return None


def going_to_be_called(by_name: dict[str, UUID], person: FilePerson, target: UUID | None) -> None:
    """Note the person who is going to have these names."""
    if target is not None:
        for name in _sound(person):
            by_name.setdefault(folded(name), target)


class BirthCounts(NamedTuple):
    """How many births were added, and how many were known."""

    new: int
    known: int


def store_births(
    step: Step, people: Sequence[FilePerson], target: Sequence[UUID | None], skipped: list[str]
) -> BirthCounts:
    """Store births; those that differ from this library are reported in `skipped`."""
    here = load_births(step.connection)
    new = known = 0
    for person, whom in zip(people, target, strict=True):
        said = _birth(person)
        if whom is None or said is None:
            continue
        before = here.get(whom)
        if before is None:
            set_birth_date(step, whom, said)
            here[whom] = said
            new += 1
        elif before == said or (before.year == said.year and said.day is None):
            known += 1
        else:
            name = printable(person.names[0]) if person.names else short(person.id)
            skipped.append(f"{name}: born {said}, but {before} here")
    return BirthCounts(new, known)


def _birth(person: FilePerson) -> BirthDate | None:
    if person.birth_date is not None:
        return BirthDate(person.birth_date.year, person.birth_date)
    return None if person.birth_year is None else BirthDate(person.birth_year)
