"""`maintain must-links | violations`: what was said of faces, carried through to their people."""

from collections import Counter
from uuid import UUID

import numpy as np

from facesets.clustering.graph_components import join_pairs
from facesets.operations.people.corrections.absorbing import absorb
from facesets.operations.people.corrections.statement_words import describing
from facesets.result import Result
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.people.persons import give_faces, person_state, persons_of_faces
from facesets.store.postgres.people.statements import (
    FaceStatement,
    Statements,
    broken_statements,
    load_statements,
)
from facesets.store.postgres.people.steps import Step


def close_must_links(step: Step) -> Result:
    """Give faces that are said to show one person to one, also through others, and merge whom that joins.

    Two people who both have a name stay two: that is a violation for a human to see to. Returns how many
    faces got a person, and how many people without names became another.
    """
    said = load_statements(step.connection)
    of_face: dict[int, list[FaceStatement]] = {}
    for each in said.faces:
        of_face.setdefault(each.face, []).append(each)
    faces = merged = 0
    for members in tied_components(said):
        given, joined = _tie(step, members, [each for face in members for each in of_face.get(face, [])])
        faces, merged = faces + given, merged + joined
    return Result(faces=faces, merged=merged)


def tied_components(said: Statements) -> list[list[int]]:
    """Faces that are said to show one person, also through others."""
    pairs = [(pair.first, pair.second) for pair in said.face_pairs if pair.same]
    if not pairs:
        return []
    ids, ends = np.unique(np.array(pairs, np.int64), return_inverse=True)
    ends = ends.reshape(-1, 2)
    part = join_pairs(len(ids), ends[:, 0], ends[:, 1])
    order = np.argsort(part, kind="stable")
    cuts = np.flatnonzero(np.diff(part[order])) + 1
    return [each.tolist() for each in np.split(ids[order], cuts)]


def _tie(step: Step, members: list[int], said: list[FaceStatement]) -> tuple[int, int]:
    """Make the faces of a component one person's; returns how many got a person, and who was merged.

    `said` is what was said of these faces.
    """
    connection = step.connection
    owners = persons_of_faces(connection, members)
    people = Counter(person for person in owners.values() if person is not None)
    meant = {each.person for each in said if each.is_person}
    target = _whom(connection, people, meant)
    if target is None:
        return 0, 0
    merged = 0
    for person in people:
        state = person_state(connection, person)
        if person != target and state is not None and not state.names and state.status != "hidden":
            merged += absorb(step, person, target)
    refused = any(each.person == target and not each.is_person for each in said)
    free = [face for face, person in owners.items() if person is None]
    if not free or refused:
        return 0, merged
    give_faces(step, free, target, "constrained")
    return len(free), merged


def _whom(connection: Connection, people: Counter[UUID], meant: set[UUID]) -> UUID | None:
    """Whose they are: who was said, else who has a name, else who has most; None where that is unclear."""
    found = {person: person_state(connection, person) for person in {*people, *meant}}
    there = {person: state for person, state in found.items() if state is not None}
    named = {person for person, state in there.items() if state.names}
    for clear in (meant & set(there), named):
        if clear:
            return next(iter(clear)) if len(clear) == 1 else None
    return max(sorted(there), key=lambda person: there[person].faces, default=None)


def violations(connection: Connection) -> list[str]:
    """Everything that was said and is not so, in words."""
    describe = describing(connection)
    return [describe(each) for each in broken_statements(connection)]
