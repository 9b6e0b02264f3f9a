"""Measure the sharpness of a face."""

import cv2
import numpy as np

from facesets.records import Float32, Pixels


def sharpness(pixels: Pixels, box: Float32) -> float:
    """Return the Laplacian variance of the gray face crop; 0 for a box off the picture.

    Parameters
    ----------
    pixels : uint8 array of shape (h, w, 3)
        RGB.
    box : float array of shape (4,)

    References
    ----------
    Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy", ICPR 2000.
    """
    height, width = pixels.shape[:2]
    x1, y1 = np.clip(np.floor(box[:2]).astype(int), 0, (width, height))
    x2, y2 = np.clip(np.ceil(box[2:]).astype(int), 0, (width, height))
    if x2 <= x1 or y2 <= y1:
        return 0.0
    gray = cv2.cvtColor(pixels[y1:y2, x1:x2], cv2.COLOR_RGB2GRAY)
    # Whole numbers, which 16 bits hold: the same variance as in floating point, in a quarter of the time.
    _, deviation = cv2.meanStdDev(cv2.Laplacian(gray, cv2.CV_16S))
    return float(deviation[0, 0] ** 2)
