"""The colours of what somebody wears, as a short row of numbers that can be compared."""

import cv2
import numpy as np
from numpy.typing import NDArray

from facesets.records import Float32, Pixels

_LIGHT = np.linspace(10, 90, 5, dtype=np.float32)
_CHROMA = np.linspace(-60, 60, 7, dtype=np.float32)
_LIGHT_BLUR, _CHROMA_BLUR = 12.0, 10.0
"""Standard deviations by which each pixel is spread: clothes of one colour are alike by exp(-d²/8s²)."""
COLOURS = len(_LIGHT) * len(_CHROMA) ** 2
"""Length of a descriptor: bins of lightness, of green to red, and of blue to yellow."""

_EDGE = 24
"""The torso is looked at in so many pixels each way: weave, folds and noise average out."""
_LEAST_EDGE = 8
"""A torso of fewer pixels says nothing."""


def torso_colours(pixels: Pixels, body: Float32, face: Float32 | None = None) -> NDArray[np.uint8]:
    """Describe the colours of a torso: a smooth histogram in CIELAB.

    Each pixel counts for several bins, by its nearness, so that a little more light changes the numbers a
    little. Roots are kept, for then the cosine similarity of two descriptors is the Bhattacharyya
    coefficient of their histograms.

    Parameters
    ----------
    body, face : float32 arrays of shape (4,)
        Boxes in pixels. With a face the torso begins where it ends; without, by shares of the body.

    Returns
    -------
    uint8 array of shape (`COLOURS`,)
        Zeros where the torso is too small or out of the picture.
    """
    left, top, right, bottom = _torso(body, face)
    height, width = pixels.shape[:2]
    x1, x2 = max(0, round(left)), min(width, round(right))
    y1, y2 = max(0, round(top)), min(height, round(bottom))
    if min(x2 - x1, y2 - y1) < _LEAST_EDGE:
        return np.zeros(COLOURS, np.uint8)
    small = cv2.resize(pixels[y1:y2, x1:x2], (_EDGE, _EDGE), interpolation=cv2.INTER_AREA)
    lab = cv2.cvtColor(small.astype(np.float32) / 255, cv2.COLOR_RGB2LAB).reshape(-1, 3)
    lab[:, 1:] = np.clip(lab[:, 1:], _CHROMA[0], _CHROMA[-1])
    parts = [
        _shares(lab[:, 0], _LIGHT, _LIGHT_BLUR),
        *(_shares(lab[:, axis], _CHROMA, _CHROMA_BLUR) for axis in (1, 2)),
    ]
    histogram = np.einsum("ni,nj,nk->ijk", *parts).ravel() / len(lab)
    roots: NDArray[np.uint8] = np.rint(255 * np.sqrt(histogram)).astype(np.uint8)
    return roots


def _torso(body: Float32, face: Float32 | None) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = map(float, body)
    if face is None:
        width, height = x2 - x1, y2 - y1
        return x1 + 0.3 * width, y1 + 0.25 * height, x2 - 0.3 * width, y1 + 0.5 * height
    edge = float(face[2] - face[0])
    middle, chin = float(face[0] + face[2]) / 2, float(face[3])
    top = chin + 0.4 * edge
    return max(x1, middle - 0.8 * edge), top, min(x2, middle + 0.8 * edge), min(y2, top + 1.8 * edge)


def _shares(values: Float32, middles: Float32, blur: float) -> Float32:
    """How much each value belongs to each bin, (n, bins)."""
    shares: Float32 = np.exp(-(((values[:, None] - middles[None]) / blur) ** 2) / 2)
    shares /= np.maximum(shares.sum(axis=1, keepdims=True), 1e-12)
    return shares
