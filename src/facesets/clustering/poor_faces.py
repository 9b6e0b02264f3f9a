"""Find faces of too low quality to group: they make no new person.

Recognizers give blurred specks, cut heads and what is hardly a face much the same vector. Such faces are
similar to one another, and clusters of them are no person. How much a face clarity is known from the norm of
its embedding if the recognizer's norms are informative, else from its pixels.

References
----------
Kim et al., "AdaFace: quality adaptive margin for face recognition", CVPR 2022: the norm as image quality.
"""

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from facesets.clustering.calibration import Calibration, bulk, random_similarities
from facesets.clustering.centroids import coherence, unit_centers
from facesets.clustering.constraints import Groups, Partners
from facesets.clustering.engine import Engine
from facesets.clustering.known_recognizers import NormLimits, known_recognizer
from facesets.clustering.membership import nearest_centers, place_in_turn
from facesets.clustering.vectors import Bool, Float32, Int64

_ANCHOR_FACES = 4
_FOUNDING_SHARE, _JOINING_SHARE = 0.69, 0.60
"""Limits as shares of the median norm: those of w600k_mbf, at which no viewer can identify the person."""

_SAMPLE_FACES = 4000
_MIN_FACES = 500
_MIN_LOW = 20


class Clarity(IntEnum):
    """How much of the person a face clarity."""

    NOTHING = 0
    """No viewer can identify the person: it joins no person and is no reference face."""
    LITTLE = 1
    """It may join a person, but makes no new one."""
    ENOUGH = 2


Clarities = NDArray[np.uint8]
"""A value of `Clarity` for each face."""


def norm_limits(
    recognizer: str | None, embedding: Float32, norm: Float32 | None, image: Int64
) -> NormLimits | None:
    """Find the norms above which faces show enough; None if norms are uninformative, or too few are known.

    An unmeasured recognizer is measured by its faces: if those far below the median norm resemble
    each other more than strangers above it do, norms are informative.

    Parameters
    ----------
    recognizer : str or None
        The file name of the network that made the embeddings.
    embedding : float32 array of shape (n, d)
        Of unit length; some thousand faces are enough.
    norm : float32 array of shape (n,) or None
        NaN if unknown.
    image : int64 array of shape (n,)
        The image of each face.
    """
    known = known_recognizer(recognizer)
    if known.norm_limits is not None or not known.norm_is_informative or norm is None:
        return known.norm_limits
    rows = np.flatnonzero(np.isfinite(norm))
    if len(rows) < _MIN_FACES:
        return None
    middle = float(np.median(norm[rows]))
    limits = NormLimits(round(_FOUNDING_SHARE * middle, 1), round(_JOINING_SHARE * middle, 1))
    low, high = rows[norm[rows] < limits.joining], rows[norm[rows] >= middle]
    if len(low) < _MIN_LOW:
        return None
    of_low, of_high = (random_similarities(embedding[some], image[some]) for some in map(_some, (low, high)))
    if not len(of_low) or not len(of_high):
        return None
    # Some pairs of one person change neither the middle of the densest part nor a median.
    usual, spread = bulk(of_high)
    return limits if np.median(of_low) >= usual + spread else None


def _some(rows: Int64) -> Int64:
    return rows[:: max(1, len(rows) // _SAMPLE_FACES)]


def rate_clarity(norm: Float32 | None, limits: NormLimits | None, poor: Bool) -> Clarities:
    """Rate how much each face clarity: by its norm if that is informative, else by its pixels.

    Parameters
    ----------
    poor : bool array of shape (n,)
        Faces that are too small, cut off or hardly one.
    """
    by_pixels = np.where(poor, Clarity.LITTLE, Clarity.ENOUGH)
    if norm is None or limits is None:
        return by_pixels.astype(np.uint8)
    by_norm = np.where(norm < limits.founding, Clarity.LITTLE, Clarity.ENOUGH)
    by_norm[norm < limits.joining] = Clarity.NOTHING
    return np.where(np.isfinite(norm), by_norm, by_pixels).astype(np.uint8)


def set_aside(clarity: Clarities | None, known: Groups) -> Bool:
    """Return the faces that make no person and are not confirmed with others. Shape (n,)."""
    count = len(known.group)
    if clarity is None:
        return np.zeros(count, bool)
    single: Bool = np.bincount(known.group, minlength=count)[known.group] == 1
    return (clarity < Clarity.ENOUGH) & single


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
    """Let each poor face join the person with the most similar centroid; changes `labels`.

    Parameters
    ----------
    poor : float32 array of shape (m, d)
        Vectors of the faces that were set aside, of unit length.
    aside : bool array of shape (n,)
        Which of all faces these are.
    labels : int64 array of shape (n,)
        Of all faces. Changed in place.
    known : Groups
        Constraints of all faces.
    rows, row_labels : float32 array of shape (k, d), int64 array of shape (k,)
        The other faces, with the same labels.
    engine : Engine
        What compares.

    Returns
    -------
    int64 array of shape (j,)
        The faces that joined, by their places in `labels`.
    """
    size, inside = coherence(rows, row_labels)
    anchors = np.flatnonzero((size >= _ANCHOR_FACES) & (inside >= measured.coherent))
    # If mean vectors draw in strangers, then poor faces more than others.
    if measured.pairs is not None or not len(anchors):
        return np.empty(0, np.int64)
    center = unit_centers(rows, row_labels, anchors)
    best, similarity = nearest_centers(poor, center, np.arange(len(poor)), engine)
    near = np.flatnonzero(similarity >= measured.link)
    near = near[np.argsort(-similarity[near], kind="stable")]
    apart = Partners.of_pairs(known.forbidden, len(labels))
    return place_in_turn(labels, np.flatnonzero(aside)[near], anchors[best[near]], apart)
