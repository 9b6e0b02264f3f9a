"""Which box of another program lies on which face."""

from collections.abc import Sequence

import numpy as np

from facesets.formats.named_photos import Box
from facesets.imaging.boxes import iou
from facesets.imaging.stored_frame import upright_box
from facesets.records import Float32, Int64

LEAST_IOU = 0.25
"""Boxes that overlap so much are of one face."""
LEAST_INSIDE = 0.8
MOST_TIMES = 9.0
MOST_ASIDE = 0.25
"""Programs draw around the eyes, or the whole head: of one face are also two boxes of which one lies so
far inside the other, which is at most so many times as large, with middles at most so far apart, as a
share of the larger box."""


def matched(regions: Float32, faces: Float32) -> Int64:
    """For each region the index of the face that it shows, -1 for none; one to one, the best overlap in all.

    Parameters
    ----------
    regions, faces : float32 arrays of shape (n, 4) and (m, 4)
        x1, y1, x2, y2 in fractions of the same picture.
    """
    partner = np.full(len(regions), -1, np.int64)
    if not len(regions) or not len(faces):
        return partner
    # Imported where bodies or boxes are matched: it takes longer to load than all that most commands do.
    from scipy.optimize import linear_sum_assignment

    overlap = np.where(_of_one_face(regions, faces), iou(regions, faces), 0)
    rows, columns = linear_sum_assignment(-overlap)
    found = overlap[rows, columns] > 0
    partner[rows[found]] = columns[found]
    return partner


def _of_one_face(regions: Float32, faces: Float32) -> Float32:
    low = np.maximum(regions[:, None, :2], faces[None, :, :2])
    high = np.minimum(regions[:, None, 2:], faces[None, :, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=2)
    areas = (
        np.prod(regions[:, 2:] - regions[:, :2], axis=1)[:, None],
        np.prod(faces[:, 2:] - faces[:, :2], axis=1)[None],
    )
    smaller, larger = np.minimum(*areas), np.maximum(*areas)
    is_region_larger = (areas[0] >= areas[1])[..., None]
    edges = np.where(
        is_region_larger, (regions[:, 2:] - regions[:, :2])[:, None], (faces[:, 2:] - faces[:, :2])[None]
    )
    apart = np.abs((regions[:, :2] + regions[:, 2:])[:, None] - (faces[:, :2] + faces[:, 2:])[None]) / 2
    is_inside = (
        (shared >= LEAST_INSIDE * smaller)
        & (larger <= MOST_TIMES * smaller)
        & (apart <= MOST_ASIDE * edges).all(axis=2)
    )
    overlaps = shared >= LEAST_IOU * (areas[0] + areas[1] - shared)
    is_one: Float32 = (overlaps | is_inside) & (smaller > 0)
    return is_one


def on_faces(boxes: Sequence[Box], faces: Float32, orientation: int) -> tuple[Float32, Int64]:
    """Boxes of one program in the upright picture, and the faces that they show, as `matched` has them.

    Programs do not agree whether a turned picture is measured as it is stored or as it is seen: where no box
    lies on a face as it should, and each does when it is read the other way, that way is taken.

    Parameters
    ----------
    orientation : int
        By which boxes of the stored picture are turned upright, as EXIF numbers it; 1 for boxes that are.
    """
    stored = np.array(boxes, np.float32).reshape(-1, 4)
    if orientation == 1:
        return stored, matched(stored, faces)
    upright = np.array([upright_box(box, orientation) for box in boxes], np.float32).reshape(-1, 4)
    partner = matched(upright, faces)
    if len(stored) and (partner < 0).all():
        otherwise = matched(stored, faces)
        if (otherwise >= 0).all():
            return stored, otherwise
    return upright, partner
