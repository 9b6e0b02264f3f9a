"""Rate a face's pose and its quality as an example of its person, in five parts in [0, 1]."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facesets.records import Faces, Float32

WEIGHTS = {
    "frontality": 0.30,
    "det_score": 0.20,
    "symmetry": 0.20,
    "face_size": 0.15,
    "sharpness": 0.15,
}

_MIN_FACE_PX = 32.0
# A face of 256 pixels fills a crop of 512 padded by half on each side; larger ones gain nothing.
_FULL_FACE_PX = 256.0
_HALF_SHARP = 150.0


@dataclass(frozen=True, slots=True)
class FaceQuality:
    """The parts of the quality of n faces, each a float32 array of shape (n,) in [0, 1].

    Attributes
    ----------
    frontality : 1 looking into the camera, 0 turned away by 90°; roll does not count.
    det_score : the detector's score.
    symmetry : how near the nose lies to the midline between the eyes and the corners of the mouth.
    face_size : 0 at 32 pixels of short edge, 1 at 256, in octaves.
    sharpness : 0 without any detail, 1/2 at a Laplacian variance of 150, towards 1 beyond.
    """

    frontality: Float32
    det_score: Float32
    symmetry: Float32
    face_size: Float32
    sharpness: Float32

    @property
    def total(self) -> Float32:
        """Return the weighted sum, in [0, 1]."""
        total: Float32 = sum(
            (np.float32(weight) * getattr(self, part) for part, weight in WEIGHTS.items()),
            start=np.zeros_like(self.det_score),
        )
        return total


def quality(faces: Faces, pose: Float32 | None = None) -> FaceQuality:
    """Rate faces by stored values and their `known_pose`, without reading pictures."""
    return FaceQuality(
        frontality=frontality(known_pose(faces) if pose is None else pose),
        det_score=_unit(faces.det_score),
        symmetry=symmetry(faces.kps),
        face_size=size_score(faces.face_short),
        sharpness=sharpness_score(faces.blur),
    )


def known_pose(faces: Faces) -> Float32:
    """Return the stored pose, else the one estimated from the keypoints; degrees, (n, 3)."""
    estimated = pose_from_keypoints(faces.kps)
    if faces.pose is None:
        return estimated
    known: Float32 = np.where(np.isfinite(faces.pose), faces.pose, estimated)
    return known


def frontality(pose: Float32) -> Float32:
    """Return 1 minus the angle between the face's direction and the camera, in right angles.

    Parameters
    ----------
    pose : float array of shape (n, 3)
        Pitch, yaw, roll in degrees; NaN counts as turned away.
    """
    pitch, yaw = np.radians(pose[:, 0]), np.radians(pose[:, 1])
    angle = np.degrees(np.arccos(np.clip(np.cos(pitch) * np.cos(yaw), -1, 1)))
    return _unit(1 - angle / 90)


def symmetry(kps: Float32) -> Float32:
    """Return how near the nose lies to the midline, relative to the eyes and to the mouth.

    The nose's offset from the middle of the eyes, across the line from eyes to mouth, is measured in
    half distances between the eyes, and the same for the mouth. No offset gives 1, a nose halfway to
    one eye 1/2, a profile nearly 0.

    Parameters
    ----------
    kps : float array of shape (n, 5, 2)
        Left eye, right eye, nose, left and right corner of the mouth.
    """
    eyes, nose, mouth = kps[:, 0:2], kps[:, 2], kps[:, 3:5]
    down = mouth.mean(axis=1) - eyes.mean(axis=1)
    down = down / np.maximum(np.linalg.norm(down, axis=1, keepdims=True), 1e-6)
    across = np.stack([down[:, 1], -down[:, 0]], axis=1)
    scores = [_evenness(pair, nose, across) for pair in (eyes, mouth)]
    return _unit((scores[0] + scores[1]) / 2)


def _evenness(pair: Float32, nose: Float32, across: Float32) -> Float32:
    offset = ((nose - pair.mean(axis=1)) * across).sum(axis=1)
    half_width = np.abs(((pair[:, 1] - pair[:, 0]) * across).sum(axis=1)) / 2
    even: Float32 = 1 / (1 + (2 * offset / np.maximum(half_width, 1e-6)) ** 2)
    return even


def size_score(face_short: Float32) -> Float32:
    """Return the octaves above 32 pixels, as a share of the three up to 256."""
    octaves = np.log2(np.maximum(face_short, 1e-6) / _MIN_FACE_PX)
    return _unit(octaves / np.log2(_FULL_FACE_PX / _MIN_FACE_PX))


def sharpness_score(blur: Float32) -> Float32:
    """Map Laplacian variance to [0, 1), strictly increasing, so that it ranks like its source."""
    positive = np.maximum(blur, 0)
    return _unit(positive / (positive + _HALF_SHARP))


def _unit(values: NDArray[np.floating]) -> Float32:
    clipped: Float32 = np.nan_to_num(np.clip(values, 0, 1), nan=0.0).astype(np.float32)
    return clipped


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

_CENTERED = FACE_3D - FACE_3D.mean(axis=0)
_FIT = np.linalg.pinv(_CENTERED)


def pose_from_keypoints(kps: Float32) -> Float32:
    """Estimate pitch, yaw and roll of faces by weak perspective in closed form.

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
    centered = kps - kps.mean(axis=1, keepdims=True)
    affine = np.einsum("dk,nkc->ncd", _FIT, centered.astype(np.float64))
    extent = np.abs(affine).max(axis=(1, 2), initial=0.0)
    usable = np.isfinite(extent) & (extent > 1e-6)
    pose = np.full((len(kps), 3), np.nan, np.float32)
    u, _, vt = np.linalg.svd(affine[usable], full_matrices=False)
    pose[usable] = _angles(u @ vt)
    return pose


def _angles(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Euler angles in degrees of rotations given by their first two rows, (n, 2, 3)."""
    right, down = rows[:, 0], rows[:, 1]
    towards = np.cross(right, down)
    pitch = np.arctan2(towards[:, 1], towards[:, 2])
    yaw = np.arctan2(-towards[:, 0], np.hypot(right[:, 0], down[:, 0]))
    roll = np.arctan2(down[:, 0], right[:, 0])
    angles: NDArray[np.float64] = np.degrees(np.stack([pitch, yaw, roll], axis=1))
    return angles
