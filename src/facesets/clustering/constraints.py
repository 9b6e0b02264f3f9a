"""What must and what must not be together."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from facesets.clustering.graph_components import join_pairs
from facesets.clustering.vectors import Bool, Int64


def _no_pairs() -> Int64:
    return np.empty((0, 2), np.int64)


@dataclass(frozen=True, slots=True)
class Constraints:
    """Pairs of faces about which something is known.

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
        """Both together."""
        return Constraints(
            np.concatenate([as_pairs(self.must_link), as_pairs(other.must_link)]),
            np.concatenate([as_pairs(self.cannot_link), as_pairs(other.cannot_link)]),
        )


@dataclass(frozen=True, slots=True)
class Groups:
    """Constraints made ready: faces that must be together, and groups that must not.

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
    """For each face those that it cannot be with.

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
        """Both directions of cannot-link pairs among `count` faces."""
        face, partner = np.r_[pairs[:, 0], pairs[:, 1]], np.r_[pairs[:, 1], pairs[:, 0]]
        order = np.argsort(face, kind="stable")
        return cls(np.searchsorted(face[order], np.arange(count + 1)), partner[order])

    def of(self, face: int) -> Int64:
        """Those that one face cannot be with."""
        return self.partner[self.start[face] : self.start[face + 1]]

    def has_any(self, faces: Int64) -> Bool:
        """Which faces cannot be with some other."""
        some: Bool = self.start[faces + 1] > self.start[faces]
        return some


def resolve(constraints: Constraints, count: int) -> Groups:
    """Work out what constraints on `count` faces imply, and where they contradict each other.

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
    """Pairs of faces as pairs of the clusters that they are in, each once, the lower first.

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
    """The pairs of which both are among some of `count` rows, by their places there."""
    place = np.full(count, -1, np.int64)
    place[some] = np.arange(len(some))
    must, cannot = place[constraints.must_link], place[constraints.cannot_link]
    return Constraints(must[(must >= 0).all(axis=1)], cannot[(cannot >= 0).all(axis=1)])


def in_order(constraints: Constraints, order: Int64) -> Constraints:
    """The same constraints for rows that were taken in `order`.

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
    """Cannot-link pairs that share a cluster, and must-link pairs that do not; shape (v, 2)."""
    must, cannot = as_pairs(constraints.must_link), as_pairs(constraints.cannot_link)
    split: Bool = (labels[must[:, 0]] != labels[must[:, 1]]) | (labels[must[:, 0]] < 0)
    joined: Bool = (labels[cannot[:, 0]] == labels[cannot[:, 1]]) & (labels[cannot[:, 0]] >= 0)
    return np.concatenate([must[split], cannot[joined]])


def as_pairs(pairs: ArrayLike) -> Int64:
    """Pairs of rows as an array of two columns."""
    return np.asarray(pairs).astype(np.int64).reshape(-1, 2)


def _checked(pairs: ArrayLike, count: int) -> Int64:
    given = as_pairs(pairs)
    if len(given) and (given.min() < 0 or given.max() >= count):
        raise ValueError(f"A constraint names a row outside the {count} faces.")
    return given
