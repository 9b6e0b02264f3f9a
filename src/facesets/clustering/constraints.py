"""Pairs of faces that must, or must not, be together.

Two faces in one image are two people, unless the image shows one person twice.
"""

from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from facesets.clustering.graph import join_pairs, pair_similarities
from facesets.clustering.vectors import Bool, Embeddings, Int64, canonical_order, unit_rows

_WITNESSES = 16_384
_BLOCK_PAIRS = 256
_MIN_SHARED = 3
_MIN_SHARE = 0.5
_NEAR_SIMILARITY = 0.15
_SEEN_TWICE = 0.8
"""A pair as similar as this is one face seen twice."""

_COMPANIONS = 0.5
"""Faces as similar as this resemble each other."""


def _no_pairs() -> Int64:
    return np.empty((0, 2), np.int64)


@dataclass(frozen=True, slots=True)
class Constraints:
    """Known pairs of faces.

    Attributes
    ----------
    must_link : int64 array of shape (m, 2)
        Rows that show one person.
    cannot_link : int64 array of shape (c, 2)
        Rows that show two people.
    """

    must_link: Int64 = field(default_factory=_no_pairs)
    cannot_link: Int64 = field(default_factory=_no_pairs)

    def plus(self, other: "Constraints") -> "Constraints":
        """Combine two sets of constraints."""
        return Constraints(
            np.concatenate([as_pairs(self.must_link), as_pairs(other.must_link)]),
            np.concatenate([as_pairs(self.cannot_link), as_pairs(other.cannot_link)]),
        )


@dataclass(frozen=True, slots=True)
class Groups:
    """Resolved constraints: faces that must be together, and groups that must not.

    Attributes
    ----------
    group : int64 array of shape (n,)
        The lowest row of each face's must-link group.
    forbidden : int64 array of shape (c, 2)
        Pairs of groups that cannot merge, by their lowest rows.
    contradictions : int64 array of shape (x, 2)
        Cannot-link pairs that must-links tie together; the must-links win.
    """

    group: Int64
    forbidden: Int64
    contradictions: Int64


@dataclass(frozen=True, slots=True)
class Partners:
    """For each face the faces that it cannot be with.

    Attributes
    ----------
    start : int64 array of shape (n + 1,)
        Where each face's run in `partner` begins.
    partner : int64 array of shape (2·c,)
    """

    start: Int64
    partner: Int64

    @classmethod
    def of_pairs(cls, pairs: Int64, count: int) -> "Partners":
        """Store both directions of cannot-link pairs among `count` faces."""
        face, partner = np.r_[pairs[:, 0], pairs[:, 1]], np.r_[pairs[:, 1], pairs[:, 0]]
        order = np.argsort(face, kind="stable")
        return cls(np.searchsorted(face[order], np.arange(count + 1)), partner[order])

    def of(self, face: int) -> Int64:
        """Return the faces that one face cannot be with."""
        return self.partner[self.start[face] : self.start[face + 1]]

    def has_any(self, faces: Int64) -> Bool:
        """Whether each face has any that it cannot be with."""
        some: Bool = self.start[faces + 1] > self.start[faces]
        return some


def resolve(constraints: Constraints, count: int) -> Groups:
    """Resolve constraints on `count` faces, and find where they contradict each other.

    Raises
    ------
    ValueError
        When a pair names a row that does not exist.
    """
    must, cannot = _checked(constraints.must_link, count), _checked(constraints.cannot_link, count)
    part = join_pairs(count, must[:, 0], must[:, 1]) if count else np.empty(0, np.int64)
    lowest = np.full(int(part.max(initial=-1)) + 1, count, np.int64)
    np.minimum.at(lowest, part, np.arange(count))
    group = lowest[part]
    ends = group[cannot]
    together = ends[:, 0] == ends[:, 1]
    return Groups(group, np.unique(np.sort(ends[~together], axis=1), axis=0), cannot[together])


def pairs_within(pairs: ArrayLike, labels: Int64) -> Int64:
    """Return pairs of faces as pairs of their clusters, each once, the lower first.

    Pairs inside one cluster, and pairs with a face that is noise, are left out.

    Raises
    ------
    ValueError
        When a pair names a row that does not exist.
    """
    ends = labels[_checked(pairs, len(labels))]
    between = (ends[:, 0] != ends[:, 1]) & (ends >= 0).all(axis=1)
    return np.unique(np.sort(ends[between], axis=1), axis=0)


def among(constraints: Constraints, some: Int64, count: int) -> Constraints:
    """Return the pairs with both faces among some of `count` rows, by their places there."""
    place = np.full(count, -1, np.int64)
    place[some] = np.arange(len(some))
    must, cannot = place[constraints.must_link], place[constraints.cannot_link]
    return Constraints(must[(must >= 0).all(axis=1)], cannot[(cannot >= 0).all(axis=1)])


def in_order(constraints: Constraints, order: Int64) -> Constraints:
    """Return the same constraints for rows in another `order`.

    Raises
    ------
    ValueError
        When a pair names a row that does not exist.
    """
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    must = _checked(constraints.must_link, len(order))
    return Constraints(place[must], place[_checked(constraints.cannot_link, len(order))])


def violations(labels: Int64, constraints: Constraints) -> Int64:
    """Find cannot-link pairs that share a cluster, and must-link pairs that do not; shape (v, 2)."""
    must, cannot = as_pairs(constraints.must_link), as_pairs(constraints.cannot_link)
    split: Bool = (labels[must[:, 0]] != labels[must[:, 1]]) | (labels[must[:, 0]] < 0)
    joined: Bool = (labels[cannot[:, 0]] == labels[cannot[:, 1]]) & (labels[cannot[:, 0]] >= 0)
    return np.concatenate([must[split], cannot[joined]])


def as_pairs(pairs: ArrayLike) -> Int64:
    """Return pairs of rows as an array of two columns."""
    return np.asarray(pairs).astype(np.int64).reshape(-1, 2)


def _checked(pairs: ArrayLike, count: int) -> Int64:
    given = as_pairs(pairs)
    if len(given) and (given.min() < 0 or given.max() >= count):
        raise ValueError(f"A constraint names a row outside the {count} faces.")
    return given


def same_image_pairs(embeddings: Embeddings, image_index: ArrayLike) -> Constraints:
    """Make a cannot-link for each pair of faces in one image, as they are two people.

    Mirrors, collages and pictures in the picture show one person twice. Such a pair gets no constraint; it
    is known by its similarity, or by the company that three or more faces of the image keep: half of the
    faces that resemble the one resemble the other as much. Two such faces stay apart, for they may be
    sisters; three are rather a collage, where the constraint would cut a person in pieces. Company is looked
    for among 16 384 faces at most.

    Parameters
    ----------
    embeddings : float array of shape (n, d)
    image_index : integers of shape (n,)
        The image of each face; negative if unknown.

    Raises
    ------
    ValueError
        When the embeddings are malformed, or there is not one image a face.
    """
    image = np.asarray(image_index).astype(np.int64)
    if image.shape != (len(embeddings),):
        raise ValueError(f"There are {image.size} image numbers for {len(embeddings)} faces.")
    pairs = _in_one_image(image)
    used, place = np.unique(pairs, return_inverse=True)
    place = place.reshape(-1, 2)
    rows = unit_rows(embeddings, used)
    similarity = pair_similarities(rows, place[:, 0], place[:, 1])
    apart = similarity < _SEEN_TWICE
    # Nearly all pairs are strangers, which need no comparison of their company.
    unsure = np.flatnonzero(apart & (similarity >= _COMPANIONS / 2))
    unsure = unsure[_in_triangles(pairs[unsure])]
    unsure = unsure[_have_common_company(embeddings, image, pairs[unsure])]
    apart[unsure[_in_triangles(pairs[unsure])]] = False
    return Constraints(cannot_link=pairs[apart])


def _in_one_image(image: Int64) -> Int64:
    order = np.argsort(image, kind="stable")
    order = order[image[order] >= 0]
    found = [np.empty((0, 2), np.int64)]
    for gap in range(1, len(order)):
        same = image[order[gap:]] == image[order[:-gap]]
        if not same.any():
            break
        found.append(np.c_[order[:-gap][same], order[gap:][same]])
    return np.concatenate(found)


def _have_common_company(embeddings: Embeddings, image: Int64, pairs: Int64) -> Bool:
    """Whether the same faces of other images resemble both faces of a pair, and about equally.

    Look-alikes, such as twins, are resembled by the same faces too; but each more by its own.
    """
    result = np.empty(len(pairs), bool)
    if not len(pairs):
        return result
    order = canonical_order(embeddings)
    witness = order[:: max(1, -(-len(order) // _WITNESSES))]
    seen_by = unit_rows(embeddings, witness)
    for start in range(0, len(pairs), _BLOCK_PAIRS):
        block = pairs[start : start + _BLOCK_PAIRS]
        faces, place = np.unique(block, return_inverse=True)
        found = unit_rows(embeddings, faces) @ seen_by.T
        found[image[faces, None] == image[witness]] = -1
        count = (found >= _COMPANIONS).sum(axis=1)
        i, j = place.reshape(-1, 2).T
        both = np.minimum(found[i], found[j]) >= _COMPANIONS
        both &= np.abs(found[i] - found[j]) <= _NEAR_SIMILARITY
        least = np.maximum(_MIN_SHARED, _MIN_SHARE * np.minimum(count[i], count[j]))
        result[start : start + len(block)] = both.sum(axis=1) >= least
    return result


def _in_triangles(pairs: Int64) -> Bool:
    """Whether each pair has a third face that is paired with both."""
    beside: dict[int, set[int]] = defaultdict(set)
    for i, j in pairs.tolist():
        beside[i].add(j)
        beside[j].add(i)
    return np.array([bool(beside[i] & beside[j]) for i, j in pairs.tolist()], bool)
