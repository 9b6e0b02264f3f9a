"""Linear rivals of a trained head: within-class whitening, and discriminant analysis after it.

Faces of one person differ more in some directions than in others. Whitening weighs each direction by how
much it differs inside people; the discriminants are those whitened directions in which people differ most.
The covariance is shrunk, for there are seldom more faces than it has numbers.

References
----------
Ledoit and Wolf, "A well-conditioned estimator for large-dimensional covariance matrices", 2004; Hatch,
Kajarekar and Stolcke, "Within-class covariance normalization for SVM-based speaker recognition", 2006.
"""

import numpy as np
from numpy.typing import NDArray

from facesets.records import Float32, Int64
from facesets.training.head import Layer, Layers

Float64 = NDArray[np.float64]

DISCRIMINANTS = 128
"""Outputs of `discriminants`, at most: as many as a trained head has."""

_LEAST_VARIANCE = 1e-9


def whitening(embeddings: Float32, person: Int64) -> Layers:
    """Within-class whitening of rows of shape (n, d), whose people are known; d outputs."""
    mean, within, _ = _spread(embeddings, person)
    vectors, scale = _whitening(within)
    return _centred(mean, (vectors * scale) @ vectors.T)


def discriminants(embeddings: Float32, person: Int64) -> Layers:
    """Linear discriminants of rows of shape (n, d), whose people are known; one less than people at most."""
    mean, within, centres = _spread(embeddings, person)
    vectors, scale = _whitening(within)
    white = vectors * scale
    _, _, directions = np.linalg.svd(centres @ white, full_matrices=False)
    kept = min(DISCRIMINANTS, len(centres) - 1, embeddings.shape[1])
    return _centred(mean, white @ directions[:kept].T)


def _whitening(within: Float64) -> tuple[Float64, Float64]:
    """The directions of a covariance, as columns, and how much each is to be scaled."""
    values, vectors = np.linalg.eigh(within)
    # Where all photos of everybody are copies, faces of one person do not differ.
    return vectors, 1 / np.sqrt(np.maximum(values, _LEAST_VARIANCE))


def _spread(embeddings: Float32, person: Int64) -> tuple[Float64, Float64, Float64]:
    """The mean, the covariance inside people (shrunk), and what is left of people's means, by face count."""
    # scikit-learn takes a second to load.
    from sklearn.covariance import ledoit_wolf

    _, index, count = np.unique(person, return_inverse=True, return_counts=True)
    rows = embeddings.astype(np.float64)
    means = np.zeros((len(count), rows.shape[1]))
    np.add.at(means, index, rows)
    means /= count[:, None]
    within, _ = ledoit_wolf(rows - means[index], assume_centered=True)
    mean = rows.mean(axis=0)
    return mean, within, (means - mean) * np.sqrt(count)[:, None]


def _centred(mean: Float64, weight: Float64) -> Layers:
    return (Layer(weight.astype(np.float32), (-mean @ weight).astype(np.float32)),)
