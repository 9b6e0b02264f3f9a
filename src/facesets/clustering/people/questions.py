"""Suggestions about people, found from vectors, with how likely an answer changes something.

Everything is judged by a mean similarity of faces, as average linkage does: of the faces of two people, of a
face and a person, of a face and the rest of its person, of the two halves of a person. How likely the one
or the other is follows from what similarities mean among these faces (`Calibration`); the curve was fitted to
halves of LFW in which people were grouped too finely and too coarsely.
"""

from dataclasses import dataclass

import numpy as np

from facesets.clustering.calibration import Calibration
from facesets.clustering.graph import Edges, edge_chunks
from facesets.clustering.people.incremental import find_person_matches
from facesets.clustering.vectors import Bool, Float32, Float64, Int64

MIN_UNCERTAINTY = 0.05
"""Minimum probability that an answer changes something."""

_STEEPNESS = 0.028
"""Difference, as a share of typical similarity within a person, that changes the odds by a factor of e."""

_UNUSUAL_SHARE = 0.8
"""Share of a typical similarity: if a few faces of a person are another's, they are below it."""

_MIN_PARTS = 4
_BLOCK_ROWS = 8192
_ROUNDS = 10
_MAX_SPLIT = 500


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs that may be one person.

    Attributes
    ----------
    first, second : int64 arrays of shape (m,)
    similarity : float32 array of shape (m,)
        Mean cosine similarity of their faces.
    likely : float64 array of shape (m,)
        How likely they are one.
    """

    first: Int64
    second: Int64
    similarity: Float32
    likely: Float64


@dataclass(frozen=True, slots=True)
class FarFaces:
    """Faces that are dissimilar to the rest of their person.

    Attributes
    ----------
    row : int64 array of shape (m,)
    similarity : float32 array of shape (m,)
        Mean cosine similarity with the other faces of the person.
    likely : float64 array of shape (m,)
        How likely they are another person.
    """

    row: Int64
    similarity: Float32
    likely: Float64


@dataclass(frozen=True, slots=True)
class Halves:
    """Two parts of a person who may be two people.

    Attributes
    ----------
    rows : int64 array of shape (m,)
        The smaller part, the face in its middle first.
    other : int
        The face in the middle of the rest.
    similarity : float
        Mean cosine similarity between the parts.
    likely : float
        How likely they are two people.
    """

    rows: Int64
    other: int
    similarity: float
    likely: float


def likelihood_of_one(measured: Calibration, similarity: Float32, *, alone: bool) -> Float64:
    """Estimate how likely two are one person; `alone` if one of them is a single face."""
    return _odds(similarity, measured.link if alone else measured.several, measured.typical)


def likelihood_of_two(measured: Calibration, similarity: Float32) -> Float64:
    """Estimate how likely faces of one person are two people."""
    return 1.0 - _odds(similarity, measured.loose, measured.typical)


def _odds(similarity: Float32, middle: float, typical: float) -> Float64:
    steps = (np.asarray(similarity, np.float64) - middle) / (_STEEPNESS * typical)
    odds: Float64 = 1.0 / (1.0 + np.exp(-np.clip(steps, -50, 50)))
    return odds


def min_suggested(measured: Calibration, *, alone: bool) -> float:
    """Return the minimum mean similarity at which two become a suggestion."""
    middle = measured.link if alone else measured.several
    return float(middle + _STEEPNESS * measured.typical * np.log(MIN_UNCERTAINTY / (1 - MIN_UNCERTAINTY)))


def mean_vectors(unit: Float32, faces: Int64, measured: Calibration) -> Float32:
    """Scale centroids to the length of the means of their faces: products are then mean similarities.

    Parameters
    ----------
    unit : float32 array of shape (k, d)
        Of unit length.
    faces : int64 array of shape (k,)
    """
    count = np.maximum(faces, 1)
    length = np.sqrt(1 / count + (1 - 1 / count) * measured.typical)
    means: Float32 = (unit * length[:, None]).astype(np.float32)
    return means


def find_duplicate_people(
    means: Float32, person: Int64, faces: Int64, measured: Calibration, among: Bool | None = None
) -> Pairs:
    """Find pairs of people who may be one, each once, the lower first.

    Parameters
    ----------
    means : float32 array of shape (k, d)
        Mean vectors of people; a person may have several, of different years.
    person : int64 array of shape (k,)
    faces : int64 array of shape (p,)
        How many faces each person has.
    among : bool array of shape (p,), optional
        Only pairs with at least one of these.
    """
    lowest = min_suggested(measured, alone=False)
    if among is None:
        edges = Edges.concatenate(list(edge_chunks(means, min_cosine_similarity=lowest)))
        ends, similarity = [person[edges.i], person[edges.j]], edges.similarity
    else:
        rows = np.flatnonzero(among[person])
        near = find_person_matches(means[rows], means, person, min_cosine_similarity=lowest)
        ends, similarity = [person[rows[near.face]], near.person], near.similarity
    first, second = np.sort(ends, axis=0)
    several = first != second
    first, second, similarity = first[several], second[several], similarity[several]
    order = np.lexsort((-similarity, second, first))
    first, second, similarity = first[order], second[order], similarity[order]
    fresh = np.ones(len(first), bool)
    fresh[1:] = (first[1:] != first[:-1]) | (second[1:] != second[:-1])
    first, second, similarity = first[fresh], second[fresh], similarity[fresh]
    alone = np.minimum(faces[first], faces[second]) == 1
    likely = np.where(
        alone,
        likelihood_of_one(measured, similarity, alone=True),
        likelihood_of_one(measured, similarity, alone=False),
    )
    return _asked(Pairs(first, second, similarity, likely))


def faces_near_people(rows: Float32, means: Float32, person: Int64, measured: Calibration) -> Pairs:
    """Find pairs of an unassigned face and one of the two people most similar to it."""
    found = find_person_matches(
        rows, means, person, min_cosine_similarity=min_suggested(measured, alone=True)
    )
    order = np.lexsort((-found.similarity, found.face))
    face = found.face[order]
    place = np.arange(len(face)) - np.searchsorted(face, face)
    best = order[place < 2]
    similarity = found.similarity[best]
    return _asked(
        Pairs(
            found.face[best],
            found.person[best],
            similarity,
            likelihood_of_one(measured, similarity, alone=True),
        )
    )


def _asked(pairs: Pairs) -> Pairs:
    keep = np.flatnonzero(pairs.likely >= MIN_UNCERTAINTY)
    return Pairs(pairs.first[keep], pairs.second[keep], pairs.similarity[keep], pairs.likely[keep])


def similarity_to_rest(rows: Float32, person: Int64, means: Float32) -> Float32:
    """Compute the mean cosine similarity of each face with its person's other faces; NaN if meaningless.

    Parameters
    ----------
    rows : float32 array of shape (n, d)
    person : int64 array of shape (n,)
        -1 for an unassigned face.
    means : float32 array of shape (p, d)
        The mean of each person's faces, not of unit length.
    """
    counts = np.bincount(person[person >= 0], minlength=len(means))
    similarity = np.full(len(rows), np.nan, np.float32)
    # Of two dissimilar faces, either may be the wrong one.
    mine = np.flatnonzero(person >= 0)
    mine = mine[counts[person[mine]] > 2]
    for start in range(0, len(mine), _BLOCK_ROWS):
        some = mine[start : start + _BLOCK_ROWS]
        count = counts[person[some]]
        with_all = np.einsum("ij,ij->i", rows[some], means[person[some]])
        similarity[some] = (with_all * count - 1) / (count - 1)
    return similarity


def faces_far_from_people(similarity: Float32, measured: Calibration) -> FarFaces:
    """Find faces that are dissimilar to the rest of their person, by `similarity_to_rest`."""
    row = np.flatnonzero(np.isfinite(similarity))
    likely = likelihood_of_two(measured, similarity[row])
    keep = likely >= MIN_UNCERTAINTY
    return FarFaces(row[keep], similarity[row[keep]], likely[keep])


def people_to_check(similarity: Float32, person: Int64, measured: Calibration) -> Int64:
    """Return the people to check: those with a face that is unusually dissimilar to the rest."""
    less = np.nan_to_num(similarity, nan=1.0) < _UNUSUAL_SHARE * measured.typical
    return np.unique(person[less])


def find_two_parts(rows: Float32, measured: Calibration) -> Halves | None:
    """Find the two least similar parts of one person, if they may be two people.

    Parameters
    ----------
    rows : float32 array of shape (n, d)
        The faces of one person; of very many, some that are evenly spread.
    """
    if len(rows) < _MIN_PARTS:
        return None
    step = -(-len(rows) // _MAX_SPLIT)
    sample = np.arange(0, len(rows), step)
    side = _sides(rows[sample])
    if min(side.sum(), (~side).sum()) < 2:
        return None
    if side.sum() * 2 > len(side):
        side = ~side
    means = rows[sample[side]].mean(axis=0), rows[sample[~side]].mean(axis=0)
    similarity = float(means[0] @ means[1])
    likely = float(likelihood_of_two(measured, np.array([similarity], np.float32))[0])
    if likely < MIN_UNCERTAINTY:
        return None
    # All faces, if only some were sampled.
    towards = rows @ (means[0] / np.linalg.norm(means[0])) > rows @ (means[1] / np.linalg.norm(means[1]))
    part, rest = np.flatnonzero(towards), np.flatnonzero(~towards)
    if not len(part) or not len(rest):
        return None
    middle = part[np.argsort(-(rows[part] @ means[0]), kind="stable")]
    return Halves(middle, int(rest[np.argmax(rows[rest] @ means[1])]), similarity, likely)


def _sides(rows: Float32) -> Bool:
    """Divide faces into two parts, around the two least similar faces; true for the one part."""
    similarity = rows @ rows.T
    one, other = divmod(int(similarity.argmin()), len(rows))
    side: Bool = similarity[one] > similarity[other]
    for _ in range(_ROUNDS):
        if side.all() or not side.any():
            break
        first, second = rows[side].mean(axis=0), rows[~side].mean(axis=0)
        moved = rows @ (first / np.linalg.norm(first)) > rows @ (second / np.linalg.norm(second))
        if (moved == side).all():
            break
        side = moved
    return side
