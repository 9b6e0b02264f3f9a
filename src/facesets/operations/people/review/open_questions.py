"""The open suggestions, and which of them are shown together."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args
from uuid import UUID

from facesets.errors import Command, NotFound
from facesets.files import printable
from facesets.operations.people.corrections.contradictions import Settled
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.people.corrections import load_corrections
from facesets.store.postgres.people.open_suggestions import (
    open_face_candidates,
    open_people_candidates,
    unnamed_people,
)
from facesets.store.postgres.people.persons import (
    LARGEST,
    active_people,
    merged_into,
    named_people,
    person_states,
    persons_of_faces,
)
from facesets.store.postgres.people.suggestions import FACE_KINDS, FaceCandidate, PeopleCandidate

Kind = Literal["near", "far", "age", "import", "same", "split", "cluster", "name"]
KINDS: tuple[Kind, ...] = get_args(Kind)

MAX_AT_ONCE = 9
"""Maximum items of a suggestion: one key each."""

LIKELY = 0.5
"""Uncertainty from which a suggestion is not combined with less uncertain ones."""

_COVERED = 0.3
"""Uncertainty from which a suggestion to merge an unnamed person replaces the question for its name."""

_MIN_UNNAMED = 2
_MAX_UNNAMED = 500


@dataclass(frozen=True, slots=True)
class UnwordedQuestion:
    """A suggestion before it is put into words."""

    kind: Kind
    person: UUID
    of_faces: tuple[FaceCandidate, ...] = ()
    of_people: tuple[tuple[PeopleCandidate, UUID | None], ...] = ()
    """Each with the other person, if there is one."""

    unnamed_faces: int = 0
    is_skipped: bool = False

    @property
    def worth(self) -> float:
        """Return the expected number of faces that an answer corrects."""
        people = sum(each.faces * each.uncertainty for each, _ in self.of_people)
        return people + sum(each.uncertainty for each in self.of_faces) + self.unnamed_faces

    @property
    def id(self) -> str:
        """Return the id by which it is answered."""
        parts = [each.face for each in self.of_faces] or [each.id for each, _ in self.of_people]
        return "-".join([self.kind, self.person.hex, *([".".join(map(str, parts))] if parts else [])])


@dataclass(frozen=True, slots=True)
class WaitingCounts:
    """How many suggestions and unnamed people are open, and how many of both were skipped."""

    questions: int
    unnamed: int
    skipped: int = 0


def waiting(database: Database) -> WaitingCounts:
    """Count the open suggestions."""
    every = database.run(_every_question)
    current = [each for each in every if not each.is_skipped]
    unnamed = sum(each.kind == "name" for each in current)
    return WaitingCounts(len(current) - unnamed, unnamed, len(every) - len(current))


def open_questions(connection: Connection, *, most: int | None = None) -> list[UnwordedQuestion]:
    """Return open suggestions that were not skipped, the most useful first.

    Parameters
    ----------
    most : int, optional
        Maximum number of faces, and of pairs of people, to consider, the most useful first; by default all.
    """
    current = [each for each in _every_question(connection, most) if not each.is_skipped]
    return sorted(current, key=lambda each: (-each.worth, each.person, each.kind))


def _every_question(connection: Connection, most: int | None = None) -> list[UnwordedQuestion]:
    settled, active = Settled(load_corrections(connection)), active_people(connection)
    of_people = list(_of_people(connection, settled, active, open_people_candidates(connection, most=most)))
    covered = {
        other for question in of_people for each, other in question.of_people if each.uncertainty >= _COVERED
    }
    names = [
        UnwordedQuestion("name", person, unnamed_faces=faces, is_skipped=is_skipped)
        for person, faces, is_skipped in unnamed_people(connection, _MIN_UNNAMED, _MAX_UNNAMED)
        if person not in covered
    ]
    return [*_of_faces(connection, settled, active, most), *of_people, *names]


def _as_of_now(connection: Connection, persons: Sequence[UUID], active: set[UUID]) -> list[UUID]:
    """Do as `merged_into`; active people were not merged, and are not looked up."""
    others = [person for person in persons if person not in active]
    now = dict(zip(others, merged_into(connection, others), strict=True)) if others else {}
    return [now.get(person, person) for person in persons]


def _of_faces(
    connection: Connection, settled: Settled, active: set[UUID], most: int | None
) -> Iterator[UnwordedQuestion]:
    found = open_face_candidates(connection, most=most)
    persons = _as_of_now(connection, [each.person for each in found], active)
    groups: dict[tuple[Kind, UUID, bool, bool], list[FaceCandidate]] = {}
    seen: set[int] = set()
    for each, person in zip(found, persons, strict=True):
        # The likeliest first; later suggestions about the same face depend on the answer.
        if person not in active or each.face in seen or settled.is_settled(each.face, person):
            continue
        seen.add(each.face)
        likely = each.uncertainty >= LIKELY
        groups.setdefault((each.kind, person, likely, each.is_skipped), []).append(each)
    for (kind, person, _, is_skipped), faces in groups.items():
        for start in range(0, len(faces), MAX_AT_ONCE):
            some = tuple(faces[start : start + MAX_AT_ONCE])
            yield UnwordedQuestion(kind, person, of_faces=some, is_skipped=is_skipped)


def _of_people(
    connection: Connection, settled: Settled, active: set[UUID], found: Sequence[PeopleCandidate]
) -> Iterator[UnwordedQuestion]:
    groups: dict[tuple[Kind, UUID, object, bool], list[tuple[PeopleCandidate, UUID | None]]] = {}
    named = named_people(connection)
    seen: set[object] = set()
    for each, person, other in _unsettled(connection, settled, active, named, found):
        about: object = other or each.cluster or each.id
        if about in seen:
            continue
        seen.add(about)
        # Two named people, and a person who may be two, are separate suggestions.
        alone = each.kind == "split" or other in named
        together = each.id if alone else each.uncertainty >= LIKELY
        groups.setdefault((each.kind, person, (alone, together), each.is_skipped), []).append((each, other))
    for (kind, person, _, is_skipped), pairs in groups.items():
        for start in range(0, len(pairs), MAX_AT_ONCE):
            some = tuple(pairs[start : start + MAX_AT_ONCE])
            yield UnwordedQuestion(kind, person, of_people=some, is_skipped=is_skipped)


def _unsettled(
    connection: Connection,
    settled: Settled,
    active: set[UUID],
    named: set[UUID],
    found: Sequence[PeopleCandidate],
) -> Iterator[tuple[PeopleCandidate, UUID, UUID | None]]:
    """Yield open suggestions about people, with their current person and the other one of two."""
    persons = _as_of_now(connection, [each.person for each in found], active)
    others = _as_of_now(connection, [each.other or each.person for each in found], active)
    owners = _owners(connection, found)
    for each, person, other in zip(found, persons, others, strict=True):
        if person not in active:
            continue
        if each.kind != "same":
            still = each if each.kind == "cluster" else _still_two(each, person, settled, owners)
            if still is not None:
                yield still, person, None
        elif other in active and person != other and not settled.is_settled(person, other):
            # The suggestion is about the named person.
            yield (each, other, person) if other in named and person not in named else (each, person, other)


def _owners(connection: Connection, found: Sequence[PeopleCandidate]) -> dict[int, UUID | None]:
    """Return the people of the faces by which a person may be two."""
    faces = {face for each in found if each.kind == "split" for face in (*each.part, each.rest)}
    return persons_of_faces(connection, sorted(faces)) if faces else {}


def _still_two(
    each: PeopleCandidate, person: UUID, settled: Settled, owners: Mapping[int, UUID | None]
) -> PeopleCandidate | None:
    """Return a suggestion that a person may be two, without faces that moved to others meanwhile."""
    part = [face for face in each.part if owners.get(face) == person]
    if not part or owners.get(each.rest) != person or settled.is_settled(part[0], each.rest):
        return None
    return replace(each, part=part)


def find_question(connection: Connection, number: str) -> UnwordedQuestion:
    """Return the open suggestion of an id, with all its items.

    Raises
    ------
    WrongUsage
        The suggestion does not exist, or is no longer open.
    """
    not_found = NotFound(
        f"Suggestion not open: {printable(number)}. To list open suggestions, run {Command('people review')}."
    )
    kind, _, rest = number.partition("-")
    person, _, parts = rest.partition("-")
    try:
        about, ids = UUID(hex=person), [int(part) for part in parts.split(".") if part]
    except ValueError:
        raise not_found from None
    if any(each > LARGEST for each in ids):
        raise not_found
    question = UnwordedQuestion(
        kind,  # type: ignore[arg-type]
        about,
        of_faces=_open_faces(connection, kind, about, ids) if kind in FACE_KINDS else (),
        of_people=_open_people(connection, kind, about, ids) if kind in {"same", "split", "cluster"} else (),
    )
    state = person_states(connection, [about]).get(about)
    if state is None or state.status != "active" or question.id != number or kind not in KINDS:
        raise not_found
    if kind == "name" and state.names:
        raise not_found
    return question


def _open_faces(
    connection: Connection, kind: str, about: UUID, ids: Sequence[int]
) -> tuple[FaceCandidate, ...]:
    settled = Settled(load_corrections(connection))
    found = open_face_candidates(connection, ids)
    persons = merged_into(connection, [each.person for each in found])
    ours = {
        each.face: each
        for each, person in zip(found, persons, strict=True)
        if person == about and each.kind == kind and not settled.is_settled(each.face, person)
    }
    return tuple(ours[face] for face in ids if face in ours)


def _open_people(
    connection: Connection, kind: str, about: UUID, ids: Sequence[int]
) -> tuple[tuple[PeopleCandidate, UUID | None], ...]:
    settled, active = Settled(load_corrections(connection)), active_people(connection)
    ours: dict[int, tuple[PeopleCandidate, UUID | None]] = {}
    found = open_people_candidates(connection, ids)
    owners = _owners(connection, found)
    for each in found:
        (person, other) = merged_into(connection, [each.person, each.other or each.person])
        if each.kind != kind or about not in (person, other):
            continue
        if kind == "same":
            other = person if other == about else other
            if other != about and other in active and not settled.is_settled(about, other):
                ours[each.id] = each, other
        elif kind == "cluster":
            ours[each.id] = each, None
        elif (still := _still_two(each, about, settled, owners)) is not None:
            ours[each.id] = still, None
    return tuple(ours[number] for number in ids if number in ours)
