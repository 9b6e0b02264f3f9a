"""Merge clusters on a graph of candidate pairs, by exact average similarity.

Merges happen in order of similarity, so the graph may be cut level by level: at a level where its
components are small, each component is clustered on a small dense matrix (by the nearest-neighbour chain);
then clusters take the place of their members, pairs between the same two clusters become one, and the next
level is lower. Thus one giant component costs little more than many small ones.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from facesets.clustering.graph import Edges, join_pairs
from facesets.clustering.vectors import Bool, Float32, Float64, Int64

_GATHERED_ROWS = 4096
_LARGEST_PIECE = 3000
"""Maximum nodes of a component for which a dense matrix is cheap and stays near the processor's cache."""

_MIN_PIECE = 12
"""Smaller components are merged all together, in rounds."""

_LEVEL_STEP = 0.03
_SUMMED_PAIRS = 1_000_000
"""Pairs summed at a time, so that intermediate values take little memory."""

_NEVER = np.float32(-np.inf)


@dataclass(slots=True)
class Clusters:
    """Means and sizes of clusters for average linkage; changed in place as they merge.

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
        """Make each face a cluster of its own; owns the array from then on."""
        return cls(rows, np.ones(len(rows)))

    def merge(self, into: Int64, absorbed: Int64) -> None:
        """Add clusters `absorbed` to clusters `into`; none of `absorbed` is among `into`."""
        order = np.argsort(into, kind="stable")
        into, absorbed = into[order], absorbed[order]
        starts = np.flatnonzero(np.r_[True, into[1:] != into[:-1]]) if len(into) else into
        target = into[starts]
        ends = np.r_[starts[1:], len(into)]
        # A few targets at a time, so that the gathered members stay small.
        first = 0
        while first < len(target):
            most = np.searchsorted(ends, starts[first] + _GATHERED_ROWS, side="right")
            last = max(first + 1, int(most))
            members = absorbed[starts[first] : ends[last - 1]]
            weighted = self.mean[members] * self.size[members, None].astype(np.float32)
            here = target[first:last]
            sums = np.add.reduceat(weighted, starts[first:last] - starts[first], axis=0)
            sums += self.mean[here] * self.size[here, None].astype(np.float32)
            size = np.add.reduceat(self.size[members], starts[first:last] - starts[first])
            self.size[here] += size
            self.mean[here] = sums / self.size[here, None].astype(np.float32)
            first = last

    def similarity(self, i: Int64, j: Int64) -> Float32:
        """Compute the mean cosine similarity between the members of two clusters, pair by pair."""
        result = np.empty(len(i), np.float32)
        for start in range(0, len(i), _GATHERED_ROWS):
            span = slice(start, start + _GATHERED_ROWS)
            result[span] = np.einsum("ij,ij->i", self.mean[i[span]], self.mean[j[span]])
        return result


def merge_while_similar(
    clusters: Clusters, candidates: Edges, *, min_cosine_similarity: float, forbidden: Int64 | None = None
) -> Int64:
    """Merge the most similar candidates until none is similar enough.

    The mean similarity of merged clusters is computed from their means, so each merge is exact given the
    candidates: with every pair that reaches the limit as candidate the result is average linkage itself.

    Parameters
    ----------
    clusters : Clusters
        Changed in place.
    candidates : Edges
        Between rows of `clusters`, each pair once.
    min_cosine_similarity : float
        Least mean similarity at which two clusters merge.
    forbidden : int64 array of shape (c, 2), optional
        Rows of `clusters` that must not end in one cluster. Such pairs count as infinitely far apart,
        which keeps the linkage reducible.

    Returns
    -------
    int64 array of shape (m,)
        For each cluster given the row of the cluster that it ended in. Only such rows of `clusters` are
        meaningful afterwards.
    """
    root = np.arange(len(clusters.size))
    pairs = candidates.take(candidates.similarity >= min_cosine_similarity)
    barred = np.empty((0, 2), np.int64) if forbidden is None else forbidden
    pairs = _allowed(pairs, barred, len(root))
    while len(pairs):
        part, level = _small_components(pairs, len(root), min_cosine_similarity)
        size = clusters.size.copy()
        if level is None:
            now = _merge_mutually_best(clusters, pairs, len(root))
        else:
            now = _merge_components(clusters, pairs, part, level, barred)
        root = now[root]
        if level is not None and level <= min_cosine_similarity:
            break
        pairs = between_clusters(clusters, pairs, now, size, min_cosine_similarity)
        barred = now[barred]
        pairs = _allowed(pairs, barred, len(root))
    return root


def _allowed(pairs: Edges, barred: Int64, count: int) -> Edges:
    """Return the pairs that are not barred."""
    if not len(barred) or not len(pairs):
        return pairs
    keys = np.unique(barred.min(axis=1) * count + barred.max(axis=1))
    low, high = np.minimum(pairs.i, pairs.j).astype(np.int64), np.maximum(pairs.i, pairs.j)
    return pairs.take(~np.isin(low * count + high, keys))


def _small_components(pairs: Edges, count: int, lowest: float) -> tuple[Int64, float | None]:
    """Find components at the lowest level where none is too large, and that level; None if all fit."""
    part = np.arange(count)
    reached = None
    high = np.inf
    top = int((float(pairs.similarity.max()) - lowest) / _LEVEL_STEP)
    for step in range(top, -1, -1):
        level = lowest + step * _LEVEL_STEP
        band = np.flatnonzero((pairs.similarity >= level) & (pairs.similarity < high))
        i, j = part[pairs.i[band]], part[pairs.j[band]]
        apart = i != j
        joined = join_pairs(count, i[apart], j[apart])[part]
        if np.bincount(joined).max() > _LARGEST_PIECE:
            break
        part, reached, high = joined, level, level
    return part, reached


def _merge_components(clusters: Clusters, pairs: Edges, part: Int64, level: float, barred: Int64) -> Int64:
    """Cluster each component down to a level; return where each cluster went."""
    size = np.bincount(part)[part]
    small = size <= _MIN_PIECE
    strong = pairs.take(small[pairs.i] & (pairs.similarity >= level))
    now = _merge_in_rounds(clusters, strong, level, barred)
    within = barred[part[barred[:, 0]] == part[barred[:, 1]]]
    within = within[np.argsort(part[within[:, 0]], kind="stable")]
    where = part[within[:, 0]]
    for piece in _members(part, ~small):
        mean = clusters.mean[piece]
        matrix = mean @ mean.T
        here = slice(*np.searchsorted(where, [part[piece[0]], part[piece[0]] + 1]))
        i, j = np.searchsorted(piece, within[here].T)
        matrix[i, j] = matrix[j, i] = -np.inf
        now[piece] = piece[_merge_in_matrix(matrix, clusters.size[piece], level)]
    absorbed = np.flatnonzero((now != np.arange(len(now))) & ~small)
    clusters.merge(now[absorbed], absorbed)
    return now


def _members(part: Int64, wanted: Bool) -> list[Int64]:
    """Yield the members of each wanted component."""
    member = np.flatnonzero(wanted)
    member = member[np.argsort(part[member], kind="stable")]
    if not len(member):
        return []
    return np.split(member, np.flatnonzero(part[member][1:] != part[member][:-1]) + 1)


def _merge_in_rounds(clusters: Clusters, pairs: Edges, level: float, barred: Int64) -> Int64:
    """Merge all pairs that are mutually most similar, again and again."""
    root = np.arange(len(clusters.size))
    while len(pairs):
        size = clusters.size.copy()
        now = _merge_mutually_best(clusters, pairs, len(root))
        root = now[root]
        pairs = between_clusters(clusters, pairs, now, size, level)
        barred = now[barred]
        pairs = _allowed(pairs, barred, len(root))
    return root


def _merge_mutually_best(clusters: Clusters, pairs: Edges, count: int) -> Int64:
    """Merge pairs in which each is the other's most similar; of equals the first."""
    best = np.full(count, -np.inf, np.float32)
    np.maximum.at(best, pairs.i, pairs.similarity)
    np.maximum.at(best, pairs.j, pairs.similarity)
    mutual = (pairs.similarity == best[pairs.i]) & (pairs.similarity == best[pairs.j])
    i, j = pairs.i[mutual].astype(np.int64), pairs.j[mutual].astype(np.int64)
    # Ties are rare, except among copies of a photo: settle them by the lower pair of rows.
    rank = np.empty(len(i), np.int64)
    rank[np.lexsort((j, i))] = np.arange(len(i))
    first = np.full(count, len(i), np.int64)
    np.minimum.at(first, i, rank)
    np.minimum.at(first, j, rank)
    chosen = (first[i] == rank) & (first[j] == rank)
    now = np.arange(count)
    now[j[chosen]] = i[chosen]
    clusters.merge(i[chosen], j[chosen])
    return now


def between_clusters(clusters: Clusters, pairs: Edges, now: Int64, size: Float64, lowest: float) -> Edges:
    """Return the pairs between the clusters that remain after a merge, if similar enough.

    A pair that falls below the limit never comes back by itself: it can only rise through a third cluster
    that is a candidate of one of the two, merges with the other, and brings the pair along.

    Parameters
    ----------
    now : int64 array of shape (m,)
        Where each cluster went.
    size : float64 array of shape (m,)
        Sizes before the merge.
    """
    from scipy.sparse import coo_array

    count = len(now)
    changed = np.zeros(count, bool)
    changed[now[now != np.arange(count)]] = True
    untouched, sums = [], None
    for start in range(0, len(pairs), _SUMMED_PAIRS):
        some = pairs.span(start, start + _SUMMED_PAIRS)
        i, j = now[some.i], now[some.j]
        touched = changed[i] | changed[j]
        untouched.append(some.take(~touched))
        old = np.flatnonzero(touched & (i != j))
        weight = size[some.i[old]] * size[some.j[old]]
        # Sparse matrices sum values at one place without sorting all; a complex number is two sums.
        both = weight + 1j * (weight * some.similarity[old])
        ends = np.minimum(i[old], j[old]), np.maximum(i[old], j[old])
        more = coo_array((both, ends), shape=(count, count)).tocsr()
        sums = more if sums is None else sums + more
    if sums is None:
        return pairs
    found = sums.tocoo()
    low, high = found.row.astype(np.int64), found.col.astype(np.int64)
    known, total = found.data.real, found.data.imag
    similarity = (total / known).astype(np.float32)
    # If all pairs between the parts were candidates, their weighted mean is exact.
    unknown = np.flatnonzero(known < clusters.size[low] * clusters.size[high] * (1 - 1e-9))
    similarity[unknown] = clusters.similarity(low[unknown], high[unknown])
    similar = similarity >= lowest
    merged = Edges(low[similar].astype(np.int32), high[similar].astype(np.int32), similarity[similar])
    return Edges.concatenate([*untouched, merged])


def _merge_in_matrix(similarity: Float32, size: Float64, min_similarity: float) -> Int64:
    """Merge at most a few thousand clusters by average linkage, cut at a mean similarity.

    A cluster is finished if its most similar one lies below the cut, and then affects no other:
    linkage is reducible, so nothing that forms later can come closer.

    Parameters
    ----------
    similarity : float32 array of shape (m, m)
        Mean similarities, symmetric; -inf for two that must never merge. Overwritten.
    size : float64 array of shape (m,)

    Returns
    -------
    int64 array of shape (m,)
        For each cluster the lowest row among those that it merged with.

    References
    ----------
    Murtagh, "A survey of recent advances in hierarchical clustering algorithms", 1983.
    """
    root = np.arange(len(size))
    np.fill_diagonal(similarity, _NEVER)
    _Chain(similarity, size.tolist(), root, min_similarity).run()
    while not np.array_equal(root, root[root]):
        root = root[root]
    return root


class _Chain:
    def __init__(self, similarity: Float32, size: list[float], root: Int64, limit: float) -> None:
        self._similarity = similarity
        self._size = size
        self._root = root
        self._limit = limit
        self._name = np.arange(len(size))
        self._buffer = np.empty(len(size), np.float32)

    def run(self) -> None:
        waiting = list(range(len(self._size) - 1, -1, -1))
        open_rows = len(waiting)
        alive = [True] * open_rows
        chain: list[int] = []
        while True:
            if not chain:
                while waiting and not alive[waiting[-1]]:
                    waiting.pop()
                if not waiting:
                    return
                chain.append(waiting[-1])
            tip = chain[-1]
            row = self._similarity[tip]
            best = int(row.argmax())
            value = row[best]
            if value < self._limit:
                alive[tip] = False
                self._similarity[:, tip] = _NEVER
                chain.pop()
            elif len(chain) > 1 and row[chain[-2]] >= value:
                into, absorbed = sorted((tip, chain[-2]))
                self._merge(into, absorbed)
                alive[absorbed] = False
                del chain[-2:]
            else:
                chain.append(best)

    def _merge(self, into: int, absorbed: int) -> None:
        total = self._size[into] + self._size[absorbed]
        row, buffer = self._similarity[into], self._buffer
        np.multiply(self._similarity[absorbed], np.float32(self._size[absorbed] / total), out=buffer)
        row *= np.float32(self._size[into] / total)
        row += buffer
        self._similarity[:, into] = row
        self._similarity[:, absorbed] = _NEVER
        # Each of the two had the other's similarity in its row.
        row[into] = row[absorbed] = _NEVER
        self._size[into] = total
        self._root[self._name[absorbed]] = self._name[into]
