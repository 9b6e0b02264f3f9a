"""Grouping clusters into people: those whose centroids are all near one another, nearest first."""

import numpy as np

from facesets.clustering.constraints import Constraints, resolve
from facesets.clustering.labels import numbered
from facesets.clustering.neighbors import threshold_graph
from facesets.clustering.vectors import Embeddings, Int64, check_cosine_distance


def associate(
    centroids: Embeddings,
    *,
    max_cosine_distance: float,
    constraints: Constraints | None = None,
    owner: Int64 | None = None,
) -> Int64:
    """Group clusters by complete linkage of their centroids.

    Pairs are taken in order of their distance, ties by row. Two groups become one if every centroid of the
    one is within the distance of every one of the other.

    Parameters
    ----------
    centroids : float array of shape (k, d)
        Scaled to unit length if they are not.
    max_cosine_distance : float
        In [0, 2]; to 1e-6.
    constraints : Constraints, optional
        Clusters that must be together are, however far apart; those that must not never are. Must-links win.
    owner : int64 array of shape (k,), optional
        Clusters of different owners are never together, but by must-links; -1 for a cluster of nobody.

    Returns
    -------
    int64 array of shape (k,)
        The group of each cluster, from 0, by falling size, ties by smallest row.

    Raises
    ------
    ValueError
        When the centroids are malformed (see `unit_rows`), the distance is out of range, or a constraint
        names a row that does not exist.
    """
    check_cosine_distance(max_cosine_distance)
    edges = threshold_graph(centroids, min_cosine_similarity=max(1.0 - max_cosine_distance, -1.0))
    known = resolve(constraints if constraints is not None else Constraints(), len(centroids))
    links = _Links(known.group, known.forbidden, np.full(len(centroids), -1) if owner is None else owner)
    order = np.lexsort((edges.j, edges.i, -edges.similarity.astype(np.float64)))
    for i, j in zip(edges.i[order].tolist(), edges.j[order].tolist(), strict=True):
        links.count(i, j)
    for i, j in zip(edges.i[order].tolist(), edges.j[order].tolist(), strict=True):
        links.join(i, j)
    return numbered(np.array([links.find(row) for row in range(len(centroids))], np.int64))


class _Links:
    """Groups of rows, and how many near pairs there are between any two."""

    def __init__(self, group: Int64, forbidden: Int64, owner: Int64) -> None:
        self._root = group.tolist()
        self._size = np.bincount(group, minlength=len(group)).tolist()
        highest = np.full(len(group), -1, np.int64)
        np.maximum.at(highest, group, owner)
        self._owner: list[int] = highest.tolist()
        self._near: list[dict[int, int]] = [{} for _ in self._root]
        self._apart: list[set[int]] = [set() for _ in self._root]
        for a, b in forbidden.tolist():
            self._apart[a].add(b)
            self._apart[b].add(a)

    def find(self, row: int) -> int:
        """The lowest row of the group that a row is in."""
        while self._root[row] != row:
            self._root[row] = self._root[self._root[row]]
            row = self._root[row]
        return row

    def count(self, i: int, j: int) -> None:
        """Take note of a near pair."""
        a, b = self.find(i), self.find(j)
        if a != b:
            self._near[a][b] = self._near[a].get(b, 0) + 1
            self._near[b][a] = self._near[b].get(a, 0) + 1

    def join(self, i: int, j: int) -> None:
        """Make the groups of two rows one, if all pairs between them are near and none is forbidden."""
        a, b = sorted((self.find(i), self.find(j)))
        if a == b or b in self._apart[a] or self._near[a][b] < self._size[a] * self._size[b]:
            return
        if self._owner[a] != self._owner[b] and min(self._owner[a], self._owner[b]) >= 0:
            return
        self._owner[a] = max(self._owner[a], self._owner[b])
        self._root[b] = a
        self._size[a] += self._size[b]
        for other, pairs in self._near[b].items():
            del self._near[other][b]
            if other != a:
                self._near[a][other] = self._near[other][a] = self._near[a].get(other, 0) + pairs
        for other in self._apart[b]:
            self._apart[other].discard(b)
            self._apart[other].add(a)
            self._apart[a].add(other)
