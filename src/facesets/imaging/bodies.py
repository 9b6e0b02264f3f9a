"""Pair the bodies that a detector finds in a picture with faces."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from facesets.imaging.boxes import iou
from facesets.records import Float32, Int64, Pixels

_MIN_INSIDE = 0.5
_HEAD_HEIGHT = 0.12
"""Distance of the middle of a standing person's face from the body's top, in heights of the body."""
_NEARNESS = 0.1
_SAME_FACE_OVERLAP = 0.3


@dataclass(frozen=True, slots=True)
class Boxes:
    """Boxes (n, 4) in pixels, the best first, and their scores (n,)."""

    box: Float32
    score: Float32


@dataclass(frozen=True, slots=True)
class SeenBodies:
    """Detections in one picture: people, and faces if the detector knows them."""

    people: Boxes
    faces: Boxes


@dataclass(frozen=True, slots=True)
class PhotoBodies:
    """The people in a photo as columns, one row per person: a body, a face, or both.

    Attributes
    ----------
    box : float32 array of shape (n, 4)
        The body, in pixels of the full picture; NaN where only a face is seen.
    score : float32 array of shape (n,)
    face : int64 array of shape (n,)
        Row of the person's face among the recognizable faces; -1 for none.
    face_box, face_score : float32 arrays of shape (n, 4) and (n,)
        A face that only the body detector sees; NaN for none.
    colours : uint8 array of shape (n, `COLOURS`)
        Colors of the person's clothes, as `torso_colours`; zeros if unknown.
    """

    box: Float32
    score: Float32
    face: Int64
    face_box: Float32
    face_score: Float32
    colours: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.box)


def faces_in_bodies(faces: Float32, bodies: Float32) -> Int64:
    """Return each face's body as a row, -1 for none; each body has one face at most.

    A face can belong to a body if at least half of its area lies in the body's upper half. The pairing with
    the largest total overlap is chosen; if several bodies hold a face, its distance from where a head is
    decides.

    Parameters
    ----------
    faces, bodies : float32 arrays of shape (n, 4) and (m, 4)

    References
    ----------
    Kuhn, "The Hungarian method for the assignment problem".
    """
    body = np.full(len(faces), -1, np.int64)
    if not len(faces) or not len(bodies):
        return body
    # Imported here, as it takes longer to load than most commands run.
    from scipy.optimize import linear_sum_assignment

    inside = _inside_upper_half(faces, bodies)
    height = np.maximum(bodies[:, 3] - bodies[:, 1], 1e-6)
    head = np.stack([(bodies[:, 0] + bodies[:, 2]) / 2, bodies[:, 1] + _HEAD_HEIGHT * height], axis=1)
    middle = (faces[:, :2] + faces[:, 2:]) / 2
    away = np.linalg.norm(middle[:, None] - head[None], axis=2) / height
    worth = np.where(inside >= _MIN_INSIDE, inside + _NEARNESS * np.clip(1 - away, 0, 1), 0)
    rows, columns = linear_sum_assignment(worth, maximize=True)
    paired = worth[rows, columns] > 0
    body[rows[paired]] = columns[paired]
    return body


def _inside_upper_half(faces: Float32, bodies: Float32) -> Float32:
    """Return the share of each face's area in the upper half of each body, (n, m)."""
    upper = bodies.copy()
    upper[:, 3] = (bodies[:, 1] + bodies[:, 3]) / 2
    low = np.maximum(faces[:, None, :2], upper[None, :, :2])
    high = np.minimum(faces[:, None, 2:], upper[None, :, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=2)
    area = np.prod(np.clip(faces[:, 2:] - faces[:, :2], 0, None), axis=1)
    share: Float32 = shared / np.maximum(area, 1e-9)[:, None]
    return share


def bodies_of_photo(
    seen: SeenBodies, faces: Float32, pixels: Pixels, scale: tuple[float, float]
) -> PhotoBodies:
    """Combine bodies, recognizable faces and faces that only the body detector sees.

    Parameters
    ----------
    faces : float32 array of shape (n, 4)
        Boxes of the faces that were found to be recognized, in pixels of `pixels`, as all that is seen.
    scale : tuple of float
        Ratios of the full picture's width and height to those of `pixels`.
    """
    box, score = seen.people.box, seen.people.score
    is_known = (iou(seen.faces.box, faces) >= _SAME_FACE_OVERLAP).any(axis=1)
    extra, extra_score = seen.faces.box[~is_known], seen.faces.score[~is_known]
    face = _reversed(faces_in_bodies(faces, box), len(box))
    # Bodies with a recognizable face are taken; the others may have one of the remaining faces.
    free = np.flatnonzero(face < 0)
    of_free = faces_in_bodies(extra, box[free])
    seen_face = np.full(len(box), -1, np.int64)
    seen_face[free] = _reversed(of_free, len(free))
    alone = np.flatnonzero(of_free < 0)
    count, more = len(box), len(alone)
    colours = np.zeros((count + more, COLOURS), np.uint8)
    for row in range(count):
        own = faces[face[row]] if face[row] >= 0 else extra[seen_face[row]] if seen_face[row] >= 0 else None
        colours[row] = torso_colours(pixels, box[row], own)
    has_seen = seen_face >= 0
    face_box, face_score = np.full((count + more, 4), np.nan, np.float32), np.full(count + more, np.nan)
    face_box[:count][has_seen], face_score[:count][has_seen] = (
        extra[seen_face[has_seen]],
        extra_score[seen_face[has_seen]],
    )
    face_box[count:], face_score[count:] = extra[alone], extra_score[alone]
    factor = np.array(scale * 2, np.float32)
    missing = np.full(more, np.nan, np.float32)
    return PhotoBodies(
        box=np.concatenate([box, np.tile(missing[:, None], 4)]) * factor,
        score=np.concatenate([score, missing]),
        face=np.concatenate([face, np.full(more, -1, np.int64)]),
        face_box=face_box * factor,
        face_score=face_score.astype(np.float32),
        colours=colours,
    )


def _reversed(columns: Int64, count: int) -> Int64:
    """Invert a mapping of rows to columns: return each column's row, -1 for none."""
    rows = np.full(count, -1, np.int64)
    led = np.flatnonzero(columns >= 0)
    rows[columns[led]] = led
    return rows


_LIGHT = np.linspace(10, 90, 5, dtype=np.float32)
_CHROMA = np.linspace(-60, 60, 7, dtype=np.float32)
_LIGHT_BLUR, _CHROMA_BLUR = 12.0, 10.0
"""Standard deviations of a pixel's spread: the similarity of two plain colors is exp(-d²/8s²)."""
COLOURS = len(_LIGHT) * len(_CHROMA) ** 2
"""Length of a descriptor: bins of lightness, of green to red, and of blue to yellow."""

_EDGE = 24
"""Pixels per side to which a torso is scaled: weave, folds and noise average out."""
_MIN_EDGE = 8
"""Minimum pixels of a torso's side."""


def torso_colours(pixels: Pixels, body: Float32, face: Float32 | None = None) -> NDArray[np.uint8]:
    """Describe the colours of a torso: a smooth histogram in CIELAB.

    Each pixel counts for several bins, by its nearness, so that a little more light changes the numbers a
    little. Roots are stored, because then the cosine similarity of two descriptors is the Bhattacharyya
    coefficient of their histograms.

    Parameters
    ----------
    body, face : float32 arrays of shape (4,)
        Boxes in pixels. With a face the torso begins where it ends; without, by shares of the body.

    Returns
    -------
    uint8 array of shape (`COLOURS`,)
        Zeros if the torso is too small or outside the picture.
    """
    left, top, right, bottom = _torso(body, face)
    height, width = pixels.shape[:2]
    x1, x2 = max(0, round(left)), min(width, round(right))
    y1, y2 = max(0, round(top)), min(height, round(bottom))
    if min(x2 - x1, y2 - y1) < _MIN_EDGE:
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
    """Return how much each value belongs to each bin, (n, bins)."""
    shares: Float32 = np.exp(-(((values[:, None] - middles[None]) / blur) ** 2) / 2)
    shares /= np.maximum(shares.sum(axis=1, keepdims=True), 1e-12)
    return shares
