"""Detect faces in images: boxes, scores and five keypoints."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from facesets.errors import CannotInfer, Field, WrongUsage
from facesets.imaging.boxes import unsuppressed
from facesets.inference.decoders import Detections, decoder_of
from facesets.inference.model_files import ModelFile
from facesets.inference.rewrite import PixelInput
from facesets.inference.session import CPU, TAKES_PIXELS, Session
from facesets.records import Float32, Pixels

_MAX_ON_CPU = 4


class Detector:
    """A loaded network that finds faces with keypoints."""

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
            raise WrongUsage(
                f"{Field('det_size', str(det_size))} is not a multiple of 32. Use 320, 640 or 1024."
            )
        pixels = None
        if provider in TAKES_PIXELS:
            pixels = PixelInput(det_size, model.input_mean, model.input_std, bgr=model.bgr)
        self._takes_pixels = pixels is not None
        self._session = Session(model.path, provider, threads=threads, pixels=pixels)
        self._decoder = decoder_of(model, len(self._session.output_shapes))
        # Pixel values in the network's scale, looked up rather than computed for each pixel.
        self._normalized = model.levels()
        self._bgr = model.bgr
        self._det_size = det_size
        self._min_det_score = min_det_score
        self.images_per_run = 1
        if provider == CPU:
            images_per_run = min(images_per_run, _MAX_ON_CPU)
        if images_per_run > 1:
            batched = Session(model.path, provider, threads=threads, free_batch=True, pixels=pixels)
            if self._takes_batches(batched):
                self._session, self.images_per_run = batched, images_per_run

    def detect(self, pixels: Pixels) -> Detections:
        """Find the faces in one upright image.

        The picture is scaled to fit the detector's square input, at its top left corner.
        """
        return self.detect_all([pixels])[0]

    def detect_all(self, pictures: Sequence[Pixels]) -> list[Detections]:
        """Find the faces in each image, `images_per_run` images at a time."""
        found = []
        for start in range(0, len(pictures), self.images_per_run):
            some = pictures[start : start + self.images_per_run]
            batch = self._empty(self._session.run_size(len(some)))
            scales = [self._place(pixels, batch[i]) for i, pixels in enumerate(some)]
            outputs = self._session.run(batch)
            found += [
                self._decode(
                    [self._decoder.of_image(output, i, len(batch)) for output in outputs],
                    scale,
                    (some[i].shape[1], some[i].shape[0]),
                )
                for i, scale in enumerate(scales)
            ]
        return found

    def _empty(self, images: int) -> NDArray[Any]:
        """Return black input images."""
        edge = self._det_size
        if self._takes_pixels:
            return np.zeros((images, edge, edge, 3), np.uint8)
        return np.ascontiguousarray(np.broadcast_to(self._normalized[:, :1, None], (images, 3, edge, edge)))

    def _place(self, pixels: Pixels, into: NDArray[Any]) -> float:
        """Scale an image into a black input; return the scale."""
        height, width = pixels.shape[:2]
        new_width, new_height = _fit(width, height, self._det_size)
        resized = cv2.resize(pixels, (new_width, new_height))
        if self._takes_pixels:
            into[:new_height, :new_width] = resized
        else:
            planes = cv2.split(resized)
            for channel, plane in enumerate(planes[::-1] if self._bgr else planes):
                into[channel, :new_height, :new_width] = cv2.LUT(plane, self._normalized[channel])
        return float(new_height / height)

    def _takes_batches(self, batched: Session) -> bool:
        """Whether a batch of two gives the same results as single inputs."""
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
                np.allclose(
                    self._decoder.of_image(output, i, 2), self._decoder.of_image(own, 0, 1), atol=1e-3
                )
                for i in range(2)
                for output, own in zip(together, alone[i], strict=True)
            )
        except ValueError:
            # The outputs do not have the shapes of two pictures.
            return False

    def _decode(self, outputs: list[Float32], scale: float, size: tuple[int, int]) -> Detections:
        found = self._decoder.candidates(outputs, self._det_size, self._min_det_score)
        order = np.argsort(-found.det_score, kind="stable")
        box = (found.box[order] / scale).astype(np.float32)
        if self._decoder.clips:
            # Clip only now: positions of keypoints depend on the whole box.
            box = np.clip(box, 0, np.array(size * 2, np.float32))
        points = (found.kps[order] / scale).astype(np.float32)
        score = found.det_score[order].astype(np.float32)
        # Widths count both border pixels, as in insightface.
        keep = unsuppressed(box, self._decoder.max_overlap, border=1)
        return Detections(box[keep], points[keep], score[keep])


def _fit(width: int, height: int, edge: int) -> tuple[int, int]:
    """Return the size of the scaled image, rounded like insightface, at least 1."""
    if height > width:
        return max(1, int(edge / (height / width))), edge
    return edge, max(1, int(edge * (height / width)))
