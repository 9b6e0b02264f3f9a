"""Faces that show too little to tell who somebody is: they make nobody, and join whom they resemble.

Recognisers give blurred specks, cut heads and what is hardly a face much the same vector. Such faces are
similar to one another, and clusters of them are nobody.
"""

import numpy as np

from facesets.clustering.calibration import Calibration
from facesets.clustering.centroids import coherence, unit_centres
from facesets.clustering.constraints import Groups, Partners
from facesets.clustering.engine import Engine
from facesets.clustering.joining import nearest_centres, place_in_turn
from facesets.clustering.vectors import Bool, Float32, Int64

_ANCHOR_FACES = 4


def set_aside(poor: Bool | None, known: Groups) -> Bool:
    """Poor faces of which nobody said that they show one person with others. Shape (n,)."""
    count = len(known.group)
    if poor is None:
        return np.zeros(count, bool)
    single: Bool = np.bincount(known.group, minlength=count)[known.group] == 1
    return poor & single


def join_people(
    poor: Float32,
    aside: Bool,
    labels: Int64,
    known: Groups,
    rows: Float32,
    row_labels: Int64,
    measured: Calibration,
    engine: Engine,
) -> Int64:
    """Let each poor face join the person whose centroid it resembles; changes `labels`.

    Parameters
    ----------
    poor : float32 array of shape (m, d)
        Vectors of the faces that were set aside, of unit length.
    aside : bool array of shape (n,)
        Which of all faces these are.
    labels : int64 array of shape (n,)
        Of all faces. Changed in place.
    known : Groups
        Of all faces: who must not be together.
    rows, row_labels : float32 array of shape (k, d), int64 array of shape (k,)
        The other faces, with the same labels.
    engine : Engine
        Who compares.

    Returns
    -------
    int64 array of shape (j,)
        The faces that joined, by their places in `labels`.
    """
    size, inside = coherence(rows, row_labels)
    anchors = np.flatnonzero((size >= _ANCHOR_FACES) & (inside >= measured.coherent))
    # Where mean vectors draw in strangers they do so with poor faces more than with others.
    if measured.pairs is not None or not len(anchors):
        return np.empty(0, np.int64)
    centre = unit_centres(rows, row_labels, anchors)
    best, similarity = nearest_centres(poor, centre, np.arange(len(poor)), engine)
    near = np.flatnonzero(similarity >= measured.link)
    near = near[np.argsort(-similarity[near], kind="stable")]
    apart = Partners.of_pairs(known.forbidden, len(labels))
    return place_in_turn(labels, np.flatnonzero(aside)[near], anchors[best[near]], apart)
