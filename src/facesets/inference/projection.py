"""Run projection heads with ONNX Runtime."""

import numpy as np

from facesets.inference.session import Session
from facesets.records import Float32

_ROWS = 8192
"""Rows at a time, so that intermediate values of the layers stay small."""


class Projection:
    """A loaded head. May be used from several threads at once."""

    def __init__(self, model: bytes, *, threads: int = 1) -> None:
        """Load a head from its ONNX model. Raises `CannotInfer` where it is damaged."""
        self._session = Session(model, threads=threads, rewrite=False)

    def __call__(self, embeddings: Float32) -> Float32:
        """Project rows of shape (n, inputs) to unit rows of shape (n, outputs). Raises `CannotInfer`."""
        if not len(embeddings):
            return np.empty((0, int(self._session.output_shapes[0][1])), np.float32)
        blocks = [
            self._session.run(embeddings[start : start + _ROWS])[0]
            for start in range(0, len(embeddings), _ROWS)
        ]
        return np.concatenate(blocks)
