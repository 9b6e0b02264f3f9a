"""Embed aligned crops with ArcFace.

References
----------
Deng et al., "ArcFace: additive angular margin loss for deep face recognition", CVPR 2019.
"""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from facesets.inference.model_files import ModelFile
from facesets.inference.rewrite import PixelInput
from facesets.inference.session import CPU, TAKES_PIXELS, Session
from facesets.records import Float32, Pixels

_SCALED = 1e-3
"""Maximum deviation from 1 of norms of a network that normalizes its own output."""


class Recognizer:
    """A loaded recognition model."""

    def __init__(
        self, model: ModelFile, *, provider: str = CPU, threads: int = 1, batch_size: int = 1
    ) -> None:
        """Load the network, which processes `batch_size` faces at a time.

        On a CPU one at a time is fastest, and makes a face's vector independent, to the last bit, of
        the faces beside it.
        """
        self._model = model
        self.input_size = model.input_size or 112
        pixels = PixelInput(self.input_size, model.input_mean, model.input_std, bgr=model.bgr)
        self._takes_pixels = provider in TAKES_PIXELS
        self._session = Session(
            model.path, provider, threads=threads, pixels=pixels if self._takes_pixels else None
        )
        self._batch_size = self._session.fixed_batch or batch_size
        # Pixel values in the network's scale, to be looked up.
        self._levels = model.levels()
        self.dimension = self._dimension()

    @property
    def provider(self) -> str:
        """Return the actual provider, by ONNX Runtime's name."""
        return self._session.provider

    def raw_embeddings(self, crops: Sequence[Pixels]) -> Float32:
        """Return the raw output, (n, dimension) float32; its norm measures face quality."""
        parts = [
            self._run(crops[start : start + self._batch_size])
            for start in range(0, len(crops), self._batch_size)
        ]
        return np.concatenate(parts) if parts else np.empty((0, self.dimension), np.float32)

    def embeddings(self, crops: Sequence[Pixels]) -> Float32:
        """Return unit embeddings, (n, dimension) float32, of square crops of `input_size` pixels."""
        return self.embeddings_and_norms(crops)[0]

    def embeddings_and_norms(self, crops: Sequence[Pixels]) -> tuple[Float32, Float32]:
        """Return embeddings of unit length, and the raw norms (n,), which measure face quality.

        NaN if the network scales its output itself, so that its length means nothing.
        """
        raw = self.raw_embeddings(crops)
        norm = np.linalg.norm(raw, axis=1).astype(np.float32)
        unit: Float32 = raw / np.maximum(norm[:, None], np.float32(1e-12))
        return unit, np.where(np.abs(norm - 1) < _SCALED, np.float32(np.nan), norm)

    def _run(self, crops: Sequence[Pixels]) -> Float32:
        blob = np.stack(crops) if self._takes_pixels else self._scaled(crops)
        missing = self._session.run_size(len(crops)) - len(crops)
        if missing:
            blob = np.concatenate([blob, np.zeros((missing, *blob.shape[1:]), blob.dtype)])
        output: Float32 = self._session.run(blob)[0][: len(crops)]
        return output.reshape(len(crops), -1)

    def _dimension(self) -> int:
        """Return the dimension of embeddings: declared, else from a run."""
        declared = self._session.output_shapes[0][-1:]
        if declared and isinstance(declared[0], int):
            return declared[0]
        return int(self._run([np.zeros((self.input_size, self.input_size, 3), np.uint8)]).shape[1])

    def _scaled(self, crops: Sequence[Pixels]) -> NDArray[Any]:
        mean, std = self._model.input_mean, self._model.input_std
        if isinstance(mean, tuple) or isinstance(std, tuple):
            return self._looked_up(crops)
        blob: Float32 = cv2.dnn.blobFromImages(list(crops), 1 / std, mean=(mean,) * 3, swapRB=self._model.bgr)
        return blob

    def _looked_up(self, crops: Sequence[Pixels]) -> Float32:
        order = slice(None, None, -1) if self._model.bgr else slice(None)
        blob = np.empty((len(crops), 3, self.input_size, self.input_size), np.float32)
        for crop, into in zip(crops, blob, strict=True):
            for plane, levels, out in zip(cv2.split(crop)[order], self._levels, into, strict=True):
                out[:] = cv2.LUT(plane, levels)
        return blob
