"""Centroids and medoids of clusters, and the distances of faces from them."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike

from facesets.clustering.engine import IN_PROCESS, Engine
from facesets.clustering.labels import check_labels, cluster_sizes
from facesets.clustering.vectors import (
    Bool,
    Embeddings,
    Float32,
    Float64,
    Int64,
    check_cosine_distance,
    unit_rows,
)

_BLOCK_ROWS = 8192
_GATHERED_ROWS = 32_768


def centroids(embeddings: Embeddings, labels: ArrayLike) -> Float32:
    """Return the direction of each cluster's mean.

    Parameters
    ----------
    embeddings : float array of shape (n, d)
        Scaled to unit length if they are not.
    labels : integers of shape (n,)
        Clusters 0 … k-1; negative ones are noise and count nowhere.

    Returns
    -------
    float32 array of shape (k, d)
        Row c is the centroid of cluster c, of unit length; zeros for a number that no face has, and for
        members that cancel out.

    Raises
    ------
    ValueError
        When the embeddings are malformed (see `unit_rows`) or labels do not match them.
    """
    rows = unit_rows(embeddings)
    return unit_or_zero(cluster_sums(rows, check_labels(labels, len(rows))))


def cluster_sums(rows: Float32, labels: Int64) -> Float64:
    """Sum the unit rows of each cluster: float64 of shape (k, d)."""
    from scipy.sparse import csr_array

    count = int(labels.max(initial=-1)) + 1
    sums: Float64 = np.zeros((count, rows.shape[1]))
    for start in range(0, len(rows), _BLOCK_ROWS):
        label = labels[start : start + _BLOCK_ROWS]
        member = np.flatnonzero(label >= 0)
        present, local = np.unique(label[member], return_inverse=True)
        if len(present):
            shape = (len(present), len(label))
            picks = csr_array((np.ones(len(member)), (local, member)), shape=shape)
            sums[present] += picks @ rows[start : start + _BLOCK_ROWS].astype(np.float64)
    return sums


def sums_in_parts(rows: Float32, labels: Int64, wanted: Int64) -> Iterator[tuple[Int64, Float64]]:
    """Yield clusters in parts, with the sums of their unit rows, so that memory stays small.

    Parameters
    ----------
    rows : float32 array of shape (n, d)
    labels : int64 array of shape (n,)
    wanted : int64 array of shape (m,)
        Labels that occur, ascending.

    Yields
    ------
    clusters : int64 array of shape (p,)
        The next of `wanted`.
    sums : float64 array of shape (p, d)
    """
    from scipy.sparse import csr_array

    number = np.full(int(labels.max(initial=-1)) + 2, -1, np.int64)
    number[wanted] = np.arange(len(wanted))
    place = number[labels]
    face = np.flatnonzero(place >= 0)
    face = face[np.argsort(place[face], kind="stable")]
    end = np.cumsum(np.bincount(place[face], minlength=len(wanted)))
    first = done = 0
    while first < len(wanted):
        last = max(first + 1, int(np.searchsorted(end, done + _GATHERED_ROWS, side="right")))
        members = face[done : end[last - 1]]
        which = place[members] - first
        shape = (last - first, len(members))
        picks = csr_array((np.ones(len(members)), (which, np.arange(len(members)))), shape=shape)
        yield wanted[first:last], picks @ rows[members].astype(np.float64)
        first, done = last, int(end[last - 1])


def cluster_means(rows: Float32, labels: Int64, engine: Engine = IN_PROCESS) -> Float32:
    """Average the unit rows of each cluster 0 … k-1, all of which occur; not of unit length."""
    size = np.bincount(labels)
    means: Float32 = engine.empty((len(size), rows.shape[1]), np.float32)
    for clusters, sums in sums_in_parts(rows, labels, np.arange(len(size))):
        means[clusters] = sums / size[clusters, None]
    return means


def unit_centers(rows: Float32, labels: Int64, wanted: Int64) -> Float32:
    """Compute centroids of some clusters, of unit length, in the order of `wanted` (ascending)."""
    parts = [unit_or_zero(sums) for _, sums in sums_in_parts(rows, labels, wanted)]
    return np.concatenate(parts) if parts else np.empty((0, rows.shape[1]), np.float32)


def coherence(rows: Float32, labels: Int64) -> tuple[Int64, Float64]:
    """Compute the size of each cluster, and the mean similarity of its pairs (NaN if it has none)."""
    size = np.bincount(labels[labels >= 0]).astype(np.int64)
    inside: Float64 = np.full(len(size), np.nan)
    for clusters, sums in sums_in_parts(rows, labels, np.flatnonzero(size > 1)):
        squared, faces = np.einsum("ij,ij->i", sums, sums), size[clusters]
        inside[clusters] = (squared - faces) / (faces * (faces - 1.0))
    return size, inside


def unit_or_zero(sums: Float64) -> Float32:
    """Scale rows to unit length; rows too short to have a direction become zeros."""
    length = np.sqrt(np.einsum("ij,ij->i", sums, sums))[:, None]
    unit: Float32 = np.divide(sums, length, out=np.zeros_like(sums), where=length > 1e-6).astype(np.float32)
    return unit


def distances_to_centroid(embeddings: Embeddings, labels: ArrayLike) -> Float32:
    """Compute the cosine distance of each face from the centroid of its cluster, itself included.

    Parameters
    ----------
    embeddings : float array of shape (n, d)
        Scaled to unit length if they are not.
    labels : integers of shape (n,)

    Returns
    -------
    float32 array of shape (n,)
        In [0, 2]; NaN for noise.

    Raises
    ------
    ValueError
        When the embeddings are malformed (see `unit_rows`) or labels do not match them.
    """
    rows = unit_rows(embeddings)
    given = check_labels(labels, len(rows))
    return _distances(rows, given, unit_or_zero(cluster_sums(rows, given)))


def _distances(rows: Float32, labels: Int64, centers: Float32) -> Float32:
    distance = np.full(len(rows), np.nan, np.float32)
    for start in range(0, len(rows), _BLOCK_ROWS):
        label = labels[start : start + _BLOCK_ROWS]
        member = np.flatnonzero(label >= 0)
        own = np.einsum("ij,ij->i", rows[start + member], centers[label[member]])
        distance[start + member] = np.clip(1.0 - own, 0.0, 2.0)
    return distance


def medoids(embeddings: Embeddings, labels: ArrayLike) -> Int64:
    """Return the face of each cluster with the least mean cosine distance to the others.

    For unit vectors that is the face closest to the centroid; ties go to the lower row.

    Parameters
    ----------
    embeddings : float array of shape (n, d)
        Scaled to unit length if they are not.
    labels : integers of shape (n,)

    Returns
    -------
    int64 array of shape (k,)
        Rows; -1 for a number that no face has.

    Raises
    ------
    ValueError
        When the embeddings are malformed (see `unit_rows`) or labels do not match them.
    """
    rows = unit_rows(embeddings)
    given = check_labels(labels, len(rows))
    distance = _distances(rows, given, unit_or_zero(cluster_sums(rows, given)))
    found = np.full(int(given.max(initial=-1)) + 1, -1, np.int64)
    member = np.flatnonzero(given >= 0)
    # Rounded, so that equal vectors tie at any place in a block.
    order = member[np.lexsort((member, np.round(distance[member], 6), given[member]))]
    starts = np.flatnonzero(np.r_[True, given[order][1:] != given[order][:-1]]) if len(order) else order
    found[given[order[starts]]] = order[starts]
    return found


def reject_outliers(
    embeddings: Embeddings, labels: ArrayLike, *, max_cosine_distance: float, min_cluster_size: int
) -> Bool:
    """Find the faces that are too far from the centroid of their cluster.

    Parameters
    ----------
    embeddings : float array of shape (n, d)
        Scaled to unit length if they are not.
    labels : integers of shape (n,)
    max_cosine_distance : float
        In [0, 2]. Faces farther than this from their centroid are outliers.
    min_cluster_size : int
        Smaller clusters have no outliers: their centroid means too little.

    Returns
    -------
    bool array of shape (n,)
        True for outliers; False for noise.

    Raises
    ------
    ValueError
        When the embeddings are malformed (see `unit_rows`), labels do not match them, or the distance
        is out of range.
    """
    check_cosine_distance(max_cosine_distance)
    rows = unit_rows(embeddings)
    given = check_labels(labels, len(rows))
    distance = _distances(rows, given, unit_or_zero(cluster_sums(rows, given)))
    judged = (given >= 0) & (cluster_sizes(given)[given] >= min_cluster_size)
    outlier: Bool = judged & (distance > max_cosine_distance)
    return outlier
