"""Embed the faces of images in this process."""

from collections.abc import Sequence

import numpy as np

from facesets.imaging.align import align
from facesets.imaging.boxes import short_edge
from facesets.imaging.sharpness import sharpness
from facesets.inference.decoders import Detections
from facesets.inference.detector import Detector
from facesets.inference.packs import ModelPack
from facesets.inference.recognizer import Recognizer
from facesets.inference.session import CPU
from facesets.records import CacheSettings, Faces, Float32, Pixels
from facesets.stopwatch import Stopwatch


class LocalEmbedder:
    """An `Embedder` on ONNX Runtime. May be called from several threads at once."""

    def __init__(
        self,
        pack: ModelPack,
        *,
        det_size: int,
        min_det_score: float,
        provider: str = CPU,
        faces_per_run: int = 1,
        images_per_run: int = 1,
        threads: int = 1,
        stopwatch: Stopwatch | None = None,
    ) -> None:
        """Load detector and recognizer of a pack; see `Detector` and `Recognizer` for errors."""
        self._stopwatch = stopwatch or Stopwatch()
        self._detector = Detector(
            pack.detector,
            det_size=det_size,
            min_det_score=min_det_score,
            provider=provider,
            threads=threads,
            images_per_run=images_per_run,
        )
        self._recognizer = Recognizer(
            pack.recognizer, provider=provider, threads=threads, batch_size=faces_per_run
        )
        self._template = None
        if pack.recognizer.keypoints is not None:
            self._template = np.array(pack.recognizer.keypoints, np.float32)
        self._settings = CacheSettings(
            pack=pack.name,
            recognizer=pack.recognizer.path.name,
            recognizer_sha256=pack.recognizer.sha256,
            dimension=self._recognizer.dimension,
            detector=pack.detector.path.name,
            detector_sha256=pack.detector.sha256,
            det_size=det_size,
            min_det_score=min_det_score,
        )

    @property
    def settings(self) -> CacheSettings:
        """Return the models and detection settings of the faces."""
        return self._settings

    def detect(self, pixels: Pixels) -> Detections:
        """Detect the faces in one image, without embeddings."""
        return self._detector.detect(pixels)

    def detect_all(self, pictures: Sequence[Pixels]) -> list[Detections]:
        """Detect the faces in each image, without embeddings."""
        return self._detector.detect_all(pictures)

    def raw_embeddings(self, pixels: Pixels, kps: Float32) -> Float32:
        """Return the raw output of the recognition model for faces by keypoints (n, 5, 2): (n, dimension)."""
        return self._recognizer.raw_embeddings(self._crops(pixels, kps))

    def embed(self, pictures: Sequence[Pixels]) -> list[Faces]:
        """Find and embed the faces in each image.

        The faces of all pictures go through the recognizer together.
        """
        with self._stopwatch.stage("detect"):
            found = self._detector.detect_all(pictures)
        with self._stopwatch.stage("align"):
            crops = [
                crop
                for pixels, detections in zip(pictures, found, strict=True)
                for crop in self._crops(pixels, detections.kps)
            ]
        with self._stopwatch.stage("recognise"):
            embeddings, norms = self._recognizer.embeddings_and_norms(crops)
        end = np.cumsum([len(detections) for detections in found])
        rows = [slice(last - len(each), last) for last, each in zip(end, found, strict=True)]
        with self._stopwatch.stage("measure faces"):
            return [
                _faces(pixels, detections, embeddings[mine], norms[mine])
                for pixels, detections, mine in zip(pictures, found, rows, strict=True)
            ]

    def _crops(self, pixels: Pixels, kps: Float32) -> list[Pixels]:
        size, template = self._recognizer.input_size, self._template
        return [align(pixels, points, size, template) for points in kps]


def _faces(pixels: Pixels, detections: Detections, embedding: Float32, norm: Float32) -> Faces:
    return Faces(
        image=np.zeros(len(detections), np.int64),
        box=detections.box,
        kps=detections.kps,
        det_score=detections.det_score,
        embedding=embedding,
        face_short=short_edge(detections.box),
        blur=np.array([sharpness(pixels, box) for box in detections.box], np.float32),
        norm=norm,
    )
