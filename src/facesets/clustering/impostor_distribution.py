"""How similar the faces of strangers are."""

import numpy as np

from facesets.clustering.neighbors import pair_similarities
from facesets.clustering.vectors import Embeddings, Float32, Float64, Int64, canonical_order, unit_rows

_RARE_SPREADS = 4.0

_SAMPLE_PAIRS = 100_000
_IMAGE_PAIRS = 400_000
_HALVINGS = 2


def bulk(similarity: Float64) -> tuple[float, float]:
    """Where similarities are densest, and how far they spread below: those above may be no strangers'.

    Returns
    -------
    middle, spread : float
        Median and standard deviation of the strangers' similarities, if most of them are strangers'. The
        middle is that of the shortest half of the shortest half.

    References
    ----------
    Rousseeuw and Leroy, "Robust regression and outlier detection", 1987 (the shortest half).
    """
    ordered = np.sort(similarity)
    dense = ordered
    for _ in range(_HALVINGS):
        half = (len(dense) + 1) // 2
        start = int((dense[half - 1 :] - dense[: len(dense) - half + 1]).argmin())
        dense = dense[start : start + half]
    middle = float(dense.mean())
    return middle, 1.4826 * float(np.median(middle - ordered[ordered <= middle]))


def rare(middle: float, spread: float) -> float:
    """What two strangers' faces rarely reach."""
    return middle + _RARE_SPREADS * spread


def random_similarities(rows: Float32, image: Int64 | None = None) -> Float64:
    """Cosine similarities of random pairs of unit rows, of different images where these are given (n,).

    Empty where there is no pair.
    """
    if len(rows) < 2:
        return np.empty(0)
    i, j = np.random.default_rng(0).integers(0, len(rows), (2, _SAMPLE_PAIRS))
    apart = i != j if image is None else image[i] != image[j]
    return pair_similarities(rows, i[apart], j[apart])


def similarities_of(embeddings: Embeddings, pairs: Int64) -> Float64:
    """Cosine similarities of pairs of rows; of the first 400 000 at most."""
    used, place = np.unique(pairs[:_IMAGE_PAIRS], return_inverse=True)
    place = place.reshape(-1, 2)
    return pair_similarities(unit_rows(embeddings, used), place[:, 0], place[:, 1])


def without_offset(embeddings: Embeddings) -> Float32:
    """The embeddings, of unit length, less what all of them have in common: their mean."""
    order = canonical_order(embeddings)
    rows = unit_rows(embeddings, order)
    # Summed in an order that the caller's does not change.
    rows -= rows.mean(axis=0, dtype=np.float64).astype(np.float32)
    rows[order] = rows.copy()
    return rows
