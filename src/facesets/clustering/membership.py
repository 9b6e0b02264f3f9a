"""Let faces join a cluster by its centroid, and leave it because of constraints.

Two faces in one photo are two people, except in mirrors, collages and pictures in the picture. One such pair
that is taken for two people would keep all that is like the one from all that is like the other.
"""

from collections.abc import Callable, Iterator

import numpy as np

from facesets.clustering.centroids import unit_centers
from facesets.clustering.constraints import Groups, Partners, same_image_pairs
from facesets.clustering.engine import IN_PROCESS, Engine
from facesets.clustering.labels import numbered
from facesets.clustering.vectors import Float32, Float64, Int64, Rows

_BLOCK_ROWS = 4096
MAX_INTRUDERS = 0.25
"""A cluster is two people if a larger share of its faces cannot be with the others."""


def join_anchors(
    rows: Float32,
    labels: Int64,
    loose: Int64,
    anchors: Int64,
    *,
    min_cosine_similarity: Float64,
    apart: Partners,
    engine: Engine = IN_PROCESS,
) -> Int64:
    """Give loose faces the label of the anchor whose centroid is most similar; changes `labels`.

    Parameters
    ----------
    rows : float32 array of shape (n, d)
        Unit length.
    labels : int64 array of shape (n,)
        No noise. Changed in place.
    loose : int64 array of shape (m,)
        Rows of faces that may join.
    anchors : int64 array of shape (k,)
        Labels of clusters that may be joined, ascending.
    min_cosine_similarity : float64 array of shape (m,)
        Of each loose face with a centroid that it may join.
    apart : Partners
        Rows that must not share a label. The more similar face goes first.
    engine : Engine
        What compares.

    Returns
    -------
    int64 array of shape (j,)
        Rows of the faces that joined.
    """
    elsewhere = ~np.isin(labels[loose], anchors)
    loose, least = loose[elsewhere], min_cosine_similarity[elsewhere]
    if not len(anchors) or not len(loose):
        return np.empty(0, np.int64)
    center = unit_centers(rows, labels, anchors)
    best, similarity = nearest_centers(rows, center, loose, engine)
    near = np.flatnonzero(similarity >= least)
    near = near[np.lexsort((loose[near], -similarity[near]))]
    return place_in_turn(labels, loose[near], anchors[best[near]], apart)


def nearest_centers(rows: Rows, center: Float32, face: Int64, engine: Engine) -> tuple[Int64, Float32]:
    """Find for each face the most similar center, and its similarity."""
    blocks = (face[start : start + _BLOCK_ROWS] for start in range(0, len(face), _BLOCK_ROWS))
    found = list(engine.each(_most_similar, (rows, center), blocks))
    best, similarity = (np.concatenate([each[part] for each in found]) for part in (0, 1))
    return best, similarity


def _most_similar(rows: Rows, center: Rows, face: Int64) -> tuple[Int64, Float32]:
    """Find for some faces the most similar center, and its similarity."""
    mine = rows[face]
    best, similarity = np.zeros(len(face), np.int64), np.full(len(face), -np.inf, np.float32)
    for start in range(0, len(center), _BLOCK_ROWS):
        product = mine @ center[start : start + _BLOCK_ROWS].T
        here = product.argmax(axis=1)
        value = product[np.arange(len(product)), here]
        closer = value > similarity
        best[closer], similarity[closer] = here[closer] + start, value[closer]
    return best, similarity


def place_in_turn(labels: Int64, face: Int64, target: Int64, apart: Partners) -> Int64:
    """Move faces to their targets in order, except into a cluster with a face that they cannot join.

    Changes `labels`; returns the faces that were moved.
    """
    bound = apart.has_any(face)
    labels[face[~bound]] = target[~bound]
    joined = [face[~bound]]
    for one, cluster in zip(face[bound].tolist(), target[bound].tolist(), strict=True):
        if not (labels[apart.of(one)] == cluster).any():
            labels[one] = cluster
            joined.append(np.array([one]))
    return np.concatenate(joined)


def _evictions(rows: Float32, labels: Int64, groups: Groups, apart: Partners) -> Int64:
    """Find the least central faces that must leave their clusters, so that none breaks a constraint.

    Parameters
    ----------
    rows : float32 array of shape (n, d)
        Unit length.
    labels : int64 array of shape (n,)
        From 0, without noise.
    apart : Partners
        Of `groups.forbidden`.

    Returns
    -------
    int64 array of shape (e,)
        Ascending rows, each that of its must-link group's lowest face.
    """
    first, second = groups.forbidden.T
    clash = labels[first] == labels[second]
    bound = np.unique(groups.forbidden[clash])
    if not len(bound):
        return bound
    wanted, place = np.unique(labels[bound], return_inverse=True)
    center = unit_centers(rows, labels, wanted)
    central = np.einsum("ij,ij->i", rows[bound], center[place])
    admitted = np.zeros(len(rows), bool)
    for one in bound[np.lexsort((bound, -central))].tolist():
        others = apart.of(one)
        admitted[one] = not (admitted[others] & (labels[others] == labels[one])).any()
    leaving: Int64 = bound[~admitted[bound]]
    return leaving


def separate_leniently(
    rows: Float32,
    merged: Int64,
    groups: Groups,
    apart: Partners,
    strictly: Callable[[], Int64],
    *,
    min_similarity_ratio: float = 0.0,
) -> Int64:
    """Return labels of clusters merged freely, without the faces that break constraints.

    A few such faces leave their cluster, the least central ones; a cluster that would lose many is two
    people, and is merged again, strictly. Thus one wrong pair costs a face and not half a person.

    Parameters
    ----------
    rows, groups, apart
        As those of `_evictions`.
    merged : int64 array of shape (n,)
        From 0, without noise; faces that must be together are.
    strictly : callable
        Returns labels from merging that never joins what must be apart; called only if needed.
    min_similarity_ratio : float
        A cluster is also merged strictly if the mutual similarity of the two largest resulting parts is less
        than this share of the similarity within either. Two parts of one person differ little.
    """
    evicted = _evictions(rows, merged, groups, apart)
    if not len(evicted):
        return numbered(merged)
    tied = np.bincount(groups.group, minlength=len(rows))[groups.group] > 1
    size = np.bincount(merged)
    lost = np.bincount(merged[evicted], minlength=len(size))
    twofold = lost > MAX_INTRUDERS * size
    twofold[merged[evicted[tied[evicted]]]] = True
    strict = strictly() if min_similarity_ratio or twofold.any() else merged
    if min_similarity_ratio:
        for cluster, members in _members(merged, np.flatnonzero((lost > 0) & ~twofold)):
            twofold[cluster] = _similarity_to(rows, members, strict[members]) < min_similarity_ratio
    count, labels = len(merged), merged.copy()
    labels[evicted] = count + evicted
    again = twofold[merged]
    labels[again] = 2 * count + merged[again] * count + strict[again]
    return numbered(labels)


def _members(labels: Int64, wanted: Int64) -> Iterator[tuple[int, Int64]]:
    """Yield some clusters (ascending), each with its rows."""
    order = np.argsort(labels, kind="stable")
    start = np.searchsorted(labels[order], wanted)
    end = np.searchsorted(labels[order], wanted, side="right")
    for cluster, first, last in zip(wanted.tolist(), start.tolist(), end.tolist(), strict=True):
        yield cluster, order[first:last]


def _similarity_to(rows: Float32, members: Int64, part: Int64) -> float:
    """Compute the mean similarity between the two largest parts, relative to the lower one within them.

    0 if there are no two parts of several faces, which strict merging would not separate.
    """
    number, size = np.unique(part, return_counts=True)
    largest = np.lexsort((number, -size))[:2]
    if len(largest) < 2 or size[largest[1]] < 2:
        return 0.0
    sums = [rows[members[part == number[each]]].sum(axis=0, dtype=np.float64) for each in largest]
    counts = size[largest].tolist()
    within = min((each @ each - n) / (n * (n - 1)) for each, n in zip(sums, counts, strict=True))
    between = (sums[0] @ sums[1]) / (counts[0] * counts[1])
    return float(between / within) if within > 0 else 1.0


def leave_clusters(rows: Float32, labels: Int64, apart: Int64) -> Int64:
    """Find the faces that must leave their cluster because it has a more central one of their image.

    Parameters
    ----------
    rows : float32 array of shape (n, d)
        Unit length.
    labels : int64 array of shape (n,)
        Negative for none.
    apart : int64 array of shape (m, 2)
        Pairs of faces that are two people.

    Returns
    -------
    int64 array of shape (k,)
        Ascending rows.
    """
    inside = apart[(labels[apart[:, 0]] == labels[apart[:, 1]]) & (labels[apart[:, 0]] >= 0)]
    if not len(inside):
        return np.empty(0, np.int64)
    some, place = np.unique(inside, return_inverse=True)
    wanted, of = np.unique(labels[some], return_inverse=True)
    centrality = np.einsum("ij,ij->i", rows[some], unit_centers(rows, labels, wanted)[of])
    leaving: set[int] = set()
    for first, second in place.reshape(-1, 2).tolist():
        if leaving.isdisjoint((first, second)):
            leaving.add(first if centrality[first] < centrality[second] else second)
    return some[sorted(leaving)]


def leave_clashing(rows: Float32, image: Int64, before: Int64, after: Int64) -> Int64:
    """Find the faces that cannot join a cluster because another face in their image has it.

    A face that was the person's before stays; of others the one more similar to the person's faces.

    Parameters
    ----------
    rows : float32 array of shape (n, d)
        Unit length.
    image : int64 array of shape (n,)
    before, after : int64 arrays of shape (n,)
        Person of each face before and after; negative for unassigned ones.

    Returns
    -------
    int64 array of shape (m,)
        Ascending rows.
    """
    given = (after != before) & (after >= 0)
    some = np.flatnonzero((after >= 0) & np.isin(image, np.unique(image[given])))
    if not len(some):
        return some
    pairs = some[same_image_pairs(rows[some], image[some]).cannot_link]
    pairs = pairs[(after[pairs[:, 0]] == after[pairs[:, 1]]) & given[pairs].any(axis=1)]
    weight = dict.fromkeys(np.unique(pairs).tolist(), np.inf)
    for row in [row for row in weight if given[row]]:
        theirs = rows[(after == after[row]) & (before == after[row])]
        weight[row] = float(rows[row] @ theirs.mean(axis=0)) if len(theirs) else 0.0
    leaving: set[int] = set()
    for first, second in pairs.tolist():
        if leaving.isdisjoint((first, second)):
            leaving.add(first if weight[first] < weight[second] else second)
    return np.array(sorted(leaving), np.int64)
