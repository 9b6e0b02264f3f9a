"""Join clusters with close centroids: closest first, or where all are near one another."""

import heapq

import numpy as np
from numpy.typing import ArrayLike

from facesets.clustering.centroids import cluster_sums, unit_or_zero
from facesets.clustering.constraints import Constraints, pairs_within, resolve
from facesets.clustering.graph import Edges, edge_chunks, join_pairs, threshold_graph
from facesets.clustering.labels import check_labels, numbered
from facesets.clustering.vectors import (
    SIMILARITY_RESOLUTION,
    Embeddings,
    Float64,
    Int64,
    check_cosine_distance,
    unit_rows,
)

_LIST_MARGIN = 0.6
"""Neighbour lists reach down to this part of the minimum similarity, so that they outlive some merges."""

_MIN_SIMILARITY_WITH_LISTS = 0.1


def merge_close(
    embeddings: Embeddings,
    labels: ArrayLike,
    *,
    max_cosine_distance: float,
    constraints: Constraints | None = None,
) -> Int64:
    """Join clusters until no two centroids are within a cosine distance.

    The closest pair that may be joined goes first; its new centroid is that of all its faces. Centroids
    that average over more faces come closer to others, so one pass over the first distances would not do.

    Parameters
    ----------
    embeddings : float array of shape (n, d)
        Scaled to unit length if they are not.
    labels : integers of shape (n,)
        Negative ones are noise and stay so.
    max_cosine_distance : float
        In [0, 2]; to 1e-6.
    constraints : Constraints, optional
        Clusters with faces that must be together are joined first, however far apart; clusters with faces
        that must not be together are never joined. Must-links win. No given cluster is cut, and faces
        that are noise constrain nothing.

    Returns
    -------
    int64 array of shape (n,)
        Clusters by falling size, ties by smallest member; noise is -1.

    Raises
    ------
    ValueError
        When the embeddings are malformed (see `unit_rows`), labels do not match them, the distance is out
        of range, or a constraint names a row that does not exist.
    """
    check_cosine_distance(max_cosine_distance)
    rows = unit_rows(embeddings)
    given = numbered(check_labels(labels, len(rows)))
    known = constraints if constraints is not None else Constraints()
    must = pairs_within(known.must_link, given)
    tied = join_pairs(int(given.max(initial=-1)) + 1, must[:, 0], must[:, 1]) if len(must) else None
    if tied is not None:
        given = numbered(np.where(given >= 0, tied[given], -1))
    limit = 1.0 - max_cosine_distance - SIMILARITY_RESOLUTION / 2
    root = _Merger(cluster_sums(rows, given), limit, pairs_within(known.cannot_link, given)).run()
    return numbered(np.where(given >= 0, np.append(root, -1)[given], -1))


class _Merger:
    """Centroids, their neighbours, and the pairs to join, most similar first.

    A merged centroid is at most `(|a| + |b|) / |a + b|` times as similar to a third one as its nearer
    part was (a, b the sums). So the union of the parts' neighbour lists holds all its neighbours down
    to a level that rises by that factor; only when the level passes the limit all centroids are compared.
    """

    def __init__(self, sums: Float64, min_similarity: float, forbidden: Int64) -> None:
        self._sums = sums
        self._unit = unit_or_zero(sums)
        self._limit = min_similarity
        self._root = np.arange(len(sums))
        self._alive = np.ones(len(sums), bool)
        self._version = np.zeros(len(sums), np.int64)
        self._near: dict[int, set[int]] = {}
        self._apart: dict[int, set[int]] = {}
        for a, b in forbidden.tolist():
            self._keep_apart(a, b)
        self._heap: list[tuple[float, int, int, int, int]] = []
        with_lists = min_similarity >= _MIN_SIMILARITY_WITH_LISTS
        self._list_level = min_similarity * _LIST_MARGIN if with_lists else np.inf
        self._level = np.full(len(sums), self._list_level)

    def run(self) -> Int64:
        """Join until nothing is close; return for each cluster the one it ended in."""
        self._fill()
        while self._heap:
            _, a, b, version_a, version_b = heapq.heappop(self._heap)
            fresh = self._version[a] == version_a and self._version[b] == version_b
            if fresh and self._alive[a] and self._alive[b]:
                self._join(a, b)
        while not np.array_equal(self._root, self._root[self._root]):
            self._root = self._root[self._root]
        return self._root

    def _fill(self) -> None:
        lowest = min(self._limit, self._list_level)
        chunks = edge_chunks(self._unit, min_cosine_similarity=max(lowest, -1.0))
        edges = Edges.concatenate(chunks)
        for i, j in zip(edges.i.tolist(), edges.j.tolist(), strict=True):
            self._near.setdefault(i, set()).add(j)
            self._near.setdefault(j, set()).add(i)
        close = np.flatnonzero(edges.similarity >= self._limit)
        for i, j, similarity in zip(
            edges.i[close].tolist(),
            edges.j[close].tolist(),
            edges.similarity[close].tolist(),
            strict=True,
        ):
            self._push(i, j, similarity)

    def _keep_apart(self, a: int, b: int) -> None:
        self._apart.setdefault(a, set()).add(b)
        self._apart.setdefault(b, set()).add(a)

    def _push(self, a: int, b: int, similarity: float) -> None:
        if b in self._apart.get(a, ()):
            return
        a, b = min(a, b), max(a, b)
        heapq.heappush(self._heap, (-similarity, a, b, int(self._version[a]), int(self._version[b])))

    def _join(self, a: int, b: int) -> None:
        lengths = np.linalg.norm(self._sums[a]) + np.linalg.norm(self._sums[b])
        self._sums[a] += self._sums[b]
        self._unit[a] = unit_or_zero(self._sums[a : a + 1])[0]
        self._alive[b] = False
        self._root[b] = a
        self._version[a] += 1
        for other in self._apart.pop(b, set()):
            self._keep_apart(a, other)
        stretch = lengths / max(float(np.linalg.norm(self._sums[a])), 1e-12)
        self._level[a] = max(self._level[a], self._level[b]) * stretch
        near = self._near.pop(a, set()) | self._near.pop(b, set())
        candidates = self._candidates(a, near)
        similarity = self._unit[candidates] @ self._unit[a]
        is_near = similarity >= min(self._list_level, self._limit)
        self._near[a] = set(candidates[is_near].tolist())
        for other in self._near[a]:
            self._near.setdefault(other, set()).add(a)
        close = similarity >= self._limit
        for other, value in zip(candidates[close].tolist(), similarity[close].tolist(), strict=True):
            self._push(a, other, value)

    def _candidates(self, a: int, near: set[int]) -> Int64:
        if self._level[a] > self._limit:
            self._level[a] = self._list_level
            candidates = np.flatnonzero(self._alive)
        else:
            candidates = np.array(sorted(near), np.int64)
            candidates = candidates[self._alive[candidates]]
        others: Int64 = candidates[candidates != a]
        return others


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
        Clusters of different owners are only together by must-links; -1 for a cluster without an owner.

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
        """Return the lowest row of a row's group."""
        while self._root[row] != row:
            self._root[row] = self._root[self._root[row]]
            row = self._root[row]
        return row

    def count(self, i: int, j: int) -> None:
        """Count a near pair."""
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
