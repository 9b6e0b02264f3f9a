"""Place new faces in the clusters of an HDBSCAN run, without running it again."""

from dataclasses import dataclass

import numpy as np

from facesets.clustering.condensed_tree import densities
from facesets.clustering.engine import on_all_cores
from facesets.clustering.hdbscan import HdbscanResult
from facesets.clustering.vectors import Embeddings, Float32, Float64, Int64, unit_rows

_BLOCK_ROWS = 1024
_FEW = 64


@dataclass(frozen=True, slots=True)
class Prediction:
    """Clusters of new faces.

    Attributes
    ----------
    labels : int64 array of shape (m,)
        Clusters of the run; -1 for noise.
    strength : float64 array of shape (m,)
        Membership, in [0, 1]; 0 for noise.
    """

    labels: Int64
    strength: Float64


def approximate_predict(
    result: HdbscanResult, embeddings: Embeddings, new: Embeddings, *, faces: Int64 | None = None
) -> Prediction:
    """Place new faces in existing clusters; the clusters stay as they are.

    A new face goes where its nearest neighbour by mutual reachability is, at the density at which it
    reaches it.

    Parameters
    ----------
    embeddings : float array of shape (n, d)
        The faces of that run, in its order.
    new : float array of shape (m, d)
    faces : int64 array, optional
        Which faces of the run `embeddings` are, if some were deleted. By default all.

    Raises
    ------
    ValueError
        When embeddings are malformed, differ in dimension, or are not those of the run.
    """
    rows, known = unit_rows(new, name="new"), unit_rows(embeddings)
    there = np.arange(len(result.labels)) if faces is None else faces
    if len(known) != len(there):
        raise ValueError(f"The clustering had {len(there)} faces, not {len(known)}.")
    if known.shape[1] != rows.shape[1]:
        raise ValueError(f"New embeddings have {rows.shape[1]} dimensions, known ones {known.shape[1]}.")
    if len(known) < 2:
        return Prediction(np.full(len(rows), -1, np.int64), np.zeros(len(rows)))

    def search(start: int) -> tuple[Int64, Float32]:
        return _most_reachable(result, rows[start : start + _BLOCK_ROWS] @ known.T, there)

    found = list(on_all_cores(search, range(0, len(rows), _BLOCK_ROWS)))
    neighbour = np.concatenate([np.empty(0, np.int64), *(place for place, _ in found)])
    reach = np.concatenate([np.empty(0, np.float32), *(similarity for _, similarity in found)])
    return _placed(result, there[neighbour], densities(reach.astype(np.float64), result.distance))


def place_by_centroid(
    new: Embeddings,
    centroids: Float32,
    epsilon: Float64,
    *,
    default_cosine_distance: float = 0.45,
    max_cosine_distance: float = 1.0,
) -> Int64:
    """Find for each face the nearest cluster with a near enough centroid; -1 for none.

    Parameters
    ----------
    new : float array of shape (m, d)
    centroids : float32 array of shape (k, d)
        Of unit length; a row of zeros is near to no face.
    epsilon : float64 array of shape (k,)
        The straight line between unit vectors that counts as near enough; NaN where none is known.
    default_cosine_distance : float
        Cosine distance that counts as near enough there.
    max_cosine_distance : float
        Cosine distance beyond which nothing counts as near enough.

    Raises
    ------
    ValueError
        When the embeddings are malformed (see `unit_rows`).
    """
    rows = unit_rows(new, name="new")
    found = np.full(len(rows), -1, np.int64)
    if not len(centroids):
        return found
    reach = np.where(np.isnan(epsilon), default_cosine_distance, np.square(epsilon) / 2.0)
    least = (1.0 - np.minimum(reach, max_cosine_distance)).astype(np.float32)
    for start in range(0, len(rows), _BLOCK_ROWS):
        similarity = rows[start : start + _BLOCK_ROWS] @ centroids.T
        similarity[(similarity < least) | (similarity <= 0)] = -np.inf
        best = similarity.argmax(axis=1)
        near = np.isfinite(similarity[np.arange(len(best)), best])
        found[start : start + _BLOCK_ROWS] = np.where(near, best, -1)
    return found


def _most_reachable(result: HdbscanResult, similarity: Float32, there: Int64) -> tuple[Int64, Float32]:
    """Find the best neighbour of each row by mutual reachability, and that; overwrites the similarities."""
    count = min(2 * result.min_samples, similarity.shape[1])
    near, values = _nearest(similarity, count)
    rank = min(result.min_samples, count) - 1
    own_core = values[:, rank : rank + 1]
    reach = np.minimum(np.minimum(values, own_core), result.core_similarity[there[near]])
    best = np.lexsort((near, -reach), axis=1)[:, :1]
    return np.take_along_axis(near, best, 1)[:, 0], np.take_along_axis(reach, best, 1)[:, 0]


def _nearest(similarity: Float32, count: int) -> tuple[Int64, Float32]:
    """Find the most similar columns of each row, the best first, and their similarities."""
    # Repeatedly looking for the best is many times faster than sorting, as long as few are wanted.
    if count > _FEW:
        near = np.argsort(-similarity, axis=1, kind="stable")[:, :count]
        return near, np.take_along_axis(similarity, near, axis=1)
    rows = np.arange(len(similarity))
    near, values = np.empty((len(rows), count), np.int64), np.empty((len(rows), count), np.float32)
    for place in range(count):
        near[:, place] = similarity.argmax(axis=1)
        values[:, place] = similarity[rows, near[:, place]]
        similarity[rows, near[:, place]] = -np.inf
    return near, values


def _placed(result: HdbscanResult, neighbour: Int64, density: Float64) -> Prediction:
    tree = result.tree
    n, clusters = tree.points, tree.cluster_count
    is_cluster = tree.child >= n
    birth, above = np.zeros(clusters), np.zeros(clusters, np.int64)
    birth[tree.child[is_cluster] - n] = tree.density[is_cluster]
    above[tree.child[is_cluster] - n] = tree.parent[is_cluster] - n
    deepest = np.zeros(clusters)
    np.maximum.at(deepest, tree.parent - n, tree.density)
    home = np.zeros(n, np.int64)
    home[tree.child[~is_cluster]] = tree.parent[~is_cluster] - n
    number = np.full(clusters, -1, np.int64)
    number[result.cluster - n] = np.arange(len(result.cluster))
    # Clusters are numbered downwards, so the chosen one above each is already known.
    chosen = np.where(number >= 0, np.arange(clusters), -1)
    for cluster in range(1, clusters):
        if chosen[cluster] < 0:
            chosen[cluster] = chosen[above[cluster]]
    at = home[neighbour]
    while (higher := (at > 0) & (birth[at] >= density)).any():
        at = np.where(higher, above[at], at)
    ends = chosen[at]
    there = ends >= 0
    labels = np.where(there, number[ends], -1)
    most = np.maximum(deepest[ends], 1e-300)
    return Prediction(labels, np.where(there, np.minimum(density, most) / most, 0.0))
