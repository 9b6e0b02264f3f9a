"""The nearest of some known vectors, for many faces."""

from typing import NamedTuple

import numpy as np

from facesets.clustering.vectors import Embeddings, Float32, Int64, check_matrix, unit_rows

_BLOCK_ROWS = 4096
_BLOCK_REFERENCES = 4096


class Matches(NamedTuple):
    """The nearest reference of each face.

    Attributes
    ----------
    reference : int64 array of shape (n,)
        Row of the reference; -1 when there are none.
    cosine_distance : float32 array of shape (n,)
        In [0, 2]; infinite when there are none.
    """

    reference: Int64
    cosine_distance: Float32


def nearest(embeddings: Embeddings, references: Embeddings) -> Matches:
    """Find for each face the reference with the least cosine distance; ties go to the lower row.

    Memory does not grow with the product of the two counts.

    Parameters
    ----------
    embeddings : float array of shape (n, d)
        Scaled to unit length if they are not.
    references : float array of shape (m, d)
        Centroids, exemplars or faces; scaled as well.

    Raises
    ------
    ValueError
        When either is malformed (see `unit_rows`) or their dimensions differ.
    """
    check_matrix(embeddings)
    check_matrix(references, name="references")
    if embeddings.shape[1] != references.shape[1]:
        raise ValueError(
            f"Faces of {embeddings.shape[1]} numbers cannot be compared with references of "
            f"{references.shape[1]}: they come from different recognisers."
        )
    known = unit_rows(references, name="references")
    index = np.full(len(embeddings), -1, np.int64)
    similarity = np.full(len(embeddings), -np.inf, np.float32)
    for start in range(0, len(embeddings), _BLOCK_ROWS):
        span = slice(start, start + _BLOCK_ROWS)
        rows = unit_rows(embeddings[span])
        for first in range(0, len(known), _BLOCK_REFERENCES):
            product = rows @ known[first : first + _BLOCK_REFERENCES].T
            best = product.argmax(axis=1)
            value = product[np.arange(len(rows)), best]
            better = value > similarity[span]
            index[span] = np.where(better, best + first, index[span])
            similarity[span] = np.where(better, value, similarity[span])
    distance: Float32 = np.where(index >= 0, np.clip(1 - similarity, 0, 2), np.inf).astype(np.float32)
    return Matches(index, distance)
