"""Merging clusters on a graph of candidate pairs, by exact average similarity.

The loop takes only array operations: a round costs a few passes over the pairs that are left, and the
number of pairs falls steeply, because merging clusters merges the pairs between them.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from facesets.clustering.neighbors import Edges
from facesets.clustering.vectors import Bool, Float32, Float64, Int64

_GATHERED_ROWS = 4096


@dataclass(slots=True)
class Clusters:
    """What average linkage needs to know of clusters; changed in place as they merge.

    Attributes
    ----------
    mean : float32 array of shape (m, d)
        Mean of the members' unit vectors; not of unit length.
    size : float64 array of shape (m,)
        Number of members, or the sum of their weights.
    """

    mean: Float32
    size: Float64

    @classmethod
    def of_faces(cls, rows: Float32) -> Self:
        """Each face a cluster of its own. Takes the array over."""
        return cls(rows, np.ones(len(rows)))

    def merge(self, into: Int64, gone: Int64) -> None:
        """Add clusters `gone` to clusters `into`, pair by pair; no cluster is named twice."""
        size = self.size[into] + self.size[gone]
        share = (self.size[gone] / size).astype(np.float32)[:, None]
        self.mean[into] += share * (self.mean[gone] - self.mean[into])
        self.size[into] = size

    def similarity(self, i: Int64, j: Int64) -> Float32:
        """Mean cosine similarity between the members of two clusters, pair by pair."""
        result = np.empty(len(i), np.float32)
        for start in range(0, len(i), _GATHERED_ROWS):
            span = slice(start, start + _GATHERED_ROWS)
            result[span] = np.einsum("ij,ij->i", self.mean[i[span]], self.mean[j[span]])
        return result


@dataclass(slots=True)
class _Pairs:
    i: Int64
    j: Int64
    similarity: Float32

    def take(self, rows: Bool | Int64) -> "_Pairs":
        return _Pairs(self.i[rows], self.j[rows], self.similarity[rows])

    def __add__(self, other: "_Pairs") -> "_Pairs":
        return _Pairs(
            np.concatenate([self.i, other.i]),
            np.concatenate([self.j, other.j]),
            np.concatenate([self.similarity, other.similarity]),
        )


def merge_while_similar(clusters: Clusters, candidates: Edges, *, min_cosine_similarity: float) -> Int64:
    """Merge the most similar candidates until none is similar enough.

    In each round all pairs that are mutually most similar merge. The mean similarity of a merged cluster
    is computed from the means, so each merge is exact given the candidates: with every pair that reaches
    the limit as candidate the result is average linkage itself.

    Parameters
    ----------
    clusters : Clusters
        Changed in place.
    candidates : Edges
        Between rows of `clusters`, each pair once.
    min_cosine_similarity : float
        Least mean similarity at which two clusters merge.

    Returns
    -------
    int64 array of shape (m,)
        For each cluster given the row of the cluster that it ended in.
    """
    root = np.arange(len(clusters.size))
    keep = candidates.similarity >= min_cosine_similarity
    pairs = _Pairs(
        candidates.i[keep].astype(np.int64), candidates.j[keep].astype(np.int64), candidates.similarity[keep]
    )
    while len(pairs.i):
        chosen = _mutually_best(pairs, len(root))
        into, gone = pairs.i[chosen], pairs.j[chosen]
        pairs = _after_merging(clusters, pairs, into, gone, min_cosine_similarity)
        root[gone] = into
    return _ends(root)


def _mutually_best(pairs: _Pairs, count: int) -> Int64:
    """Pairs in which each is the other's most similar; of equals the first."""
    best = np.full(count, -np.inf, np.float32)
    np.maximum.at(best, pairs.i, pairs.similarity)
    np.maximum.at(best, pairs.j, pairs.similarity)
    mutual = np.flatnonzero(
        (pairs.similarity == best[pairs.i]) & (pairs.similarity == best[pairs.j]),
    )
    i, j = pairs.i[mutual], pairs.j[mutual]
    # Ties are rare, except among copies of a photo: settle them by the lower pair of rows.
    rank = np.empty(len(mutual), np.int64)
    rank[np.lexsort((j, i))] = np.arange(len(mutual))
    first = np.full(count, len(mutual), np.int64)
    np.minimum.at(first, i, rank)
    np.minimum.at(first, j, rank)
    chosen: Int64 = mutual[(first[i] == rank) & (first[j] == rank)]
    return chosen


def _after_merging(
    clusters: Clusters, pairs: _Pairs, into: Int64, gone: Int64, min_cosine_similarity: float
) -> _Pairs:
    """The pairs between the clusters that are left, after merging `gone` into `into`."""
    count = len(clusters.size)
    now = np.arange(count)
    now[gone] = into
    changed = np.zeros(count, bool)
    changed[into] = True
    i, j = now[pairs.i], now[pairs.j]
    touched = changed[i] | changed[j]
    inside = i == j
    old = pairs.take(touched & ~inside)
    low, high = np.minimum(now[old.i], now[old.j]), np.maximum(now[old.i], now[old.j])
    keys, group = np.unique(low * count + high, return_inverse=True)
    weight = clusters.size[old.i] * clusters.size[old.j]
    known = np.bincount(group, weight, minlength=len(keys))
    total = np.bincount(group, weight * old.similarity, minlength=len(keys))
    clusters.merge(into, gone)
    low, high = np.divmod(keys, max(count, 1))
    similarity = (total / np.maximum(known, 1e-300)).astype(np.float32)
    # Where all pairs between the parts were candidates, their weighted mean is the answer already.
    unknown = np.flatnonzero(known < clusters.size[low] * clusters.size[high] * (1 - 1e-9))
    similarity[unknown] = clusters.similarity(low[unknown], high[unknown])
    renewed = _Pairs(low, high, similarity)
    # A pair below the limit never comes back by itself: it can only rise through a third cluster that is
    # a candidate of one of the two and brings the pair along.
    return pairs.take(~touched) + renewed.take(similarity >= min_cosine_similarity)


def _ends(root: Int64) -> Int64:
    """Follow each entry to the one that points to itself."""
    while True:
        further = root[root]
        if np.array_equal(further, root):
            return root
        root = further
