"""Keeping faces apart where some of what keeps them apart may be wrong.

Two faces in one photo are two people, but for mirrors, collages and pictures in the picture. One such pair
that is taken for two people would keep all that is like the one from all that is like the other.
"""

from collections.abc import Callable, Iterator

import numpy as np

from facesets.clustering.constraints import Groups, Partners
from facesets.clustering.joining import evictions
from facesets.clustering.labels import numbered
from facesets.clustering.vectors import Float32, Int64

MOST_INTRUDERS = 0.25
"""Where more of a cluster's faces cannot be with the others, it is two people."""


def kept_apart_leniently(
    rows: Float32,
    merged: Int64,
    groups: Groups,
    apart: Partners,
    strictly: Callable[[], Int64],
    *,
    least_likeness: float = 0.0,
) -> Int64:
    """Labels of clusters merged freely, less the faces that must not be where they are.

    A few such faces leave their cluster, the least central ones; a cluster that would lose many is two
    people, and is merged again, strictly. Thus one wrong pair costs a face and not half a person.

    Parameters
    ----------
    rows, groups, apart
        As those of `evictions`.
    merged : int64 array of shape (n,)
        From 0, without noise; faces that must be together are.
    strictly : callable
        Labels when what must be apart never merges; called where it is needed.
    least_likeness : float
        A cluster is also merged strictly if the two largest parts of it that this makes are less similar to
        each other than by this share of what either is in itself. Two parts of one person differ little.
    """
    evicted = evictions(rows, merged, groups, apart)
    if not len(evicted):
        return numbered(merged)
    tied = np.bincount(groups.group, minlength=len(rows))[groups.group] > 1
    size = np.bincount(merged)
    lost = np.bincount(merged[evicted], minlength=len(size))
    twofold = lost > MOST_INTRUDERS * size
    twofold[merged[evicted[tied[evicted]]]] = True
    strict = strictly() if least_likeness or twofold.any() else merged
    if least_likeness:
        for cluster, members in _members(merged, np.flatnonzero((lost > 0) & ~twofold)):
            twofold[cluster] = _likeness(rows, members, strict[members]) < least_likeness
    count, labels = len(merged), merged.copy()
    labels[evicted] = count + evicted
    again = twofold[merged]
    labels[again] = 2 * count + merged[again] * count + strict[again]
    return numbered(labels)


def _members(labels: Int64, wanted: Int64) -> Iterator[tuple[int, Int64]]:
    """Some clusters (ascending), each with its rows."""
    order = np.argsort(labels, kind="stable")
    start = np.searchsorted(labels[order], wanted)
    end = np.searchsorted(labels[order], wanted, side="right")
    for cluster, first, last in zip(wanted.tolist(), start.tolist(), end.tolist(), strict=True):
        yield cluster, order[first:last]


def _likeness(rows: Float32, members: Int64, part: Int64) -> float:
    """Mean similarity between the two largest parts, as a share of the lesser one within them.

    0 where there are no two parts of several faces: then strictness tears nothing.
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
