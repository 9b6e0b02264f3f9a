"""A few faces of one person that show as much of them as possible, none of them a poor one."""

import numpy as np

from facesets.clustering.vectors import Embeddings, Float32, Int64, unit_rows

TELLING_DISTANCE = 0.35
"""Cosine distance of two photos of a person that differ plainly: in expression, light, or age."""

TELLING_TURN = 25.0
"""Degrees by which a pose differs as plainly."""

QUALITY_SLACK = 0.10
"""How far below the quality of the last face that the best choice would take a chosen one may lie."""


def spread_out(embeddings: Embeddings, pose: Float32, quality: Float32, count: int) -> Int64:
    """Choose faces by farthest-point sampling in pose and embedding, above a floor of quality.

    The first is the best; then again and again the one that is farthest from all that are chosen. The
    distance of two faces is the length of (cosine distance / `TELLING_DISTANCE`, turn / `TELLING_TURN`); an
    unknown pose turns nobody. Faces of less quality than the `count`-th best less `QUALITY_SLACK` are out.

    Parameters
    ----------
    embeddings : float array of shape (n, d)
        Scaled to unit length if they are not.
    pose : float array of shape (n, 3)
        Pitch, yaw, roll in degrees; NaN where unknown. Roll does not count: alignment undoes it.
    quality : float array of shape (n,)

    Returns
    -------
    int64 array of shape (min(count, n),)
        Rows, by falling quality, equal ones by row.

    Raises
    ------
    ValueError
        When the embeddings are malformed (see `unit_rows`).
    """
    rows = unit_rows(embeddings)
    ranked = np.lexsort((np.arange(len(rows)), -np.asarray(quality, np.float64)))
    if count >= len(rows):
        return ranked
    good = ranked[quality[ranked] >= quality[ranked[count - 1]] - np.float32(QUALITY_SLACK)]
    places = _farthest_first(rows[good], np.asarray(pose, np.float64)[good, :2], count)
    chosen: Int64 = good[np.sort(places)]
    return chosen


def _farthest_first(rows: Float32, angles: np.ndarray, count: int) -> Int64:
    """Places of `count` points, beginning with the first; of equally far ones the earlier."""
    chosen = np.zeros(count, np.int64)
    nearest = np.full(len(rows), np.inf)
    for step in range(1, count):
        last = chosen[step - 1]
        apart = np.maximum(1 - rows @ rows[last], 0).astype(np.float64) / TELLING_DISTANCE
        turn = np.linalg.norm(np.nan_to_num(angles - angles[last]), axis=1) / TELLING_TURN
        nearest = np.minimum(nearest, np.hypot(apart, turn))
        nearest[last] = -1
        chosen[step] = int(np.argmax(nearest))
    return chosen
