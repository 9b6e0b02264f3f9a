"""Faces joining clusters by their centroids."""

import numpy as np

from facesets.clustering.centroids import unit_centres
from facesets.clustering.constraints import Groups, Partners
from facesets.clustering.engine import IN_PROCESS, Engine
from facesets.clustering.vectors import Float32, Float64, Int64, Rows

_BLOCK_ROWS = 4096


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
        Who compares.

    Returns
    -------
    int64 array of shape (j,)
        Rows of the faces that joined.
    """
    elsewhere = ~np.isin(labels[loose], anchors)
    loose, least = loose[elsewhere], min_cosine_similarity[elsewhere]
    if not len(anchors) or not len(loose):
        return np.empty(0, np.int64)
    centre = unit_centres(rows, labels, anchors)
    best, similarity = nearest_centres(rows, centre, loose, engine)
    near = np.flatnonzero(similarity >= least)
    near = near[np.lexsort((loose[near], -similarity[near]))]
    return place_in_turn(labels, loose[near], anchors[best[near]], apart)


def nearest_centres(rows: Rows, centre: Float32, face: Int64, engine: Engine) -> tuple[Int64, Float32]:
    """For each face the centre that is most similar to it, and how similar it is."""
    blocks = (face[start : start + _BLOCK_ROWS] for start in range(0, len(face), _BLOCK_ROWS))
    found = list(engine.each(_most_similar, (rows, centre), blocks))
    best, similarity = (np.concatenate([each[part] for each in found]) for part in (0, 1))
    return best, similarity


def _most_similar(rows: Rows, centre: Rows, face: Int64) -> tuple[Int64, Float32]:
    """For some faces the centre that is most similar to each, and how similar it is."""
    mine = rows[face]
    best, similarity = np.zeros(len(face), np.int64), np.full(len(face), -np.inf, np.float32)
    for start in range(0, len(centre), _BLOCK_ROWS):
        product = mine @ centre[start : start + _BLOCK_ROWS].T
        here = product.argmax(axis=1)
        value = product[np.arange(len(product)), here]
        closer = value > similarity
        best[closer], similarity[closer] = here[closer] + start, value[closer]
    return best, similarity


def place_in_turn(labels: Int64, face: Int64, target: Int64, apart: Partners) -> Int64:
    """Move faces to their targets in order, but not beside a face that they cannot be linked with.

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


def evictions(rows: Float32, labels: Int64, groups: Groups, apart: Partners) -> Int64:
    """Faces that must leave their clusters so that none holds two that must be apart, the least central.

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
    centre = unit_centres(rows, labels, wanted)
    central = np.einsum("ij,ij->i", rows[bound], centre[place])
    admitted = np.zeros(len(rows), bool)
    for one in bound[np.lexsort((bound, -central))].tolist():
        others = apart.of(one)
        admitted[one] = not (admitted[others] & (labels[others] == labels[one])).any()
    leaving: Int64 = bound[~admitted[bound]]
    return leaving
