"""Match new faces with known people: new members, and new people.

A face that is similar to one known person joins that person, and brings along the new faces that are
similar to it. A face that is similar to two is left alone: it would tie them together. What remains is
grouped among itself. Doing it again with the outcome changes nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from facesets.clustering.approximate_pairs import near_cross_edge_chunks
from facesets.clustering.components import components_of
from facesets.clustering.graph import OnProgress, edge_chunks
from facesets.clustering.labels import numbered, singletons_as_noise
from facesets.clustering.vectors import SIMILARITY_RESOLUTION, Bool, Float32, Int64

_BLOCK_ROWS = 1024
_BLOCK_COLUMNS = 4096
UNASSIGNED = -1
Grouping = Callable[[Int64], Int64]
"""Returns labels of these rows; negative for noise."""


@dataclass(frozen=True, slots=True)
class PersonMatches:
    """Pairs of a face and a person, each once, by face and then person.

    Attributes
    ----------
    face, person : int64 arrays of shape (m,)
    similarity : float32 array of shape (m,)
        The highest cosine similarity of the face with a vector of the person.
    """

    face: Int64
    person: Int64
    similarity: Float32

    @classmethod
    def joined(cls, parts: Sequence["PersonMatches"]) -> "PersonMatches":
        """Join the pairs of all parts, in their order."""
        return cls(
            np.concatenate([np.empty(0, np.int64), *(part.face for part in parts)]),
            np.concatenate([np.empty(0, np.int64), *(part.person for part in parts)]),
            np.concatenate([np.empty(0, np.float32), *(part.similarity for part in parts)]),
        )

    def __len__(self) -> int:
        return len(self.face)

    def of(self, chosen: Bool | Int64) -> "PersonMatches":
        """Select some of the pairs."""
        return PersonMatches(self.face[chosen], self.person[chosen], self.similarity[chosen])

    def persons_per_face(self, faces: int) -> Int64:
        """Count the people that each of the faces 0, 1, … is similar to."""
        return np.bincount(self.face, minlength=faces).astype(np.int64)


def find_person_matches(
    rows: Float32,
    references: Float32,
    persons: Int64,
    *,
    min_cosine_similarity: float,
    approximate: bool = False,
    on_progress: OnProgress | None = None,
) -> PersonMatches:
    """Find every pair of a face and a person with a vector at least this similar to the face.

    Parameters
    ----------
    rows : float32 array of shape (n, d)
        Faces, of unit length.
    references : float32 array of shape (m, d)
        Vectors of people: of unit length, or means of such.
    persons : int64 array of shape (m,)
        Person of each vector, from 0.
    min_cosine_similarity : float
        Pairs within 1e-6 below it count, for rounding.
    approximate : bool
        Compare each face with vectors in nearby cells only, which are all of unit length then. Some pairs
        may be missed; `check_person_matches` measures how many.
    """
    people = int(persons.max(initial=-1)) + 1
    if approximate:
        chunks = near_cross_edge_chunks(
            rows, references, min_cosine_similarity=min_cosine_similarity, on_progress=on_progress
        )
        return _strongest_of(
            [
                strongest(edges.i.astype(np.int64), persons[edges.j], edges.similarity, people)
                for edges in chunks
            ],
            people,
        )
    found: list[PersonMatches] = []
    starts = range(0, len(rows), _BLOCK_ROWS)
    for step, start in enumerate(starts, start=1):
        block = rows[start : start + _BLOCK_ROWS]
        parts = [
            _block(block, references[c : c + _BLOCK_COLUMNS], min_cosine_similarity, c)
            for c in range(0, len(references), _BLOCK_COLUMNS)
        ]
        for face, column, similarity in parts:
            found.append(strongest(face + start, persons[column], similarity, people))
        if on_progress is not None:
            on_progress(step, len(starts))
    return _strongest_of(found, people)


@dataclass(frozen=True, slots=True)
class MatchCheck:
    """How many pairs of some faces with people were found.

    Attributes
    ----------
    faces : int
        Compared with all vectors.
    due : int
        Pairs of one of these and a person.
    found : int
        Of these pairs, those that are known.
    """

    faces: int
    due: int
    found: int

    def sentence(self) -> str:
        """Return a sentence for the user."""
        return (
            f"Approximate search found {self.found} of {self.due} matches between new faces and known "
            f"people (checked on {self.faces} faces)."
        )


def check_person_matches(
    contacts: PersonMatches,
    rows: Float32,
    references: Float32,
    persons: Int64,
    *,
    min_cosine_similarity: float,
    faces: int = 1000,
) -> MatchCheck:
    """Compare some faces with all vectors, exactly, to see how many pairs are among these.

    Parameters
    ----------
    contacts : PersonMatches
        What `find_person_matches` found for the rest of the arguments.
    faces : int
        How many faces, evenly spread, are looked at.
    """
    chosen = np.unique(np.linspace(0, len(rows) - 1, min(faces, len(rows))).astype(np.int64))
    due = find_person_matches(rows[chosen], references, persons, min_cosine_similarity=min_cosine_similarity)
    people = int(persons.max(initial=-1)) + 1
    there = np.isin(chosen[due.face] * people + due.person, contacts.face * people + contacts.person)
    return MatchCheck(len(chosen), len(due), int(there.sum()))


def _strongest_of(parts: list[PersonMatches], people: int) -> PersonMatches:
    found = PersonMatches.joined(parts)
    return strongest(found.face, found.person, found.similarity, people)


def _block(
    rows: Float32, references: Float32, least: float, first_column: int
) -> tuple[Int64, Int64, Float32]:
    """Return the pairs of one block and their similarity, decided in double precision near the limit."""
    product = rows @ references.T
    hits = np.flatnonzero(product >= np.float32(least - SIMILARITY_RESOLUTION))
    i, j = np.divmod(hits, product.shape[1])
    similarity: Float32 = product.ravel()[hits]
    close = np.flatnonzero(similarity < np.float32(least + SIMILARITY_RESOLUTION))
    keep = np.ones(len(hits), bool)
    left, right = rows[i[close]].astype(np.float64), references[j[close]].astype(np.float64)
    keep[close] = np.einsum("ij,ij->i", left, right) >= least - SIMILARITY_RESOLUTION / 2
    return i[keep], j[keep] + first_column, similarity[keep]


def strongest(face: Int64, person: Int64, similarity: Float32, people: int) -> PersonMatches:
    """Return pairs of a face and a person, each once, with the highest similarity."""
    key = face * max(people, 1) + person
    order = np.lexsort((-similarity, key))
    first = np.flatnonzero(np.r_[True, np.diff(key[order]) != 0]) if len(key) else order
    chosen = order[first]
    return PersonMatches(face[chosen], person[chosen], similarity[chosen])


@dataclass(frozen=True, slots=True)
class FaceDecisions:
    """Decisions about n new faces.

    Attributes
    ----------
    person : int64 array of shape (n,)
        Known person that the face joins; -1 for none.
    group : int64 array of shape (n,)
        New group that the face belongs to, by falling size; -1 for none.
    review : PersonMatches
        Faces that are similar to several people, and these people.
    checked : MatchCheck or None
        How many matches with known people were found, if only nearby ones were compared.
    """

    person: Int64
    group: Int64
    review: PersonMatches
    checked: MatchCheck | None = None

    def owners(self, known: int) -> Int64:
        """Return the person of each face: a known one or, with higher numbers, a new group; -1 for none."""
        return np.where(self.group >= 0, self.group + known, self.person)


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
) -> FaceDecisions:
    """Decide about new faces.

    Parameters
    ----------
    rows : float32 array of shape (n, d)
        New faces, of unit length.
    references : float32 array of shape (m, d)
        Vectors of known people, see `find_person_matches`.
    persons : int64 array of shape (m,)
        Person of each vector, from 0.
    grouping : callable
        Groups the new faces that do not tie people together.
    min_cosine_similarity : float
        Above it two faces belong together.
    min_size : int
        Minimum faces of a new group.
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
    person = np.full(len(rows), UNASSIGNED, np.int64)
    single = contacts.of(~ties[contacts.face])
    person[single.face] = single.person
    free = np.flatnonzero(~ties)
    group = np.full(len(rows), UNASSIGNED, np.int64)
    if len(free):
        group[free] = grouping(free)
    review = [contacts.of(ties[contacts.face])]
    _spread_within_groups(person, group)
    for label in _disputed(person, group):
        members = np.flatnonzero(group == label)
        review.append(_spread_by_neighbours(rows, members, person, group, min_cosine_similarity))
    group[person >= 0] = UNASSIGNED
    return FaceDecisions(
        person, singletons_as_noise(numbered(group), min_size=min_size), PersonMatches.joined(review), checked
    )


def _disputed(person: Int64, group: Int64) -> list[int]:
    """Return the groups that touch two people or more."""
    pairs = _pairs(person, group)
    labels, counts = np.unique(pairs[:, 0], return_counts=True)
    disputed: list[int] = labels[counts > 1].tolist()
    return disputed


def _pairs(person: Int64, group: Int64) -> Int64:
    touched = (group >= 0) & (person >= 0)
    pairs: Int64 = np.unique(np.stack([group[touched], person[touched]], axis=1), axis=0)
    return pairs


def _spread_within_groups(person: Int64, group: Int64) -> None:
    """Let a group that touches one person join that person as a whole."""
    pairs = _pairs(person, group)
    labels, first, counts = np.unique(pairs[:, 0], return_index=True, return_counts=True)
    owner = np.full(int(group.max(initial=-1)) + 2, UNASSIGNED, np.int64)
    owner[labels[counts == 1]] = pairs[first[counts == 1], 1]
    owned = (group >= 0) & (owner[group] >= 0)
    person[owned] = owner[group[owned]]


def _spread_by_neighbours(
    rows: Float32, members: Int64, person: Int64, group: Int64, min_cosine_similarity: float
) -> PersonMatches:
    """Let faces of a group that touches several people join step by step, outwards from those that touch one.

    A face that two people reach at once is left for review; what lies behind it is a group of its own.
    Changes `person` and `group`; returns what is left for review.
    """
    of = person[members]
    torn = np.zeros(len(members), bool)
    review: list[PersonMatches] = []
    edge = np.flatnonzero(of >= 0)
    while len(edge):
        # Faces similar to those that joined earlier were already reached from there.
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
    return PersonMatches.joined(review)


def _regroup(rows: Float32, members: Int64, left: Int64, group: Int64, min_cosine_similarity: float) -> None:
    """Give the connected faces among the remaining ones labels of their own."""
    chunks = edge_chunks(rows[members[left]], min_cosine_similarity=min_cosine_similarity)
    fresh = components_of(chunks, len(left)) + int(group.max()) + 1
    group[members] = UNASSIGNED
    group[members[left]] = fresh
