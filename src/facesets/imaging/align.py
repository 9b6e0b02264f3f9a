"""Turn faces upright and scale them as ArcFace recognizers expect."""

import cv2
import numpy as np
from numpy.typing import NDArray

from facesets.records import Float32, Pixels

ARCFACE_KPS = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]],
    dtype=np.float32,
)
"""Template of the five keypoints in a crop of 112×112 (insightface, `face_align.arcface_dst`)."""


def similarity_to_template(
    kps: Float32, size: int = 112, template: Float32 | None = None
) -> NDArray[np.float64]:
    """Return the rotation, scale and shift that best map five keypoints to a template.

    Parameters
    ----------
    kps : float array of shape (5, 2)
    size : int
        Edge of the crop in pixels.
    template : float array of shape (5, 2), optional
        Positions in a crop of that size; by default ArcFace's.

    Returns
    -------
    float64 array of shape (2, 3)
        For `cv2.warpAffine`. All zeros if the keypoints coincide, which leaves the scale undefined.

    References
    ----------
    Umeyama, "Least-squares estimation of transformation parameters", PAMI 1991; in two dimensions
    the rotation has this closed form.
    """
    source = np.asarray(kps, np.float64)
    target = ARCFACE_KPS.astype(np.float64) * (size / 112)
    if template is not None:
        target = template.astype(np.float64)
    source_mean, target_mean = source.mean(axis=0), target.mean(axis=0)
    s, t = source - source_mean, target - target_mean
    spread = (s**2).sum()
    if not spread > 0:
        return np.zeros((2, 3))
    a = (s * t).sum() / spread
    b = (s[:, 0] * t[:, 1] - s[:, 1] * t[:, 0]).sum() / spread
    linear = np.array([[a, -b], [b, a]])
    return np.column_stack([linear, target_mean - linear @ source_mean])


def align(pixels: Pixels, kps: Float32, size: int = 112, template: Float32 | None = None) -> Pixels:
    """Cut out a face, upright, as the recognizer needs it; by default like insightface's `norm_crop`.

    Parameters
    ----------
    pixels : uint8 array of shape (h, w, 3)
    kps : float array of shape (5, 2)
    size : int
        Edge of the crop in pixels.
    template : float array of shape (5, 2), optional
        As for `similarity_to_template`.

    Returns
    -------
    uint8 array of shape (size, size, 3)
        Black where the crop reaches beyond the picture.
    """
    matrix = similarity_to_template(kps, size, template)
    crop: Pixels = cv2.warpAffine(pixels, matrix, (size, size), borderValue=0.0)
    return crop
