"""Where a face looks, from its five keypoints alone."""

import numpy as np
from numpy.typing import NDArray

from facesets.records import Float32

FACE_3D = np.array(
    [
        [-0.500, -0.583, 0.00],
        [0.500, -0.583, 0.00],
        [0.003, -0.011, 0.54],
        [-0.408, 0.574, 0.12],
        [0.420, 0.569, 0.12],
    ]
)
"""Eyes, nose tip and corners of the mouth of an average face, in distances between the eyes.

x points to the right of the picture, y down, z towards the viewer. x and y are those of the ArcFace
template, to which detectors are frontal on average; the depths are those of the mean face behind
insightface's 68 landmarks.
"""

_CENTRED = FACE_3D - FACE_3D.mean(axis=0)
_FIT = np.linalg.pinv(_CENTRED)


def pose_from_keypoints(kps: Float32) -> Float32:
    """Pitch, yaw and roll of faces, fitted by weak perspective in closed form.

    The affine camera that maps the generic face to the keypoints in the least-squares sense is
    replaced by the nearest scaled rotation. Good to several degrees: people's noses differ.

    Parameters
    ----------
    kps : float array of shape (n, 5, 2)
        In pixels.

    Returns
    -------
    float32 array of shape (n, 3)
        Degrees, with the signs of insightface's `pose`: positive pitch looks up, positive yaw to the
        right of the picture, positive roll tilts clockwise. NaN for keypoints that coincide.
    """
    centred = kps - kps.mean(axis=1, keepdims=True)
    affine = np.einsum("dk,nkc->ncd", _FIT, centred.astype(np.float64))
    extent = np.abs(affine).max(axis=(1, 2), initial=0.0)
    usable = np.isfinite(extent) & (extent > 1e-6)
    pose = np.full((len(kps), 3), np.nan, np.float32)
    u, _, vt = np.linalg.svd(affine[usable], full_matrices=False)
    pose[usable] = _angles(u @ vt)
    return pose


def _angles(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Euler angles in degrees of rotations given by their first two rows, (n, 2, 3)."""
    right, down = rows[:, 0], rows[:, 1]
    towards = np.cross(right, down)
    pitch = np.arctan2(towards[:, 1], towards[:, 2])
    yaw = np.arctan2(-towards[:, 0], np.hypot(right[:, 0], down[:, 0]))
    roll = np.arctan2(down[:, 0], right[:, 0])
    angles: NDArray[np.float64] = np.degrees(np.stack([pitch, yaw, roll], axis=1))
    return angles
