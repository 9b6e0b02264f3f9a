"""Of two faces in one image only one is given to a person."""

import numpy as np

from facesets.clustering.centroids import unit_centres
from facesets.clustering.same_image import same_image_pairs
from facesets.clustering.vectors import Float32, Int64

_NOBODY = -1


def leave_clusters(rows: Float32, labels: Int64, apart: Int64) -> Int64:
    """Find the faces that must leave their cluster, for a more central one there is in their image.

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
    centrality = np.einsum("ij,ij->i", rows[some], unit_centres(rows, labels, wanted)[of])
    leaving: set[int] = set()
    for first, second in place.reshape(-1, 2).tolist():
        if leaving.isdisjoint((first, second)):
            leaving.add(first if centrality[first] < centrality[second] else second)
    return some[sorted(leaving)]


def leave_clashing(rows: Float32, image: Int64, before: Int64, after: Int64) -> Int64:
    """Find the faces that must not be given to whom they would be: another one in their image has them.

    Who was the person's before stays; of others the one more similar to the person's faces.

    Parameters
    ----------
    rows : float32 array of shape (n, d)
        Unit length.
    image : int64 array of shape (n,)
    before, after : int64 arrays of shape (n,)
        Whose each face was and would be; negative for unassigned ones.

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
