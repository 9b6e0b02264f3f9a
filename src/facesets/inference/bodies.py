"""Detect people in images, and faces if the network finds them.

Accepts any ONNX file in YOLO's layout (see docs/photos.md).
"""

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from facesets.errors import CannotInfer, DamagedFile, WrongUsage
from facesets.files import printable, sha256_of
from facesets.imaging.bodies import Boxes, SeenBodies
from facesets.imaging.boxes import unsuppressed
from facesets.inference.body_outputs import FACE, PERSON, BodyCandidates, candidates, layout_of
from facesets.inference.session import CPU, Session
from facesets.installation import page
from facesets.records import Float32, Pixels

MIN_SCORE = 0.5
MAX_OVERLAP = 0.45
_USUAL_EDGE = 640
_GRAY = 114
_MAX_CLASSES = 10_000
"""Maximum number of classes."""
_MIN_SIDE = 1.0
"""Minimum width of a person in pixels of the image."""


@dataclass(frozen=True, slots=True)
class _Frame:
    """The placement of an image in the input: scale and top left corner."""

    scale: tuple[float, float]
    corner: tuple[int, int]


class BodyDetector:
    """A loaded network that finds people. May be used from several threads at once."""

    def __init__(
        self,
        path: Path,
        *,
        provider: str = CPU,
        threads: int = 1,
        images_per_run: int = 1,
        min_score: float = MIN_SCORE,
        max_overlap: float = MAX_OVERLAP,
    ) -> None:
        """Load a network and test it with an empty image.

        Parameters
        ----------
        images_per_run : int
            Pictures that go through it at a time, where it takes any number; otherwise as many as it takes.

        Raises
        ------
        WrongUsage
            There is no such file.
        DamagedFile
            It is no usable body detector; with the reason.
        CannotInfer
            It does not run on the provider.
        """
        if not path.is_file():
            raise WrongUsage(f"Body model not found: {printable(path)}. Give an ONNX file.")
        try:
            self._session = Session(path, provider, threads=threads, rewrite=False)
        except CannotInfer as error:
            if (reason := _why_not_onnx(path)) is not None:
                raise _unfit(path, reason) from error
            raise
        self.path = path
        self._min_score, self._most_overlap = min_score, max_overlap
        try:
            self._size = self._input_size()
            self._batch = self._session.fixed_batch or images_per_run
            self._which, blank = self._tried()
            described = self._session.raw.get_modelmeta().custom_metadata_map
            self._layout = layout_of(
                blank,
                _names(described.get("names", "")),
                self._size,
                extra=described.get("task") in ("pose", "segment"),
                suppressed=_is_suppressed(described),
            )
        except ValueError as error:
            raise _unfit(path, str(error)) from error
        # YOLOX is trained on pixels as OpenCV reads them, at the top left corner of its input.
        self._raw_pixels = self._layout.kind == "cells"

    @property
    def knows_faces(self) -> bool:
        """Whether it finds faces, too."""
        return FACE in self._layout.classes

    @property
    def identity(self) -> str:
        """Return the file's digest and the settings, which determine the results."""
        width, height = self._size
        return f"{sha256_of(self.path)} {width}x{height} {self._min_score:g} {self._most_overlap:g}"

    def describe(self) -> str:
        """Describe the detector."""
        width, height = self._size
        finds = "people and faces" if self.knows_faces else "people"
        return f"finds {finds} in {width} x {height} pixels ({_WORDS[self._layout.kind]})"

    def detect(self, pixels: Pixels) -> SeenBodies:
        """Find the people in one upright image."""
        return self.detect_all([pixels])[0]

    def detect_all(self, pictures: Sequence[Pixels]) -> list[SeenBodies]:
        """Find the people in each image, independently of the others.

        Raises
        ------
        CannotInfer
            The machine refused, for want of memory for instance.
        """
        found = []
        for start in range(0, len(pictures), self._batch):
            some = pictures[start : start + self._batch]
            batch = self._empty(self._session.run_size(len(some)))
            frames = [self._place(pixels, batch[i]) for i, pixels in enumerate(some)]
            output = self._session.run(batch)[self._which]
            for i, (pixels, frame) in enumerate(zip(some, frames, strict=True)):
                seen = candidates(output[i], self._layout, self._size, self._min_score)
                found.append(self._in_picture(seen, frame, (pixels.shape[1], pixels.shape[0])))
        return found

    def _input_size(self) -> tuple[int, int]:
        """Return width and height of the input. Raises `ValueError` if it does not accept images."""
        inputs = self._session.inputs
        if len(inputs) != 1:
            raise ValueError(f"it has {len(inputs)} inputs instead of one")
        (given,) = inputs
        if given.dtype not in (np.dtype(np.float32), np.dtype(np.float16)):
            raise ValueError("its input is not floating-point")
        if len(given.shape) != 4 or given.fixed(1) not in (3, None):
            shape = ", ".join(str(each) for each in given.shape)
            raise ValueError(f"its input [{shape}] is not images [n, 3, height, width]")
        return given.fixed(3) or _USUAL_EDGE, given.fixed(2) or _USUAL_EDGE

    def _empty(self, images: int) -> Float32:
        width, height = self._size
        return np.full((images, 3, height, width), _GRAY / 255, np.float32)

    def _tried(self) -> tuple[int, NDArray[Any]]:
        """Find the output with boxes, and its value for an empty image. Raises `ValueError`."""
        try:
            outputs = self._session.run(self._empty(self._session.run_size(1)))
        except CannotInfer as error:
            raise ValueError(f"it cannot be run with {self._size[0]} x {self._size[1]} pixels") from error
        for place, output in enumerate(outputs):
            if output.ndim == 3:
                return place, output
        shapes = "; ".join(str(list(output.shape)) for output in outputs)
        raise ValueError(f"none of its outputs ({shapes}) has the shape [n, boxes, numbers]")

    def _place(self, pixels: Pixels, into: Float32) -> _Frame:
        """Scale an image to fit, centered on gray; differently for YOLOX."""
        (height, width), (edge_x, edge_y) = pixels.shape[:2], self._size
        scale = min(edge_x / width, edge_y / height)
        new = max(1, round(width * scale)), max(1, round(height * scale))
        left, top = (0, 0) if self._raw_pixels else ((edge_x - new[0]) // 2, (edge_y - new[1]) // 2)
        picture = np.full((edge_y, edge_x, 3), _GRAY, np.uint8)
        picture[top : top + new[1], left : left + new[0]] = cv2.resize(pixels, new)
        planes = picture.transpose(2, 0, 1)
        into[:] = planes[::-1] if self._raw_pixels else planes / np.float32(255)
        return _Frame((new[0] / width, new[1] / height), (left, top))

    def _in_picture(self, seen: BodyCandidates, frame: _Frame, size: tuple[int, int]) -> SeenBodies:
        """Return the best of overlapping boxes, in pixels of the image."""
        corner, scale = np.array(frame.corner * 2, np.float32), np.array(frame.scale * 2, np.float32)
        box = np.clip((seen.box - corner) / scale, 0, np.array(size * 2, np.float32)).astype(np.float32)
        large = ((box[:, 2:] - box[:, :2]) >= _MIN_SIDE).all(axis=1)
        parts = []
        for kind in (PERSON, FACE):
            rows = np.flatnonzero((seen.kind == kind) & large)
            # Ties are ordered by place: the same picture gives the same rows.
            rows = rows[np.lexsort((*box[rows].T, -seen.score[rows]))]
            rows = rows[unsuppressed(box[rows], self._most_overlap)]
            parts.append(Boxes(box[rows], seen.score[rows].astype(np.float32)))
        return SeenBodies(*parts)


_WORDS = {
    "scores": "YOLOv8's layout",
    "objectness": "YOLOv5's layout",
    "cells": "YOLOX's layout",
    "suppressed": "boxes already suppressed by the network",
}


def _names(text: str) -> list[str]:
    """Parse the class names that exporters write: a dict or a list in Python syntax."""
    if not text:
        return []
    try:
        named = ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError) as error:
        raise ValueError("the names of its classes cannot be read") from error
    if isinstance(named, dict) and all(isinstance(each, int) and 0 <= each < _MAX_CLASSES for each in named):
        named = [named.get(number, "") for number in range(max(named, default=-1) + 1)]
    if not isinstance(named, list | tuple):
        raise ValueError("the names of its classes are not a list")  # noqa: TRY004 - the content is wrong
    return [str(name) for name in named]


def _is_suppressed(described: Mapping[str, str]) -> bool:
    """Whether a file's metadata states that it suppresses boxes itself."""
    if described.get("end2end") == "True":
        return True
    try:
        how = ast.literal_eval(described.get("args", "{}"))
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False
    return isinstance(how, dict) and how.get("nms") is True


def _why_not_onnx(path: Path) -> str | None:
    """Return why a file is not an ONNX model; None if it is."""
    try:
        with path.open("rb") as file:
            begins = file.read(4)
    except OSError as error:
        return f"it cannot be read ({error.strerror or error})"
    if not begins:
        return "the file is empty"
    try:
        onnx.load(str(path), load_external_data=False)
    except DecodeError:
        if begins.startswith(b"PK"):
            return "it is an archive, such as a PyTorch checkpoint, not ONNX: export it to ONNX first"
        return "it is not an ONNX model"
    return None


def _unfit(path: Path, reason: str) -> DamagedFile:
    return DamagedFile(
        f"{printable(path)} cannot be used as a body model: {printable(reason)}. For the "
        f"requirements, see {page('photos.md')}."
    )
