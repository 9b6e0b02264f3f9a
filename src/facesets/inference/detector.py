"""SCRFD: boxes, scores and five keypoints.

The same arithmetic as insightface's `SCRFD.detect`, without its per-image detours: anchors are made
once, and only candidates above the threshold are ever turned into boxes.

References
----------
Guo et al., "Sample and computation redistribution for efficient face detection", ICLR 2022.
"""

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from facesets.errors import DamagedFile, WrongUsage
from facesets.files import printable
from facesets.inference.packs import ModelFile
from facesets.inference.session import CPU, Session
from facesets.records import Float32, Pixels

NMS_IOU = 0.4
"""Of two boxes that overlap more, the one with the lower score goes (insightface's default)."""

# Number of outputs of networks with keypoints -> strides, anchors a cell.
_LAYOUTS = {9: ((8, 16, 32), 2), 15: ((8, 16, 32, 64, 128), 1)}


@dataclass(frozen=True, slots=True)
class Detections:
    """Faces of one picture, best score first.

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


class Detector:
    """A loaded SCRFD network with keypoints."""

    def __init__(
        self, model: ModelFile, *, det_size: int, min_det_score: float, provider: str = CPU, threads: int = 1
    ) -> None:
        """Load the network.

        Raises
        ------
        WrongUsage
            `det_size` is not a positive multiple of 32.
        DamagedFile
            The network gives no keypoints, without which no face can be aligned.
        """
        if det_size <= 0 or det_size % 32:
            raise WrongUsage(f"--det-size {det_size} is not a multiple of 32. Use 320, 640 or 1024.")
        self._session = Session(model.path, provider, threads=threads)
        layout = _LAYOUTS.get(len(self._session.output_shapes))
        if layout is None:
            raise DamagedFile(
                f"The detector {printable(model.path)} gives no keypoints. Use a pack whose detector "
                "does, such as buffalo_l."
            )
        self._strides, self._anchors_per_cell = layout
        # Pixel values as the network wants them, looked up rather than computed for each pixel.
        levels = (np.arange(256, dtype=np.float32) - model.input_mean) / model.input_std
        self._normalised: Float32 = levels.astype(np.float32)
        self._det_size = det_size
        self._min_det_score = min_det_score

    def detect(self, pixels: Pixels) -> Detections:
        """Find the faces of one upright picture.

        The picture is scaled to fit the detector's square input, at its top left corner.
        """
        height, width = pixels.shape[:2]
        new_width, new_height = _fit(width, height, self._det_size)
        blob = np.full((1, 3, self._det_size, self._det_size), self._normalised[0], np.float32)
        resized = cv2.resize(pixels, (new_width, new_height))
        for channel, plane in enumerate(cv2.split(resized)):
            blob[0, channel, :new_height, :new_width] = cv2.LUT(plane, self._normalised)
        return self._decode(self._session.run(blob), new_height / height)

    def _decode(self, outputs: list[Float32], scale: float) -> Detections:
        levels = len(self._strides)
        boxes, kps, scores = [], [], []
        for level, stride in enumerate(self._strides):
            score, distance, offset = (outputs[level + part * levels] for part in range(3))
            score, distance, offset = score.reshape(-1), distance.reshape(-1, 4), offset.reshape(-1, 10)
            rows = np.flatnonzero(score >= self._min_det_score)
            centre = _anchors(self._det_size // stride, stride, self._anchors_per_cell)[rows]
            reach = distance[rows] * stride
            boxes.append(np.concatenate([centre - reach[:, :2], centre + reach[:, 2:]], axis=1))
            kps.append(centre[:, None] + offset[rows].reshape(-1, 5, 2) * stride)
            scores.append(score[rows])
        score = np.concatenate(scores)
        order = np.argsort(-score, kind="stable")
        box = (np.concatenate(boxes)[order] / scale).astype(np.float32)
        points = (np.concatenate(kps)[order] / scale).astype(np.float32)
        score = score[order].astype(np.float32)
        keep = _suppress(box)
        return Detections(box[keep], points[keep], score[keep])


def _fit(width: int, height: int, edge: int) -> tuple[int, int]:
    """Size of the scaled picture; rounds as insightface does, and never to nothing."""
    if height > width:
        return max(1, int(edge / (height / width))), edge
    return edge, max(1, int(edge * (height / width)))


@cache
def _anchors(cells: int, stride: int, per_cell: int) -> Float32:
    """Centres of the cells of one level, row by row, each repeated `per_cell` times."""
    y, x = np.mgrid[:cells, :cells].astype(np.float32) * stride
    centres: Float32 = np.repeat(np.stack([x, y], axis=-1).reshape(-1, 2), per_cell, axis=0)
    return centres


def _suppress(box: Float32) -> list[int]:
    """Rows that survive non-maximum suppression; `box` is ordered best first.

    Widths count both border pixels, as in insightface.
    """
    area = (box[:, 2] - box[:, 0] + 1) * (box[:, 3] - box[:, 1] + 1)
    keep = []
    rest = np.arange(len(box))
    while rest.size:
        best, rest = rest[0], rest[1:]
        keep.append(int(best))
        low = np.maximum(box[best, :2], box[rest, :2])
        high = np.minimum(box[best, 2:], box[rest, 2:])
        shared = np.prod(np.maximum(0, high - low + 1), axis=1)
        rest = rest[shared / (area[best] + area[rest] - shared) <= NMS_IOU]
    return keep
