"""Decode the outputs of a network to boxes, scores and five keypoints, in input pixels.

References
----------
Guo et al., "Sample and computation redistribution for efficient face detection", ICLR 2022 (SCRFD).
Xu et al., "CenterFace: joint face detection and alignment using face as point", 2020.
"""

from dataclasses import dataclass
from functools import cache
from typing import ClassVar, Protocol

import numpy as np

from facesets.errors import DamagedFile
from facesets.files import printable
from facesets.inference.model_files import CENTERFACE, ModelFile
from facesets.records import Float32


@dataclass(frozen=True, slots=True)
class Detections:
    """Faces of one image, best score first.

    Attributes
    ----------
    box : float32 array of shape (n, 4)
    kps : float32 array of shape (n, 5, 2)
    det_score : float32 array of shape (n,)
    """

    box: Float32
    kps: Float32
    det_score: Float32

    def __len__(self) -> int:
        return len(self.box)


class Decoder(Protocol):
    """Decodes a network's outputs."""

    max_overlap: ClassVar[float]
    """Maximum overlap (IoU) of two boxes; beyond it the one with the lower score is dropped."""
    clips: ClassVar[bool]
    """Whether boxes are clipped to the picture."""

    def of_image(self, output: Float32, image: int, images: int) -> Float32:
        """Return one image's part of a batch output."""
        ...

    def candidates(self, outputs: list[Float32], edge: int, least: float) -> Detections:
        """Return detections with a minimum score in one input, unordered, with overlaps."""
        ...


def decoder_of(model: ModelFile, outputs: int) -> Decoder:
    """Return the decoder for a detector with this many outputs.

    Raises
    ------
    DamagedFile
        They are not those of the decoder that its pack names, or hold no keypoints.
    """
    if model.decoder == CENTERFACE and outputs == CenterFace.OUTPUTS:
        return CenterFace()
    layout = None if model.decoder == CENTERFACE else Scrfd.LAYOUTS.get(outputs)
    if layout is None:
        raise DamagedFile(
            f"The detector {printable(model.path)} does not return keypoints. Use a pack with a "
            "suitable detector, such as buffalo_l."
        )
    return Scrfd(*layout)


@dataclass(frozen=True, slots=True)
class Scrfd:
    """SCRFD with keypoints: distances from anchors, at several scales.

    The same arithmetic as insightface's `SCRFD.detect`, without its per-image detours: anchors are made
    once, and only candidates above the threshold are ever turned into boxes.
    """

    # insightface's default.
    max_overlap: ClassVar[float] = 0.4
    clips: ClassVar[bool] = False
    LAYOUTS: ClassVar = {9: ((8, 16, 32), 2), 15: ((8, 16, 32, 64, 128), 1)}
    """Strides and anchors per cell, by the number of outputs of networks with keypoints."""

    strides: tuple[int, ...]
    anchors_per_cell: int

    def of_image(self, output: Float32, image: int, images: int) -> Float32:
        """Return one image's rows of an output for several.

        These networks put the cells first, then the images, then the anchors, and flatten all into rows;
        some later ones keep the images apart.
        """
        if output.ndim == 3:
            own: Float32 = output[image]
            return own
        rows, values = output.shape
        apart = output.reshape(-1, images, self.anchors_per_cell, values)
        of_image: Float32 = apart[:, image].reshape(rows // images, values)
        return of_image

    def candidates(self, outputs: list[Float32], edge: int, least: float) -> Detections:
        """Return boxes above the threshold, as `Decoder.candidates`."""
        levels = len(self.strides)
        boxes, kps, scores = [], [], []
        for level, stride in enumerate(self.strides):
            score, distance, offset = (outputs[level + part * levels] for part in range(3))
            score, distance, offset = score.reshape(-1), distance.reshape(-1, 4), offset.reshape(-1, 10)
            rows = np.flatnonzero(score >= least)
            center = _anchors(edge // stride, stride, self.anchors_per_cell)[rows]
            reach = distance[rows] * stride
            boxes.append(np.concatenate([center - reach[:, :2], center + reach[:, 2:]], axis=1))
            kps.append(center[:, None] + offset[rows].reshape(-1, 5, 2) * stride)
            scores.append(score[rows])
        return Detections(np.concatenate(boxes), np.concatenate(kps), np.concatenate(scores))


@cache
def _anchors(cells: int, stride: int, per_cell: int) -> Float32:
    """Return centers of the cells of one level, row by row, each repeated `per_cell` times."""
    y, x = np.mgrid[:cells, :cells].astype(np.float32) * stride
    centers: Float32 = np.repeat(np.stack([x, y], axis=-1).reshape(-1, 2), per_cell, axis=0)
    return centers


@dataclass(frozen=True, slots=True)
class CenterFace:
    """CenterFace: a heat map of centers; at each, the logarithm of the size, a shift, and five points."""

    max_overlap: ClassVar[float] = 0.3
    clips: ClassVar[bool] = True
    OUTPUTS: ClassVar = 4
    STRIDE: ClassVar = 4

    def of_image(self, output: Float32, image: int, images: int) -> Float32:
        """Return one image's maps of an output for several."""
        if len(output) != images:
            raise ValueError("an output does not have the number of images of the input")
        own: Float32 = output[image]
        return own

    def candidates(self, outputs: list[Float32], edge: int, least: float) -> Detections:  # noqa: ARG002
        """Return boxes, as `Decoder.candidates`. All numbers of the network are in the order y, x."""
        heat, log_size, shift, points = outputs
        y, x = np.nonzero(heat[0] >= least)
        size = np.exp(log_size[::-1, y, x].T) * self.STRIDE
        center = (np.stack([x, y], axis=1) + shift[::-1, y, x].T + 0.5) * self.STRIDE
        low = center - size / 2
        relative = points[:, y, x].T.reshape(-1, 5, 2)[:, :, ::-1]
        kps = low[:, None] + relative * size[:, None]
        return Detections(np.concatenate([low, low + size], axis=1), kps, heat[0, y, x])
