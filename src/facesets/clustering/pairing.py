"""Cluster faces of recognizers that find strangers similar, so that one pair proves little.

How similar two faces must be depends on what else is there. Among many strangers a similar pair is rather
one of theirs; where people have two photos each, it is rather one person's. The library itself tells
which: how many pairs are beyond doubt, and how many faces are left that chance may bring together.

1. Certain cores: average linkage.
2. Clusters with many pairs between them go on merging: their mean says more than one pair does. Those with
   few pairs do so from a similarity that follows from the numbers of small and of larger clusters.
3. Faces that are alone, or in twos, are paired again, the most similar first, as long as such a pair is
   rather one person's than two strangers'.
4. The second step once more.
"""

from collections.abc import Callable

import numpy as np

from facesets.clustering.calibration import Calibration
from facesets.clustering.centroids import cluster_means
from facesets.clustering.constraints import Groups
from facesets.clustering.graph import Edges
from facesets.clustering.known_recognizers import PairModel
from facesets.clustering.labels import numbered
from facesets.clustering.linkage import Clusters, between_clusters, merge_while_similar
from facesets.clustering.vectors import Bool, Float32, Float64, Int64

_MANY_PAIRS = 6
_SHARE_OF_PEOPLE = 0.3
"""Ratio of strangers' clusters that meet by chance to clusters of three or more faces, at which a match is as
likely one person.
"""

_SURE = 0.8
_STEP = 0.005

Separate = Callable[[Int64, Callable[[], Int64]], Int64]
"""From freely merged labels and a function that merges strictly, return labels that break no constraint."""


def group_by_pairs(
    rows: Float32,
    cores: Int64,
    edges: Edges,
    groups: Groups,
    measured: Calibration,
    model: PairModel,
    separate: Separate,
) -> tuple[Int64, Bool, float]:
    """Group faces when certain cores are known.

    Parameters
    ----------
    rows : float32 array of shape (n, d)
        Unit length.
    cores : int64 array of shape (n,)
        Numbered labels, without noise.
    edges : Edges
        Pairs of rows that reach `measured.link`, as far as they are candidates.
    model : PairModel
        The calibration's.

    Returns
    -------
    labels : int64 array of shape (n,)
    core : bool array of shape (n,)
        Faces that are with those of their certain core.
    pair_cut : float
        Above this similarity two faces without other similar faces count as one person.
    """
    few = few_pairs_cut(np.bincount(cores), model, measured.link, measured.core)

    def merged(labels: Int64) -> Int64:
        for cut, min_pairs in ((measured.link, _MANY_PAIRS), (few, 2)):
            labels = _merged_on(rows, labels, edges, groups, separate, cut, min_pairs)
        return labels

    labels = merged(cores)
    tied = np.bincount(groups.group, minlength=len(rows))[groups.group] > 1
    small = (np.bincount(labels)[labels] <= 2) & ~tied
    similarity, pairs = matched(_allowed(edges.take(small[edges.i] & small[edges.j]), groups, len(rows)))
    cut = pair_cut(similarity, int(small.sum()), model, measured.link)
    alone = len(rows) + np.arange(len(rows))
    labels = np.where(small, alone, labels)
    i, j = pairs[similarity >= cut].T
    labels[j] = labels[i]
    labels = merged(numbered(labels))
    return labels, _still_together(cores, labels), cut


def few_pairs_cut(size: Int64, model: PairModel, lowest: float, highest: float) -> float:
    """Return the mean similarity above which two clusters with few pairs between them are one person.

    Parameters
    ----------
    size : int64 array of shape (k,)
        Of all clusters.
    lowest, highest : float
        Within which the cut lies.
    """
    of_size = np.bincount(size, minlength=_MANY_PAIRS)[:_MANY_PAIRS].astype(np.float64)
    meetings = np.outer(of_size, of_size)
    np.fill_diagonal(meetings, of_size * (of_size - 1))
    faces = np.arange(_MANY_PAIRS)
    between = np.outer(faces, faces)
    chances = float(meetings[(between >= 2) & (between < _MANY_PAIRS)].sum()) / 2
    people = 1 + int((size > 2).sum())
    if not chances:
        return lowest
    return float(np.clip(model.reached_by(_SHARE_OF_PEOPLE * people / chances), lowest, highest))


def pair_cut(similarity: Float64, faces: int, model: PairModel, lowest: float) -> float:
    """Return the similarity above which a pair is rather one person's than strangers'.

    The pairs above each similarity, less those due to chance, tell how many people there are with two
    faces, and so how many more such pairs are to be expected below; the faces that are left tell how
    many pairs of strangers are.

    Parameters
    ----------
    similarity : float64 array of shape (p,)
        Of pairs that have no face in common, falling.
    faces : int
        Of which these pairs were made.
    lowest : float
        The least cut.
    """
    cut = 1.0
    for step in range(int((_SURE - lowest) / _STEP) + 1):
        here = _SURE - step * _STEP
        found = int((similarity >= here).sum())
        reach, density = model.one_person(here)
        chance, chance_density = model.strangers(here)
        people = 1.0 + max(0.0, found - faces**2 / 2 * chance) / reach
        left = max(1, faces - 2 * found)
        if people * density < left**2 / 2 * chance_density:
            break
        cut = here
    return cut


def matched(edges: Edges) -> tuple[Float64, Int64]:
    """Match pairs without a common face: the most similar first, then the most similar of the rest.

    Returns
    -------
    similarity : float64 array of shape (p,)
        Falling.
    pairs : int64 array of shape (p, 2)
    """
    order = np.lexsort((np.maximum(edges.i, edges.j), np.minimum(edges.i, edges.j), -edges.similarity))
    i, j = edges.i[order].astype(np.int64), edges.j[order].astype(np.int64)
    similarity = edges.similarity[order].astype(np.float64)
    left, chosen = np.arange(len(order)), [np.empty(0, np.int64)]
    count = int(max(i.max(initial=-1), j.max(initial=-1))) + 1
    while len(left):
        first = np.full(count, len(order))
        np.minimum.at(first, i[left], left)
        np.minimum.at(first, j[left], left)
        best = left[(first[i[left]] == left) & (first[j[left]] == left)]
        chosen.append(best)
        taken = np.zeros(count, bool)
        taken[i[best]] = taken[j[best]] = True
        left = left[~taken[i[left]] & ~taken[j[left]]]
    pairs = np.sort(np.concatenate(chosen))
    return similarity[pairs], np.stack([i[pairs], j[pairs]], axis=1)


def _merged_on(
    rows: Float32,
    labels: Int64,
    edges: Edges,
    groups: Groups,
    separate: Separate,
    cut: float,
    min_pairs: int,
) -> Int64:
    """Return labels after clusters with at least `min_pairs` pairs continue to merge by average linkage."""
    mean, size = cluster_means(rows, labels), np.bincount(labels).astype(np.float64)
    clusters = Clusters(mean, size)
    near = between_clusters(clusters, edges, labels, np.ones(len(rows)), cut)
    near = near.take(size[near.i] * size[near.j] >= min_pairs)

    def merged(forbidden: Int64) -> Int64:
        ended = merge_while_similar(
            Clusters(mean.copy(), size.copy()), near, min_cosine_similarity=cut, forbidden=forbidden
        )
        return numbered(ended[labels])

    def strictly() -> Int64:
        return merged(np.unique(np.sort(labels[groups.forbidden], axis=1), axis=0))

    return separate(merged(groups.forbidden[:0]), strictly)


def _allowed(edges: Edges, groups: Groups, count: int) -> Edges:
    """Return the edges between faces that may be together."""
    low, high = np.sort(groups.forbidden, axis=1).T
    i, j = np.minimum(edges.i, edges.j).astype(np.int64), np.maximum(edges.i, edges.j)
    return edges.take(~np.isin(i * count + j, low * count + high))


def _still_together(cores: Int64, labels: Int64) -> Bool:
    """Find faces of cores that are still with another face of their core."""
    both = np.unique(cores * len(labels) + labels, return_inverse=True)[1]
    together: Bool = np.bincount(both)[both] > 1
    return together
