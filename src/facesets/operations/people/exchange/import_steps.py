"""Imported people and corrections: matching people, births, and corrections of faces."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple
from uuid import UUID

from facesets.errors import WrongUsage
from facesets.files import printable
from facesets.operations.people.corrections.contradictions import Correction
from facesets.operations.people.corrections.lookup import cleaned, current_person, folded, short
from facesets.operations.people.exchange.people_file import FilePerson
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.people.corrections import (
    FaceCorrection,
    FacePair,
    broken_by,
    load_corrections,
    store_different_people,
    store_face_corrections,
    store_pair_correction,
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

_MAX_ROUNDS = 10


def store_corrections(step: Step, corrections: Sequence[Correction]) -> None:
    """Store corrections, those about one person together."""
    of_person: dict[tuple[UUID, bool], list[int]] = {}
    for each in corrections:
        if isinstance(each, FaceCorrection):
            of_person.setdefault((each.person, each.is_person), []).append(each.face)
        elif isinstance(each, FacePair):
            store_pair_correction(step, each.first, each.second, same=each.same)
        else:
            store_different_people(step, each.first, each.second)
    for (person, is_person), faces in of_person.items():
        store_face_corrections(step, faces, person, is_person=is_person)


def follow_corrections(step: Step, corrections: Sequence[Correction]) -> int:
    """Assign faces according to corrections, or unassign them if nothing else agrees; return how many."""
    connection = step.connection
    corrected_home = {each.face: each.person for each in load_corrections(connection).faces if each.is_person}
    faces = {each.face for each in corrections if isinstance(each, FaceCorrection)}
    faces |= {end for each in corrections if isinstance(each, FacePair) for end in (each.first, each.second)}
    before = persons_of_faces(connection, sorted(faces))
    homing: dict[UUID, list[int]] = {}
    for face, owner in before.items():
        if face in corrected_home and owner != corrected_home[face]:
            homing.setdefault(corrected_home[face], []).append(face)
    confirmed = dict.fromkeys(
        each.person for each in corrections if isinstance(each, FaceCorrection) and each.is_person
    )
    for person in confirmed.keys() & homing.keys():
        give_faces(step, homing[person], person, "manual")
    for each in corrections:
        if isinstance(each, FaceCorrection) and not each.is_person and before.get(each.face) == each.person:
            if each.face not in corrected_home:
                take_faces(step, [each.face])
        elif isinstance(each, FacePair) and each.same:
            _bring_together(step, each, corrected_home)
        elif isinstance(each, FacePair) and before[each.first] == before[each.second] is not None:
            take_faces(step, [each.first if each.second in corrected_home else each.second])
    _settle(step, corrected_home)
    after = persons_of_faces(connection, sorted(faces))
    return sum(after[face] != owner for face, owner in before.items())


def _bring_together(step: Step, pair: FacePair, corrected_home: Mapping[int, UUID]) -> None:
    """Assign two faces confirmed as one person to the confirmed person, else to that of the first."""
    tied = tied_faces(step.connection, [pair.first, pair.second])
    owners = persons_of_faces(step.connection, tied)
    homes = [owners[face] for face in tied if face in corrected_home]
    owner = next((owner for owner in [*homes, *owners.values()] if owner is not None), None)
    if owner is not None:
        following = [face for face in tied if face not in corrected_home and owners[face] != owner]
        give_faces(step, following, owner, "constrained")


def _settle(step: Step, corrected_home: Mapping[int, UUID]) -> None:
    """Unassign faces that runs assigned against a correction."""
    for _ in range(_MAX_ROUNDS):
        leaving: set[int] = set()
        for each in broken_by(step):
            if isinstance(each, FaceCorrection):
                leaving.add(each.face)
            elif each.same:
                _bring_together(step, each, corrected_home)
            else:
                leaving.add(each.first if each.second in corrected_home else each.second)
        if not leaving:
            return
        take_faces(step, sorted(leaving))


def _sound(person: FilePerson) -> list[str]:
    """Return the names that are valid; the server accepts no others."""
    names: list[str] = []
    for name in person.names:
        with suppress(WrongUsage):
            names.append(cleaned(name))
    return names


def of_name(connection: Connection, person: FilePerson, by_name: Mapping[str, UUID]) -> PersonState | None:
    """Return the person who has one of these names."""
    for name in _sound(person):
        owner = by_name.get(folded(name)) or person_of_name(connection, name)
        state = None if owner is None else current_person(connection, owner)
        if state is not None:
            return state
    return None


def going_to_be_called(by_name: dict[str, UUID], person: FilePerson, target: UUID | None) -> None:
    """Note the person who will get these names."""
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
    for person, target_person in zip(people, target, strict=True):
        birth = _birth(person)
        if target_person is None or birth is None:
            continue
        before = here.get(target_person)
        if before is None:
            set_birth_date(step, target_person, birth)
            here[target_person] = birth
            new += 1
        elif before == birth or (before.year == birth.year and birth.day is None):
            known += 1
        else:
            name = printable(person.names[0]) if person.names else short(person.id)
            skipped.append(f"{name}: born {birth}, but {before} here")
    return BirthCounts(new, known)


def _birth(person: FilePerson) -> BirthDate | None:
    if person.birth_date is not None:
        return BirthDate(person.birth_date.year, person.birth_date)
    return None if person.birth_year is None else BirthDate(person.birth_year)
