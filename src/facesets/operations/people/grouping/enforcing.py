"""Corrections applied to the decision of any method."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from facesets.clustering import Constraints
from facesets.clustering.graph import join_pairs
from facesets.clustering.people.incremental import UNASSIGNED, FaceDecisions
from facesets.records import Bool, Int64
from facesets.store.postgres.people.assigned_faces import AssignedFaces
from facesets.store.postgres.people.corrections import Corrections, FacePair


def constraints_of(corrections: Corrections, face_ids: Int64) -> Constraints:
    """Return corrections about pairs of faces, as rows of a library's faces."""
    if not corrections.face_pairs:
        return Constraints()
    row = {int(face): i for i, face in enumerate(face_ids.tolist())}
    together = [(row[p.first], row[p.second]) for p in corrections.face_pairs if p.same and _both(p, row)]
    apart = [(row[p.first], row[p.second]) for p in corrections.face_pairs if not p.same and _both(p, row)]
    return Constraints(_pairs(together), _pairs(apart))


def _both(pair: FacePair, row: Mapping[int, int]) -> bool:
    return pair.first in row and pair.second in row


def _pairs(pairs: Sequence[tuple[int, int]]) -> Int64:
    return np.array(pairs, np.int64).reshape(-1, 2)


def obey(faces: AssignedFaces, joined: FaceDecisions, corrections: Corrections) -> tuple[FaceDecisions, Bool]:
    """Apply corrections to a decision about unassigned faces.

    Faces confirmed as one person follow the one of them that has a person, else the largest of their
    new groups. A face denied for a person, or for the person of another face, stays unassigned.
    Returns the decision, and which of these faces were assigned because of corrections.
    """
    new = np.flatnonzero(faces.person < 0)
    person = faces.person.copy()
    person[new] = joined.person
    group = np.full(len(person), UNASSIGNED, np.int64)
    group[new] = joined.group
    before = person.copy(), group.copy()
    pairs = constraints_of(corrections, faces.face_id)
    units = _units(pairs.must_link)
    for members in units:
        _together(members, person, group, faces.person)
    given = (person != before[0]) | (group != before[1])
    unit = {int(row): members for members in units for row in members.tolist()}
    _not_them(person, group, faces, corrections, unit)
    _apart(person, group, faces.person, pairs.cannot_link, unit)
    constrained = given & ((person >= 0) | (group >= 0))
    result = replace(joined, person=person[new], group=_renumbered(group[new]))
    decided = (result.person >= 0) | (result.group >= 0)
    review = joined.review.of(~decided[joined.review.face])
    return replace(result, review=review), constrained[new]


def _units(must: Int64) -> list[Int64]:
    """Return the rows of faces confirmed as one person, also through others."""
    if not len(must):
        return []
    rows, ends = np.unique(must, return_inverse=True)
    ends = ends.reshape(-1, 2)
    part = join_pairs(len(rows), ends[:, 0], ends[:, 1])
    return [rows[part == number] for number in range(int(part.max()) + 1)]


def _together(members: Int64, person: Int64, group: Int64, owned: Int64) -> None:
    """Assign faces confirmed as one person to one person."""
    free = members[owned[members] < 0]
    owners = [*owned[members][owned[members] >= 0], *person[members][person[members] >= 0]]
    if owners:
        person[free], group[free] = owners[0], UNASSIGNED
        return
    groups = group[members][group[members] >= 0]
    group[free] = np.bincount(groups).argmax() if len(groups) else int(group.max(initial=-1)) + 1


def _not_them(
    person: Int64, group: Int64, faces: AssignedFaces, corrections: Corrections, unit: Mapping[int, Int64]
) -> None:
    """Unassign new faces denied for the person they would join."""
    refused = {(each.face, each.person) for each in corrections.faces if not each.is_person}
    if not refused:
        return
    row = {int(face): i for i, face in enumerate(faces.face_id.tolist())}
    for face, owner in refused:
        at = row.get(face)
        if at is not None and faces.person[at] < 0 <= person[at] and faces.persons[person[at]] == owner:
            members = unit.get(at, np.array([at]))
            _leave(members[faces.person[members] < 0], person, group)


def _leave(leaving: Int64, person: Int64, group: Int64) -> None:
    """Remove faces confirmed as one person from their groups: several become a new person."""
    person[leaving] = UNASSIGNED
    group[leaving] = int(group.max(initial=-1)) + 1 if len(leaving) > 1 else UNASSIGNED


def _apart(person: Int64, group: Int64, owned: Int64, cannot: Int64, unit: Mapping[int, Int64]) -> None:
    """Unassign one of two faces confirmed as two people that would be one.

    The faces confirmed as the same person go with it.
    """
    for pair in cannot.tolist():
        first, second = pair
        if not (person[first] == person[second] >= 0 or group[first] == group[second] >= 0):
            continue
        sides = [unit.get(row, np.array([row])) for row in pair]
        free = [not (owned[side] >= 0).any() for side in sides]
        if not any(free):
            continue
        leaving = sides[1] if free[1] and (not free[0] or len(sides[1]) <= len(sides[0])) else sides[0]
        _leave(leaving, person, group)


def _renumbered(group: Int64) -> Int64:
    """Renumber groups without gaps, in their order."""
    known = np.unique(group[group >= 0])
    number = np.full(int(group.max(initial=-1)) + 2, UNASSIGNED, np.int64)
    number[known] = np.arange(len(known))
    return number[group]
