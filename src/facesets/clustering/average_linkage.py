"""Average linkage without a distance matrix.

For unit vectors the mean similarity of two clusters is the product of their mean vectors, so a cluster
is its sum and its size, and memory grows with faces and near pairs, not with all pairs.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from facesets.clustering.constraints import Constraints, Groups, Partners, in_order, resolve
from facesets.clustering.engine import IN_PROCESS, Engine, held_copy, held_unit_rows
from facesets.clustering.graph import Edges, OnProgress, edge_chunks
from facesets.clustering.labels import evaluate, in_callers_order, numbered
from facesets.clustering.linkage import Clusters, between_clusters, merge_while_similar
from facesets.clustering.membership import separate_leniently
from facesets.clustering.vectors import (
    SIMILARITY_RESOLUTION,
    Embeddings,
    Float32,
    Int64,
    canonical_order,
    check_cosine_distance,
    check_matrix,
    unit_rows,
)

_MAX_COMPLETE_LINKAGE_FACES = 20_000
_MIN_SIMILARITY_RATIO = 0.75
"""For two parts of one person. On LFW, cut at 0.45 to 0.75, ratios of 0.7 to 0.8 keep all correct merges."""

_CUTS = 32


def average_linkage(
    embeddings: Embeddings,
    *,
    max_cosine_distance: float,
    constraints: Constraints | None = None,
    lenient: bool = False,
    on_progress: OnProgress | None = None,
    engine: Engine = IN_PROCESS,
) -> Int64:
    """Agglomerative clustering with average linkage under cosine distance, cut at a distance; exact.

    Two clusters whose mean distance is within the cut contain a pair within the cut. So the graph of
    such pairs holds every possible merge. On it, all clusters that are each other's nearest merge at
    once, again and again; average linkage is reducible: the same partition as by the closest pair each time.

    Parameters
    ----------
    embeddings : float array of shape (n, d)
        Scaled to unit length if they are not.
    max_cosine_distance : float
        In [0, 2]. Clusters merge while their mean cosine distance is within this (to 1e-6).
    constraints : Constraints, optional
        Faces that must be together start as one cluster; clusters with faces that must not be together
        never merge. Where the two contradict, must-links win (`constraints.resolve` lists these).
    lenient : bool
        Some pairs that must not be together may be wrong: one face of a photo may be a mirror's. They keep
        these faces apart all the same, but no large parts of one person (`separate_leniently`).
    engine : Engine, which compares the pairs

    Returns
    -------
    int64 array of shape (n,)
        Clusters by falling size, ties by smallest member. A face alone has a label of its own.

    Raises
    ------
    ValueError
        When the embeddings are malformed (see `unit_rows`) or the distance is out of range.

    References
    ----------
    Murtagh, "A survey of recent advances in hierarchical clustering algorithms", The Computer Journal,
    1983 (reciprocal nearest neighbours); Müllner, "Modern hierarchical, agglomerative clustering
    algorithms", arXiv:1109.2378.
    """
    check_cosine_distance(max_cosine_distance)
    check_matrix(embeddings)
    order = canonical_order(embeddings)
    rows = held_unit_rows(embeddings, order, engine)
    similar, lowest = 1.0 - max_cosine_distance, 1.0 - max_cosine_distance - SIMILARITY_RESOLUTION / 2
    chunks = edge_chunks(rows, min_cosine_similarity=similar, on_progress=on_progress, engine=engine)
    edges = Edges.concatenate(chunks)
    if constraints is None:
        labels = merge_while_similar(Clusters.of_faces(rows), edges, min_cosine_similarity=lowest)
        return in_callers_order(labels, order)
    groups = resolve(in_order(constraints, order), len(rows))
    if lenient and len(groups.forbidden):
        return in_callers_order(_merged_leniently(rows, groups, edges, lowest, engine), order)
    return in_callers_order(merge_groups(rows, groups, edges, lowest), order)


def _merged_leniently(rows: Float32, groups: Groups, edges: Edges, lowest: float, engine: Engine) -> Int64:
    free = replace(groups, forbidden=groups.forbidden[:0])
    return separate_leniently(
        rows,
        numbered(merge_groups(held_copy(rows, engine), free, edges, lowest)),
        groups,
        Partners.of_pairs(groups.forbidden, len(rows)),
        lambda: merge_groups(held_copy(rows, engine), groups, edges, lowest),
        min_similarity_ratio=_MIN_SIMILARITY_RATIO,
    )


def merge_groups(rows: Float32, groups: Groups, edges: Edges, lowest: float) -> Int64:
    """Merge unit rows (overwritten) by average linkage on a graph of near pairs, under constraints."""
    clusters = Clusters.of_faces(rows)
    absorbed = np.flatnonzero(groups.group != np.arange(len(rows)))
    size = clusters.size.copy()
    clusters.merge(groups.group[absorbed], absorbed)
    candidates = between_clusters(clusters, edges, groups.group, size, lowest)
    ended = merge_while_similar(
        clusters, candidates, min_cosine_similarity=lowest, forbidden=groups.forbidden
    )
    return ended[groups.group]


def complete_linkage(embeddings: Embeddings, *, max_cosine_distance: float) -> Int64:
    """Agglomerative clustering with complete linkage under cosine distance, cut at a distance.

    Takes a matrix of all pairs (`scipy.cluster.hierarchy`), so it is for small inputs.

    Parameters
    ----------
    embeddings : float array of shape (n, d)
        Scaled to unit length if they are not; at most 20 000.
    max_cosine_distance : float
        In [0, 2]. No two faces of a cluster are farther apart.

    Returns
    -------
    int64 array of shape (n,)

    Raises
    ------
    ValueError
        When the embeddings are malformed or too many, or the distance is out of range.
    """
    check_cosine_distance(max_cosine_distance)
    check_matrix(embeddings)
    if len(embeddings) > _MAX_COMPLETE_LINKAGE_FACES:
        raise ValueError(
            f"Complete linkage compares all pairs: {len(embeddings)} faces are more than the maximum of "
            f"{_MAX_COMPLETE_LINKAGE_FACES}. Use average linkage."
        )
    order = canonical_order(embeddings)
    rows = unit_rows(embeddings, order)
    if len(rows) < 2:
        return in_callers_order(np.zeros(len(rows), np.int64), order)
    from scipy.cluster.hierarchy import fcluster, linkage

    distances = 1.0 - (rows @ rows.T)[np.triu_indices(len(rows), k=1)].astype(np.float64)
    tree = linkage(np.clip(distances, 0.0, 2.0), method="complete")
    labels = fcluster(tree, max_cosine_distance + SIMILARITY_RESOLUTION / 2, criterion="distance")
    return in_callers_order(labels.astype(np.int64), order)


def best_cut(embeddings: Embeddings, truth: ArrayLike) -> tuple[float, float]:
    """Find the cosine distance at which average linkage agrees best with the truth, and its BCubed F1.

    Takes a matrix of all pairs, so it is for some thousand faces.

    Parameters
    ----------
    embeddings : float array of shape (n, d)
        Scaled to unit length if they are not; two at least.
    truth : array of shape (n,)
        Names or numbers of people.
    """
    # Imported here, because `serve` starts trainings and loading these takes half a second.
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    rows = unit_rows(embeddings)
    distance = np.clip(1 - rows @ rows.T, 0, 2)
    tree = linkage(squareform(distance, checks=False), "average")
    heights = np.unique(np.quantile(tree[:, 2], np.linspace(0, 1, _CUTS)))
    scored = [
        (evaluate(fcluster(tree, height, "distance"), truth).bcubed_f1, float(height)) for height in heights
    ]
    f1, height = max(scored, key=lambda each: (each[0], -each[1]))
    return height, f1
