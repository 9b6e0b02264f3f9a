"""Which faces of a library may have to be grouped again because of some new ones."""

import numpy as np

from facesets.clustering.centroids import unit_centres
from facesets.clustering.vectors import Bool, Float32, Int64

_BLOCK_SEEDS = 2048
_BLOCK_UNITS = 8192


def near_faces(rows: Float32, person: Int64, seeds: Int64, *, min_cosine_similarity: float) -> Bool:
    """Find the faces without a person, and all faces of the people, that resemble one of some faces.

    A person is as similar as its centroid is.

    Parameters
    ----------
    rows : float32 array of shape (n, d)
        Unit length.
    person : int64 array of shape (n,)
        Whose each face is; negative for unassigned ones.
    seeds : int64 array of shape (m,)
        Rows to start from. A seed that is somebody's stands for that person with all faces.

    Returns
    -------
    bool array of shape (n,)
        True for the seeds, too.
    """
    found = np.zeros(len(rows), bool)
    found[seeds] = True
    loose = np.flatnonzero((person < 0) & ~found)
    for start in range(0, len(loose), _BLOCK_UNITS):
        block = loose[start : start + _BLOCK_UNITS]
        found[block] = _resemble(rows, seeds, rows[block], min_cosine_similarity)
    persons = np.unique(person[person >= 0])
    touched = np.isin(persons, person[seeds])
    for start in range(0, len(persons), _BLOCK_UNITS):
        span = slice(start, start + _BLOCK_UNITS)
        centre = unit_centres(rows, person, persons[span])
        touched[span] |= _resemble(rows, seeds, centre, min_cosine_similarity)
    of_touched = np.zeros(int(person.max(initial=-1)) + 2, bool)
    of_touched[persons[touched]] = True
    return found | of_touched[person]


def _resemble(rows: Float32, seeds: Int64, units: Float32, least: float) -> Bool:
    """Which vectors are similar to one of the seeds."""
    found = np.zeros(len(units), bool)
    for start in range(0, len(seeds), _BLOCK_SEEDS):
        found |= ((units @ rows[seeds[start : start + _BLOCK_SEEDS]].T) >= least).any(axis=1)
    return found
