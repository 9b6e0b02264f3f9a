"""Estimate age and sex of faces with the attribute model of a pack.

InsightFace's own model takes one face at a time; this takes the same crops to the same network, and the faces
of a picture together where that is faster. A MiVOLO-like network takes a crop of the face and one of the
body, which may be missing.

References
----------
Kuprashevich and Tolstykh, "MiVOLO: multi-input transformer for age and gender estimation", 2023.
"""

from collections.abc import Sequence

import cv2
import numpy as np

from facesets.errors import CannotInfer
from facesets.face_attributes import FaceAttributes
from facesets.files import printable
from facesets.inference.model_files import GENDERAGE, MIVOLO, ModelFile
from facesets.inference.packs import ModelPack
from facesets.inference.session import CPU, Session
from facesets.records import Float32, Pixels

_MARGIN = 1.5
"""Edge of InsightFace's crop, as a multiple of the box's longer edge."""

_AT_ONCE = 16
_OLDEST = 130.0
_OUTPUTS = {GENDERAGE: ("female", "male", "age"), MIVOLO: ("male", "female", "age")}


def attribute_model(pack: ModelPack) -> ModelFile | None:
    """Return the model of a pack that estimates age and sex, preferring one that uses bodies."""
    return pack.models.get(MIVOLO) or pack.models.get(GENDERAGE)


class Attributes:
    """A loaded attribute model. May be called from several threads at once."""

    def __init__(self, model: ModelFile, *, provider: str = CPU, threads: int = 1) -> None:
        """Load the network. Raises `CannotInfer` if it does not fit its task."""
        self._model = model
        self._session = Session(model.path, provider, threads=threads)
        self._size = self._session.inputs[0].fixed(2) or model.input_size or 96
        self._channels = self._session.inputs[0].fixed(1) or 3
        # On a CPU one at a time is fastest, and makes each face independent of the others.
        self._at_once = self._session.fixed_batch or (1 if self._session.provider == CPU else _AT_ONCE)
        mean, std = (
            np.broadcast_to(np.asarray(each, np.float32), 3) for each in (model.input_mean, model.input_std)
        )
        self._mean, self._std = mean[:, None, None], std[:, None, None]
        self.version = f"{model.path.stem} {model.sha256[:16]}"

    def of(self, pixels: Pixels, box: Float32, body: Float32 | None = None) -> FaceAttributes:
        """Estimate age and sex of the faces in one image.

        Parameters
        ----------
        pixels : uint8 array of shape (h, w, 3)
        box : float32 array of shape (n, 4)
            The faces' boxes.
        body : float32 array of shape (n, 4), optional
            The box of each face's body; NaN if it has none.

        Raises
        ------
        CannotInfer
            The machine refused, or the network does not fit its task.
        """
        outputs = _OUTPUTS[self._model.task]
        if self._model.task == GENDERAGE:
            inputs = [self._scaled(_around(pixels, each, self._size)) for each in box]
        else:
            bodies = np.full_like(box, np.nan) if body is None else body
            inputs = [self._of_two(pixels, face, its) for face, its in zip(box, bodies, strict=True)]
        raw = self._run(inputs)
        male = _sigmoid(raw[:, outputs.index("male")] - raw[:, outputs.index("female")])
        return FaceAttributes(self._years(raw[:, 2]), male, raw, outputs)

    def _run(self, inputs: Sequence[Float32]) -> Float32:
        parts = [np.empty((0, 3), np.float32)]
        for start in range(0, len(inputs), self._at_once):
            some = np.stack(inputs[start : start + self._at_once])
            missing = self._session.run_size(len(some)) - len(some)
            padded = np.concatenate([some, np.zeros((missing, *some.shape[1:]), some.dtype)])
            out = np.asarray(self._session.run(padded)[0], np.float32)
            if out.shape != (len(padded), 3):
                raise CannotInfer(
                    f"The model {printable(self._model.path)} does not estimate age and sex: it "
                    f"returns {out.shape[-1]} numbers per face instead of 3. Remove it from the pack."
                )
            parts.append(out[: len(some)])
        return np.concatenate(parts)

    def _years(self, output: Float32) -> Float32:
        if self._model.task == GENDERAGE:
            years = output * np.float32(100)
        else:
            youngest, oldest = self._model.ages
            years = output * np.float32(oldest - youngest) + np.float32((oldest + youngest) / 2)
        believed: Float32 = np.clip(np.nan_to_num(years), 0, _OLDEST).astype(np.float32)
        return believed

    def _of_two(self, pixels: Pixels, face: Float32, body: Float32) -> Float32:
        crops = [_letterboxed(_cut(pixels, face), self._size)]
        if self._channels == 6:
            crops.append(_letterboxed(_cut(pixels, body), self._size))
        return np.concatenate([self._scaled(crop) for crop in crops])

    def _scaled(self, crop: Pixels) -> Float32:
        planes = crop.transpose(2, 0, 1).astype(np.float32)
        scaled: Float32 = ((planes - self._mean) / self._std).astype(np.float32)
        return scaled[::-1] if self._model.bgr else scaled


def _sigmoid(x: Float32) -> Float32:
    likely: Float32 = (1 / (1 + np.exp(-np.clip(x, -50, 50)))).astype(np.float32)
    return likely


def _around(pixels: Pixels, box: Float32, size: int) -> Pixels:
    """Crop a square around a box, black outside the image, exactly like InsightFace."""
    x1, y1, x2, y2 = box
    scale = np.float32(size) / (max(x2 - x1, y2 - y1, np.float32(1)) * np.float32(_MARGIN))
    across, down = (x2 + x1) / 2 * scale, (y2 + y1) / 2 * scale
    matrix = np.array([[scale, 0, size / 2 - float(across)], [0, scale, size / 2 - float(down)]], np.float64)
    crop: Pixels = cv2.warpAffine(pixels, matrix, (size, size), borderValue=0.0)
    return crop


def _cut(pixels: Pixels, box: Float32) -> Pixels | None:
    """Crop an image to a box; None without a box, or if it is outside."""
    if not np.isfinite(box).all():
        return None
    height, width = pixels.shape[:2]
    x1, y1, x2, y2 = np.clip(box, 0, [width, height, width, height]).astype(int).tolist()
    return pixels[y1:y2, x1:x2] if x2 > x1 and y2 > y1 else None


def _letterboxed(crop: Pixels | None, size: int) -> Pixels:
    """Fit a crop into a black square; all black without one."""
    square = np.zeros((size, size, 3), np.uint8)
    if crop is None:
        return square
    height, width = crop.shape[:2]
    scale = min(size / height, size / width)
    across, down = max(round(width * scale), 1), max(round(height * scale), 1)
    # Python rounds halves to even, which leaves the odd pixel on the same side as MiVOLO's own code.
    left, top = round((size - across) / 2 - 0.1), round((size - down) / 2 - 0.1)
    square[top : top + down, left : left + across] = cv2.resize(
        crop, (across, down), interpolation=cv2.INTER_LINEAR
    )
    return square
