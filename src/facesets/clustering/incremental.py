"""New faces among known people: who joins whom, who is somebody new, and what a person must decide.

A face that is similar to one known person joins that person, and brings along the new faces that are
similar to it. A face that is similar to two is left alone: it would tie them together. What remains is
grouped among itself. Doing it again with the outcome changes nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from facesets.clustering.graph_components import components_of
from facesets.clustering.labels import numbered, singletons_as_noise
from facesets.clustering.neighbors import OnProgress, edge_chunks
from facesets.clustering.person_matches import (
    MatchCheck,
    PersonMatches,
    check_person_matches,
    find_person_matches,
)
from facesets.clustering.vectors import Float32, Int64

NOBODY = -1

Grouping = Callable[[Int64], Int64]
"""Labels of these rows; negative for noise."""


@dataclass(frozen=True, slots=True)
class Joined:
    """What becomes of n new faces.

    Attributes
    ----------
    person : int64 array of shape (n,)
        Known person that the face joins; -1 for none.
    group : int64 array of shape (n,)
        New group that the face belongs to, by falling size; -1 for none.
    review : PersonMatches
        Faces that are similar to several people, and to whom.
    checked : ContactsChecked or None
        How many likenesses to known people were found, where only nearby ones were compared.
    """

    person: Int64
    group: Int64
    review: PersonMatches
    checked: MatchCheck | None = None


def join_people(
    rows: Float32,
    references: Float32,
    persons: Int64,
    grouping: Grouping,
    *,
    min_cosine_similarity: float,
    min_size: int,
    approximate: bool = False,
    on_progress: OnProgress | None = None,
) -> Joined:
    """Decide about new faces.

    Parameters
    ----------
    rows : float32 array of shape (n, d)
        New faces, of unit length.
    references : float32 array of shape (m, d)
        Vectors of known people, see `find_person_matches`.
    persons : int64 array of shape (m,)
        Whose each vector is, from 0.
    grouping : callable
        Groups those new faces that tie nobody together.
    min_cosine_similarity : float
        From which on two faces belong together.
    min_size : int
        Fewest faces of a new group.
    approximate : bool
        Compare new faces with nearby known ones only; see `find_person_matches`.
    """
    contacts = find_person_matches(
        rows,
        references,
        persons,
        min_cosine_similarity=min_cosine_similarity,
        approximate=approximate,
        on_progress=on_progress,
    )
    checked = None
    if approximate:
        checked = check_person_matches(
            contacts, rows, references, persons, min_cosine_similarity=min_cosine_similarity
        )
    ties = contacts.persons_per_face(len(rows)) > 1
    person = np.full(len(rows), NOBODY, np.int64)
    single = contacts.of(~ties[contacts.face])
    person[single.face] = single.person
    free = np.flatnonzero(~ties)
    group = np.full(len(rows), NOBODY, np.int64)
    if len(free):
        group[free] = grouping(free)
    review = [contacts.of(ties[contacts.face])]
    _spread_within_groups(person, group)
    for label in _disputed(person, group):
        members = np.flatnonzero(group == label)
        review.append(_spread_by_neighbours(rows, members, person, group, min_cosine_similarity))
    group[person >= 0] = NOBODY
    return Joined(person, singletons_as_noise(numbered(group), min_size=min_size), _together(review), checked)


def _disputed(person: Int64, group: Int64) -> list[int]:
    """Groups that touch two people or more."""
    pairs = _pairs(person, group)
    labels, counts = np.unique(pairs[:, 0], return_counts=True)
    disputed: list[int] = labels[counts > 1].tolist()
    return disputed


def _pairs(person: Int64, group: Int64) -> Int64:
    touched = (group >= 0) & (person >= 0)
    pairs: Int64 = np.unique(np.stack([group[touched], person[touched]], axis=1), axis=0)
    return pairs


def _spread_within_groups(person: Int64, group: Int64) -> None:
    """Where a group touches one person only, all of it joins that person."""
    pairs = _pairs(person, group)
    labels, first, counts = np.unique(pairs[:, 0], return_index=True, return_counts=True)
    owner = np.full(int(group.max(initial=-1)) + 2, NOBODY, np.int64)
    owner[labels[counts == 1]] = pairs[first[counts == 1], 1]
    owned = (group >= 0) & (owner[group] >= 0)
    person[owned] = owner[group[owned]]


def _spread_by_neighbours(
    rows: Float32, members: Int64, person: Int64, group: Int64, min_cosine_similarity: float
) -> PersonMatches:
    """Where a group touches several people, faces join step by step outwards from those that touch one.

    A face that two people reach at once is left for review; what lies behind it is a group of its own.
    Changes `person` and `group`; returns what is left for review.
    """
    of = person[members]
    torn = np.zeros(len(members), bool)
    review: list[PersonMatches] = []
    edge = np.flatnonzero(of >= 0)
    while len(edge):
        # Who is similar to those that joined earlier was reached from there.
        left = np.flatnonzero((of < 0) & ~torn)
        reached = find_person_matches(
            rows[members[left]], rows[members[edge]], of[edge], min_cosine_similarity=min_cosine_similarity
        )
        several = reached.persons_per_face(len(left)) > 1
        torn[left[several]] = True
        found = reached.of(several[reached.face])
        review.append(PersonMatches(members[left[found.face]], found.person, found.similarity))
        one = reached.of(~several[reached.face])
        edge = left[one.face]
        of[edge] = one.person
    person[members] = of
    _regroup(rows, members, np.flatnonzero((of < 0) & ~torn), group, min_cosine_similarity)
    return _together(review)


def _regroup(rows: Float32, members: Int64, left: Int64, group: Int64, min_cosine_similarity: float) -> None:
    """Give the connected faces among those left over labels of their own."""
    chunks = edge_chunks(rows[members[left]], min_cosine_similarity=min_cosine_similarity)
    fresh = components_of(chunks, len(left)) + int(group.max()) + 1
    group[members] = NOBODY
    group[members[left]] = fresh


def _together(parts: list[PersonMatches]) -> PersonMatches:
    return PersonMatches(
        np.concatenate([part.face for part in parts] or [np.empty(0, np.int64)]),
        np.concatenate([part.person for part in parts] or [np.empty(0, np.int64)]),
        np.concatenate([part.similarity for part in parts] or [np.empty(0, np.float32)]),
    )
