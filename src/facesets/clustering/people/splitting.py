"""Split one person's faces into possible people, or into eras.

Faces drift over the years, so a chain of fragments leads from any year to any other. Hence a fragment is
compared with anchors (large sub-clusters) as they were found, never with what joined them.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from facesets.clustering.average_linkage import average_linkage
from facesets.clustering.centroids import centroids, reject_outliers
from facesets.clustering.constraints import Constraints, Partners, as_pairs
from facesets.clustering.knn import nearest
from facesets.clustering.known_recognizers import known_recognizer
from facesets.clustering.labels import as_labels, cluster_sizes
from facesets.clustering.vectors import Bool, Embeddings, Float32, Int64, unit_rows

_LINK_SHARE, _CORE_SHARE = 0.62, 0.81
"""`cluster_auto`'s cuts: from where merging is right, to where faces are certainly one person."""

_CUTS = 8
_LOOSEST, _TIGHTEST, _STEPS = 0.9, 1e-5, 30
"""Cosine distances tried for a given number of parts, each a third smaller than the last."""

NO_YEAR = 0


@dataclass(frozen=True, slots=True)
class FaceParts:
    """Parts of some faces.

    Attributes
    ----------
    labels : int64 array of shape (n,)
        The largest part is 0; all are 0 where they hold together. -1 for a face that may be in none of them.
    min_cosine_similarity : float
        Mean similarity at which they fall apart; 0 where they do not.
    """

    labels: Int64
    min_cosine_similarity: float

    @property
    def count(self) -> int:
        """Return the number of parts."""
        return int(self.labels.max(initial=0)) + 1


def split(
    embeddings: Embeddings,
    *,
    count: int | None = None,
    min_size: int = 3,
    constraints: Constraints | None = None,
    recognizer: str | None = None,
) -> FaceParts:
    """Split faces by average linkage, cut more and more tightly until there are several parts.

    Parameters
    ----------
    embeddings : float array of shape (n, d)
    count : int, optional
        How many parts; by default what the loosest cut gives at which there is more than one. Without it the
        cut is never tighter than where faces are one person beyond doubt.
    min_size : int
        Minimum faces of a part; smaller ones join the most similar part.
    constraints : Constraints, optional
        Faces that stay together, and those that do not share a part.
    recognizer : str, optional
        The file name of the network that made the embeddings.
    """
    known = constraints if constraints is not None else Constraints()
    rows = unit_rows(embeddings)
    if len(rows) < 2 * min_size or count == 1:
        return FaceParts(np.zeros(len(rows), np.int64), 0.0)
    typical = known_recognizer(recognizer).typical
    cuts = np.linspace(_LINK_SHARE * typical, _CORE_SHARE * typical, _CUTS)
    if count is not None:
        cuts = 1 - np.geomspace(_LOOSEST, _TIGHTEST, _STEPS)
    for cut in cuts.tolist():
        labels = average_linkage(rows, max_cosine_distance=1 - cut, constraints=known)
        large = int((np.bincount(labels) >= min_size).sum())
        if large >= (count or 2):
            return FaceParts(_joined(rows, labels, count or large, known), round(cut, 4))
    return FaceParts(np.zeros(len(rows), np.int64), 0.0)


def _joined(rows: Float32, labels: Int64, count: int, known: Constraints) -> Int64:
    """Let the clusters after the first `count` join the most similar one, as far as constraints allow."""
    partners = Partners.of_pairs(as_pairs(known.cannot_link), len(rows))
    means = np.stack([rows[labels == part].mean(axis=0) for part in range(count)])
    parts = np.where(labels < count, labels, -1)
    for small in range(count, int(labels.max()) + 1):
        members = np.flatnonzero(labels == small)
        barred = {int(parts[other]) for face in members.tolist() for other in partners.of(face).tolist()}
        order = np.argsort(-(means @ rows[members].mean(axis=0)), kind="stable").tolist()
        parts[members] = next((part for part in order if part not in barred), -1)
    return parts


def distances_between(embeddings: Float32, labels: Int64) -> Float32:
    """Compute the cosine distance between the means of all parts: shape (parts, parts)."""
    parts = int(labels.max(initial=-1)) + 1
    means = np.stack([embeddings[labels == part].mean(axis=0) for part in range(parts)])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    distances: Float32 = (1 - means @ means.T).astype(np.float32)
    return distances


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
        For each sub-cluster the nearest anchor; -1 for anchors, or if there are none.
    cosine_distance : float32 array of shape (k,)
        From that anchor's centroid; infinite if there is none.
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
        Of capture; 0 if unknown.
    max_cosine_distance : float
        Cut of the average linkage.
    min_anchor_faces : int
        Minimum faces of an anchor.
    join_cosine_distance : float
        Maximum between the centroids of a fragment and its anchor.
    join_years : int
        Maximum between their dominant years.

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
    centers = centroids(rows, cluster)
    anchor = np.full(len(sizes), -1, np.int64)
    distance = np.full(len(sizes), np.inf, np.float32)
    if anchors and anchors < len(sizes):
        found = nearest(centers[anchors:], centers[:anchors])
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
        Maximum years between anchors of the same era.

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
