"""A projection head as plain arrays: what training ends with, and what is written as ONNX."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from facesets.records import Float32

_LEAST_LENGTH = 1e-12


@dataclass(frozen=True, slots=True)
class Layer:
    """`x @ weight + bias`, with a weight of shape (inputs, outputs) and a bias of shape (outputs,)."""

    weight: Float32
    bias: Float32


Layers: TypeAlias = tuple[Layer, ...]
"""One after the other, with ReLU between; what comes out is scaled to unit length."""


def project(layers: Layers, embeddings: Float32) -> Float32:
    """Project rows of shape (n, inputs) to unit rows of shape (n, outputs); without layers, as they are."""
    rows = embeddings
    for place, layer in enumerate(layers):
        rows = np.maximum(rows, 0) if place else rows
        rows = rows @ layer.weight + layer.bias
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: Float32 = (rows / np.maximum(length, _LEAST_LENGTH)).astype(np.float32)
    # What has no direction, such as a face that is just like the mean, gets one.
    unit[length[:, 0] < _LEAST_LENGTH, 0] = 1
    return unit
