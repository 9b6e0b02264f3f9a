"""Assignment of compared faces to people, given corrections and faces of the same photo."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

import numpy as np

from facesets.clustering.people.assigning import AssignedPeople, Thresholds, choose_people
from facesets.clustering.people.incremental import UNASSIGNED, FaceDecisions, PersonMatches, strongest
from facesets.operations.people.corrections.lookup import step_number
from facesets.operations.people.grouping.enforcing import obey
from facesets.plurals import counted
from facesets.records import Bool, Int64
from facesets.result import Result
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.models import DetectorRow
from facesets.store.postgres.people import assigned_faces as people
from facesets.store.postgres.people.assigned_faces import AssignedFaces, load_assigned_faces
from facesets.store.postgres.people.corrections import Corrections, load_corrections
from facesets.store.postgres.people.persons import merged_into
from facesets.store.postgres.people.steps import Step, making_step
from facesets.store.postgres.people.unassigned_faces import (
    delete_low_norm_suggestions,
    denied_pairs,
    hidden_people,
    propose,
)


@dataclass(frozen=True, slots=True)
class AssignmentPlan:
    """The faces that get a person, and those that become suggestions.

    Attributes
    ----------
    face : int64 array of shape (n,)
        Numbers of the faces that get a person.
    person : int64 array of shape (n,)
        Index into `persons`.
    constrained : bool array of shape (n,)
        The faces assigned because of corrections.
    review : PersonMatches
        Suggestions, by numbers of faces.
    """

    persons: list[UUID]
    face: Int64
    person: Int64
    constrained: Bool
    review: PersonMatches

    def counts(self) -> Result:
        """Return the numbers of assigned faces, of people who get any, and of suggestions."""
        return Result(
            assigned=len(self.face),
            assigned_people=len(np.unique(self.person)),
            review=len(np.unique(self.review.face)),
        )


@dataclass(frozen=True, slots=True)
class Assignment:
    """Compared faces, ready to be assigned.

    Attributes
    ----------
    persons : sequence of UUID
        The people that the faces were compared with.
    faces : int64 array
        Numbers of the faces.
    matches : PersonMatches
        The relevant pairs, by numbers of faces and indices of people.
    min_norm : float or None
        Faces with a lower norm are unclear: they were not compared.
    """

    detector: DetectorRow
    persons: Sequence[UUID]
    faces: Int64
    matches: PersonMatches
    limits: Thresholds
    same_image_ok: bool
    min_norm: float | None = None

    def store(self, connection: Connection, by: str, run_id: int) -> Result:
        """Assign the faces as one change and store suggestions; return the counts and the change."""
        decided = self.decide(connection)
        what = f"{counted(len(decided.face), 'face')} assigned"
        with making_step(connection, "assign", by, what, run_id=run_id) as step:
            assigned = self.give(step, decided)
        return Result(assigned, step=step_number(connection, step))

    def give(self, step: Step, decided: AssignmentPlan) -> Result:
        """Assign the faces as part of a change and store suggestions; return counts as those of a plan."""
        connection, review = step.connection, decided.review
        given = 0
        for how, some in (("auto", ~decided.constrained), ("constrained", decided.constrained)):
            if some.any():
                person = decided.person[some]
                no_person = np.full(len(person), -1, np.int64)
                given += people.assign(step, decided.face[some], no_person, person, decided.persons, how)
        if self.min_norm is not None:
            delete_low_norm_suggestions(connection, self.detector, self.min_norm)
        suggested = propose(
            connection, self.faces, review.face, review.person, review.similarity, decided.persons
        )
        return Result(decided.counts(), assigned=given, review=suggested)

    def decide(self, connection: Connection) -> AssignmentPlan:
        """Decide by the current owners of the faces."""
        corrections = load_corrections(connection)
        faces, now = _with_persons(
            load_assigned_faces(connection, self.detector, vectors=False),
            merged_into(connection, self.persons),
        )
        found = self.matches
        matches = strongest(found.face, now[found.person], found.similarity, len(faces.persons))
        row = _rows_of(faces.face_id, matches.face)
        free = (row >= 0) & (faces.person[row] < 0)
        matches, row = matches.of(free), row[free]
        possible = ~_refused(connection, faces, matches, corrections)
        if not self.same_image_ok:
            possible &= ~_on_photo(faces, faces.image[row], matches.person)
        matches, row = matches.of(possible), row[possible]
        choice = choose_people(matches, faces.image[row], self.limits, same_image_ok=self.same_image_ok)
        hidden = hidden_people(connection)
        visible = np.array([faces.persons[person] not in hidden for person in choice.review.person], bool)
        return _apply_corrections(faces, replace(choice, review=choice.review.of(visible)), corrections)


def _with_persons(faces: AssignedFaces, persons: Sequence[UUID]) -> tuple[AssignedFaces, Int64]:
    """Return the faces with these people listed, and the index of each of these."""
    index = {person: i for i, person in enumerate(faces.persons)}
    for person in persons:
        index.setdefault(person, len(index))
    return replace(faces, persons=list(index)), np.array([index[person] for person in persons], np.int64)


def _rows_of(face_id: Int64, wanted: Int64) -> Int64:
    """Return the rows of faces by their ascending numbers; -1 for deleted faces."""
    if not len(face_id):
        return np.full(len(wanted), -1, np.int64)
    place = np.minimum(np.searchsorted(face_id, wanted), len(face_id) - 1)
    rows: Int64 = np.where(face_id[place] == wanted, place, -1)
    return rows


def _refused(
    connection: Connection, faces: AssignedFaces, matches: PersonMatches, corrections: Corrections
) -> Bool:
    """Return which pairs of a face and a person are ruled out by corrections or answers."""
    index = {person: i for i, person in enumerate(faces.persons)}
    pairs = [(each.face, each.person) for each in corrections.faces if not each.is_person]
    pairs += denied_pairs(connection)
    out = {(face, index[person]) for face, person in pairs if person in index}
    apart = np.array([(p.first, p.second) for p in corrections.face_pairs if not p.same], np.int64).reshape(
        -1, 2
    )
    for ends in (apart, apart[:, ::-1]):
        row = _rows_of(faces.face_id, ends[:, 1])
        owned = row[row >= 0]
        out |= set(zip(ends[row >= 0, 0].tolist(), faces.person[owned].tolist(), strict=True))
    if not out:
        return np.zeros(len(matches), bool)
    people_count = len(faces.persons)
    keys = np.array([face * people_count + person for face, person in out], np.int64)
    refused: Bool = np.isin(matches.face * people_count + matches.person, keys)
    return refused


def _on_photo(faces: AssignedFaces, image: Int64, person: Int64) -> Bool:
    """Return which people are on an image already, by another face."""
    people_count = max(1, len(faces.persons))
    owned = faces.person >= 0
    there = np.unique(faces.image[owned] * people_count + faces.person[owned])
    on_photo: Bool = np.isin(image * people_count + person, there)
    return on_photo


def _apply_corrections(
    faces: AssignedFaces, choice: AssignedPeople, corrections: Corrections
) -> AssignmentPlan:
    """Apply corrections of pairs of faces; no new people are made."""
    new = np.flatnonzero(faces.person < 0)
    number = faces.face_id[new]
    person = np.full(len(new), UNASSIGNED, np.int64)
    person[np.searchsorted(number, choice.given.face)] = choice.given.person
    alone = np.full(len(new), UNASSIGNED, np.int64)
    nothing = choice.review.of(np.empty(0, np.int64))
    joined, constrained = obey(faces, FaceDecisions(person, alone, nothing), corrections)
    got = joined.person
    given = got >= 0
    review = choice.review
    undecided = got[np.searchsorted(number, review.face)] < 0
    return AssignmentPlan(faces.persons, number[given], got[given], constrained[given], review.of(undecided))
