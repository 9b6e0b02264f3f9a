"""What humans said is obeyed by every method: whatever it decided is brought into line here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from facesets.clustering import Constraints
from facesets.clustering.graph_components import join_pairs
from facesets.clustering.incremental import Joined
from facesets.records import Bool, Int64
from facesets.store.postgres.people import PeopledFaces
from facesets.store.postgres.statements import FacePair, Statements

_NOBODY = -1


@dataclass(frozen=True, slots=True)
class Obeyed:
    """A decision that goes against nothing that was said.

    Attributes
    ----------
    joined : Joined
    constrained : bool array of shape (n,)
        New faces that were given away because of what was said.
    """

    joined: Joined
    constrained: Bool


def constraints_of(said: Statements, face_ids: Int64) -> Constraints:
    """What was said about pairs of faces, by the rows of a library's faces."""
    row = {int(face): i for i, face in enumerate(face_ids.tolist())}
    together = [(row[p.first], row[p.second]) for p in said.face_pairs if p.same and _both(p, row)]
    apart = [(row[p.first], row[p.second]) for p in said.face_pairs if not p.same and _both(p, row)]
    return Constraints(_pairs(together), _pairs(apart))


def _both(pair: FacePair, row: Mapping[int, int]) -> bool:
    return pair.first in row and pair.second in row


def _pairs(pairs: Sequence[tuple[int, int]]) -> Int64:
    return np.array(pairs, np.int64).reshape(-1, 2)


def obey(faces: PeopledFaces, joined: Joined, said: Statements) -> Obeyed:
    """Bring a decision about the faces without a person into line with what was said.

    Faces that are said to be one person follow the one of them that has a person, else the largest of their
    new groups. A face that is said not to be somebody, or not to be the person of another face, stays alone.
    """
    new = np.flatnonzero(faces.person < 0)
    person = faces.person.copy()
    person[new] = joined.person
    group = np.full(len(person), _NOBODY, np.int64)
    group[new] = joined.group
    before = person.copy(), group.copy()
    pairs = constraints_of(said, faces.face_id)
    _together(person, group, faces.person, pairs.must_link)
    given = (person != before[0]) | (group != before[1])
    _not_them(person, faces, said)
    _apart(person, group, faces.person, pairs.cannot_link)
    constrained = given & ((person >= 0) | (group >= 0))
    result = replace(joined, person=person[new], group=_renumbered(group[new]))
    decided = (result.person >= 0) | (result.group >= 0)
    review = joined.review
    still = ~decided[review.face] if len(review.face) else np.empty(0, bool)
    if not still.all():
        review = replace(
            review, face=review.face[still], person=review.person[still], similarity=review.similarity[still]
        )
        result = replace(result, review=review)
    return Obeyed(result, constrained[new])


def _together(person: Int64, group: Int64, owned: Int64, must: Int64) -> None:
    """Give faces that are said to be one person to one."""
    if not len(must):
        return
    rows = np.unique(must)
    place = {int(row): i for i, row in enumerate(rows.tolist())}
    ends = np.array([[place[a], place[b]] for a, b in must.tolist()], np.int64)
    part = join_pairs(len(rows), ends[:, 0], ends[:, 1])
    following = int(group.max(initial=-1)) + 1
    for number in range(int(part.max()) + 1):
        members = rows[part == number]
        free = members[owned[members] < 0]
        owners = [*owned[members][owned[members] >= 0], *person[members][person[members] >= 0]]
        if owners:
            person[free], group[free] = owners[0], _NOBODY
            continue
        groups = group[members][group[members] >= 0]
        if len(groups):
            group[free] = np.bincount(groups).argmax()
        else:
            group[free] = following
            following += 1


def _not_them(person: Int64, faces: PeopledFaces, said: Statements) -> None:
    """Leave a new face alone where it is said not to be whom it would join."""
    refused = {(each.face, each.person) for each in said.faces if not each.is_person}
    if not refused:
        return
    row = {int(face): i for i, face in enumerate(faces.face_id.tolist())}
    for face, who in refused:
        at = row.get(face)
        if at is not None and faces.person[at] < 0 <= person[at] and faces.persons[person[at]] == who:
            person[at] = _NOBODY


def _apart(person: Int64, group: Int64, owned: Int64, cannot: Int64) -> None:
    """Leave one of two faces alone that are said to show two people and would be one."""
    for first, second in cannot.tolist():
        one_person = person[first] == person[second] >= 0
        one_group = group[first] == group[second] >= 0
        if one_person or one_group:
            leaving = second if owned[second] < 0 else first
            person[leaving], group[leaving] = _NOBODY, _NOBODY


def _renumbered(group: Int64) -> Int64:
    """Groups numbered without gaps, in their order."""
    known = np.unique(group[group >= 0])
    number = np.full(int(group.max(initial=-1)) + 2, _NOBODY, np.int64)
    number[known] = np.arange(len(known))
    return number[group]
