"""SCRFD: boxes, scores and five keypoints.

The same arithmetic as insightface's `SCRFD.detect`, without its per-image detours: anchors are made
once, and only candidates above the threshold are ever turned into boxes.

References
----------
Guo et al., "Sample and computation redistribution for efficient face detection", ICLR 2022.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from facesets.errors import CannotInfer, DamagedFile, WrongUsage
from facesets.files import printable
from facesets.inference.packs import ModelFile
from facesets.inference.rewrite import PixelInput
from facesets.inference.session import CPU, TAKES_PIXELS, Session
from facesets.records import Float32, Pixels

NMS_IOU = 0.4
"""Of two boxes that overlap more, the one with the lower score goes (insightface's default)."""

_MOST_ON_CPU = 4

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
        self,
        model: ModelFile,
        *,
        det_size: int,
        min_det_score: float,
        provider: str = CPU,
        threads: int = 1,
        images_per_run: int = 1,
    ) -> None:
        """Load the network.

        Parameters
        ----------
        images_per_run : int
            Pictures that go through the network at a time, if it can take several, which is tried. On a CPU
            never more than four: they gain nothing there and take 50 MB each.

        Raises
        ------
        WrongUsage
            `det_size` is not a positive multiple of 32.
        DamagedFile
            The network gives no keypoints, without which no face can be aligned.
        """
        if det_size <= 0 or det_size % 32:
            raise WrongUsage(f"--det-size {det_size} is not a multiple of 32. Use 320, 640 or 1024.")
        pixels = PixelInput(det_size, model.input_mean, model.input_std) if provider in TAKES_PIXELS else None
        self._takes_pixels = pixels is not None
        self._session = Session(model.path, provider, threads=threads, pixels=pixels)
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
        self.images_per_run = 1
        if provider == CPU:
            images_per_run = min(images_per_run, _MOST_ON_CPU)
        if images_per_run > 1:
            batched = Session(model.path, provider, threads=threads, free_batch=True, pixels=pixels)
            if self._takes_batches(batched):
                self._session, self.images_per_run = batched, images_per_run

    def detect(self, pixels: Pixels) -> Detections:
        """Find the faces of one upright picture.

        The picture is scaled to fit the detector's square input, at its top left corner.
        """
        return self.detect_all([pixels])[0]

    def detect_all(self, pictures: Sequence[Pixels]) -> list[Detections]:
        """Find the faces of each picture, `images_per_run` pictures at a time."""
        found = []
        for start in range(0, len(pictures), self.images_per_run):
            some = pictures[start : start + self.images_per_run]
            batch = self._empty(self._session.run_size(len(some)))
            scales = [self._place(pixels, batch[i]) for i, pixels in enumerate(some)]
            outputs = self._session.run(batch)
            found += [
                self._decode([self._of_image(output, i, len(batch)) for output in outputs], scale)
                for i, scale in enumerate(scales)
            ]
        return found

    def _empty(self, images: int) -> NDArray[Any]:
        """So many black pictures, as the network takes them."""
        edge = self._det_size
        if self._takes_pixels:
            return np.zeros((images, edge, edge, 3), np.uint8)
        return np.full((images, 3, edge, edge), self._normalised[0], np.float32)

    def _place(self, pixels: Pixels, into: NDArray[Any]) -> float:
        """Scale a picture into a black one: by how much it shrank."""
        height, width = pixels.shape[:2]
        new_width, new_height = _fit(width, height, self._det_size)
        resized = cv2.resize(pixels, (new_width, new_height))
        if self._takes_pixels:
            into[:new_height, :new_width] = resized
        else:
            for channel, plane in enumerate(cv2.split(resized)):
                into[channel, :new_height, :new_width] = cv2.LUT(plane, self._normalised)
        return float(new_height / height)

    def _takes_batches(self, batched: Session) -> bool:
        """Whether two inputs at once give what each gives alone: some graphs mix them up, or refuse."""
        pair = self._empty(2)
        noise = np.random.default_rng(0)
        for picture in pair:
            self._place(noise.integers(0, 256, (self._det_size, self._det_size, 3), np.uint8), picture)
        try:
            together = batched.run(pair)
        except CannotInfer:
            return False
        alone = [self._session.run(pair[i : i + 1]) for i in range(2)]
        try:
            return all(
                np.allclose(self._of_image(output, i, 2), self._of_image(own, 0, 1), atol=1e-3)
                for i in range(2)
                for output, own in zip(together, alone[i], strict=True)
            )
        except ValueError:
            # Outputs of other shapes than two pictures have.
            return False

    def _of_image(self, output: Float32, image: int, images: int) -> Float32:
        """One image's rows of an output for several.

        These networks put the cells first, then the images, then the anchors, and flatten all into rows;
        some later ones keep the images apart.
        """
        if output.ndim == 3:
            own: Float32 = output[image]
            return own
        rows, values = output.shape
        apart = output.reshape(-1, images, self._anchors_per_cell, values)
        of_image: Float32 = apart[:, image].reshape(rows // images, values)
        return of_image

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
