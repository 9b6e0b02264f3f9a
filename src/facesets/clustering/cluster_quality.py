"""How well faces sit in their clusters, and how much two runs agree."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from facesets.clustering.centroids import cluster_sums
from facesets.clustering.labels import check_labels
from facesets.clustering.vectors import Embeddings, Float32, Float64, Int64, unit_rows

_BLOCK_ROWS = 2048


def silhouettes(embeddings: Embeddings, labels: ArrayLike) -> Float32:
    """Silhouette of each face under cosine distance, exact.

    The mean distance of a face from a cluster is one product with the cluster's mean, so this costs faces
    times clusters, not faces times faces.

    Parameters
    ----------
    embeddings : float array of shape (n, d)
        Scaled to unit length if they are not.
    labels : integers of shape (n,)

    Returns
    -------
    float32 array of shape (n,)
        In [-1, 1]; 0 for a face alone in its cluster or when there is one cluster; NaN for noise.

    Raises
    ------
    ValueError
        When the embeddings are malformed (see `unit_rows`) or labels do not match them.

    References
    ----------
    Rousseeuw, "Silhouettes", Journal of Computational and Applied Mathematics, 1987.
    """
    rows = unit_rows(embeddings)
    given = check_labels(labels, len(rows))
    kept = np.flatnonzero(given >= 0)
    present, label = np.unique(given[kept], return_inverse=True)
    result = np.full(len(rows), np.nan, np.float32)
    if len(present) < 2:
        result[kept] = 0.0
        return result
    sums = cluster_sums(rows[kept], label.astype(np.int64))
    size = np.bincount(label).astype(np.float64)
    for start in range(0, len(kept), _BLOCK_ROWS):
        span = slice(start, start + _BLOCK_ROWS)
        product = rows[kept[span]].astype(np.float64) @ sums.T
        result[kept[span]] = _of_block(product, label[span], size)
    return result


def _of_block(product: Float64, label: Int64, size: Float64) -> Float64:
    own = np.arange(len(label)), label
    others = size[label] - 1
    # Of its own cluster a face leaves itself out: its similarity with itself is 1.
    inside = 1.0 - (product[own] - 1.0) / np.maximum(others, 1)
    distance = 1.0 - product / size
    distance[own] = np.inf
    outside = distance.min(axis=1)
    value = (outside - inside) / np.maximum(np.maximum(inside, outside), 1e-12)
    return np.where(others > 0, value, 0.0)


@dataclass(frozen=True, slots=True)
class Stability:
    """How the clusters of one run appear in another.

    Attributes
    ----------
    best_match : int64 array of shape (k,)
        For each cluster of the first run the one of the second that it overlaps most; -1 for none.
    jaccard : float64 array of shape (k,)
        Shared faces over all faces of the two; 1 when the cluster is unchanged.
    """

    best_match: Int64
    jaccard: Float64


def stability(before: ArrayLike, after: ArrayLike) -> Stability:
    """Find each cluster of one run in another run over the same faces.

    Parameters
    ----------
    before, after : integers of shape (n,)
        Negative ones are noise and match nothing.

    Raises
    ------
    ValueError
        When labels are not integers or differ in number.
    """
    first = check_labels(before, len(np.asarray(before)))
    second = check_labels(after, len(first))
    sizes = np.bincount(first[first >= 0], minlength=int(first.max(initial=-1)) + 1)
    others = np.bincount(second[second >= 0], minlength=int(second.max(initial=-1)) + 1)
    both = (first >= 0) & (second >= 0)
    keys, shared = np.unique(first[both] * max(1, len(others)) + second[both], return_counts=True)
    a, b = np.divmod(keys, max(1, len(others)))
    overlap = shared / (sizes[a] + others[b] - shared)
    order = np.lexsort((-b, overlap, a))
    best, jaccard = np.full(len(sizes), -1, np.int64), np.zeros(len(sizes))
    # The last of each cluster's run in this order is its best; later assignments win.
    best[a[order]], jaccard[a[order]] = b[order], overlap[order]
    return Stability(best, jaccard)
