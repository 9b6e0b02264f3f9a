"""One person over many years: sub-clusters, the anchors among them, and which fragments join those.

Faces drift over the years, so a chain of fragments leads from any year to any other. Hence a fragment is
compared with anchors as they were found, never with what joined them.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from facesets.clustering.agglomerative import average_linkage
from facesets.clustering.centroids import centroids, reject_outliers
from facesets.clustering.labels import as_labels, cluster_sizes
from facesets.clustering.matching import nearest
from facesets.clustering.vectors import Bool, Embeddings, Float32, Int64, unit_rows

NO_YEAR = 0


class Eras(NamedTuple):
    """A person's faces by era.

    Attributes
    ----------
    era : int64 array of shape (n,)
        For each face the sub-cluster that its era began as: an anchor, or a fragment that joined none.
    cluster : int64 array of shape (n,)
        The face's own sub-cluster, by falling size.
    anchors : int
        Sub-clusters 0 … anchors - 1 are anchors.
    nearest_anchor : int64 array of shape (k,)
        For each sub-cluster the nearest anchor; -1 for anchors, or where there are none.
    cosine_distance : float32 array of shape (k,)
        From that anchor's centroid; infinite where there is none.
    dominant_year : int64 array of shape (k,)
        See `dominant_year`.
    """

    era: Int64
    cluster: Int64
    anchors: int
    nearest_anchor: Int64
    cosine_distance: Float32
    dominant_year: Int64


def split_into_eras(
    embeddings: Embeddings,
    years: ArrayLike,
    *,
    max_cosine_distance: float,
    min_anchor_faces: int,
    join_cosine_distance: float,
    join_years: int,
) -> Eras:
    """Cut one person's faces into sub-clusters by average linkage, and let fragments join their anchor.

    A fragment joins the single nearest anchor, if their centroids are close enough and their dominant years
    as well. A fragment or an anchor without a year is joined with nothing.

    Parameters
    ----------
    embeddings : float array of shape (n, d)
        Scaled to unit length if they are not.
    years : integers of shape (n,)
        Of capture; 0 where unknown.
    max_cosine_distance : float
        Cut of the average linkage.
    min_anchor_faces : int
        Fewest faces of an anchor.
    join_cosine_distance : float
        Most between the centroids of a fragment and its anchor.
    join_years : int
        Most between their dominant years.

    Raises
    ------
    ValueError
        When the embeddings are malformed (see `unit_rows`), years do not match them, or a distance is out of
        range.
    """
    rows = unit_rows(embeddings)
    year = as_labels(years)
    if len(year) != len(rows):
        raise ValueError(f"There are {len(year)} years for {len(rows)} faces.")
    cluster = average_linkage(rows, max_cosine_distance=max_cosine_distance)
    sizes = cluster_sizes(cluster)[:-1]
    anchors = int((sizes >= min_anchor_faces).sum())
    dominant = np.array([dominant_year(year[cluster == c]) for c in range(len(sizes))], np.int64)
    centres = centroids(rows, cluster)
    anchor = np.full(len(sizes), -1, np.int64)
    distance = np.full(len(sizes), np.inf, np.float32)
    if anchors and anchors < len(sizes):
        found = nearest(centres[anchors:], centres[:anchors])
        anchor[anchors:], distance[anchors:] = found
    apart = np.abs(dominant - dominant[anchor])
    dated = (dominant != NO_YEAR) & (dominant[anchor] != NO_YEAR)
    joins = (anchor >= 0) & (distance <= join_cosine_distance) & dated & (apart <= join_years)
    era_of_cluster = np.where(joins, anchor, np.arange(len(sizes)))
    return Eras(era_of_cluster[cluster], cluster, anchors, anchor, distance, dominant)


def main_era(eras: Eras, *, apart_years: int) -> Bool:
    """Find the faces of the largest era; these are all where there is nothing to split.

    That is so where fewer than two anchors have a year, or all of them the same ones: something else than age
    sets such anchors apart.

    Parameters
    ----------
    apart_years : int
        Most years between anchors that are of the same ones.

    Returns
    -------
    bool array of shape (n,)
    """
    dated = eras.dominant_year[: eras.anchors]
    dated = dated[dated != NO_YEAR]
    if len(dated) < 2 or np.ptp(dated) <= apart_years:
        return np.ones(len(eras.era), bool)
    main: Bool = eras.era == int(np.argmax(np.bincount(eras.era)))
    return main


def dominant_year(years: Int64) -> int:
    """Return the commonest year; of several the one nearest to the median, then the earlier. 0 for none."""
    known = years[years != NO_YEAR]
    if not len(known):
        return NO_YEAR
    values, counts = np.unique(known, return_counts=True)
    commonest = values[counts == counts.max()]
    return int(commonest[np.argmin(np.abs(commonest - np.median(known)))])


def core_members(embeddings: Embeddings, max_cosine_distances: tuple[float, ...]) -> Bool:
    """Find the faces that agree on one centroid, by passes of outlier rejection.

    Each pass takes the centroid of those left and drops the ones farther from it than its limit.

    Parameters
    ----------
    embeddings : float array of shape (n, d)
        Scaled to unit length if they are not.
    max_cosine_distances : tuple of float
        A limit for each pass, each in [0, 2].

    Returns
    -------
    bool array of shape (n,)
        False for all when no face is left.
    """
    rows = unit_rows(embeddings)
    label = np.zeros(len(rows), np.int64)
    for limit in max_cosine_distances:
        far = reject_outliers(rows, label, max_cosine_distance=limit, min_cluster_size=1)
        label[far] = -1
    core: Bool = label >= 0
    return core


def pairwise_histogram(embeddings: Embeddings, edges: ArrayLike) -> Int64:
    """Count the cosine distances of all pairs of faces.

    Parameters
    ----------
    embeddings : float array of shape (n, d)
        Scaled to unit length if they are not.
    edges : floats of shape (b + 1,)
        Bounds of the bins, rising; what lies outside counts in the first or the last.

    Returns
    -------
    int64 array of shape (b,)
    """
    rows = unit_rows(embeddings)
    bounds = np.asarray(edges, np.float32)
    counts: Int64 = np.zeros(len(bounds) - 1, np.int64)
    for start in range(0, len(rows), _BLOCK_ROWS):
        product = rows[start : start + _BLOCK_ROWS] @ rows[start:].T
        pairs = np.triu(np.ones(product.shape, bool), k=1)
        distance = np.clip(1 - product[pairs], bounds[0], bounds[-1])
        counts += np.histogram(distance, bounds)[0]
    return counts


_BLOCK_ROWS = 1024
