"""Rectangles x1, y1, x2, y2 in pixels."""

import numpy as np

from facesets.records import Float32, Int64


def short_edge(box: Float32) -> Float32:
    """Return the shorter of width and height, for boxes of shape (..., 4)."""
    edges: Float32 = box[..., 2:] - box[..., :2]
    shorter: Float32 = edges.min(axis=-1)
    return shorter


def paired_iou(a: Float32, b: Float32) -> Float32:
    """Return intersection over union of each box of `a` (n, 4) with the same row of `b` (n, 4): (n,)."""
    edges = np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2])
    shared = np.prod(np.clip(edges, 0, None), axis=1)
    ratio: Float32 = shared / np.maximum(_area(a) + _area(b) - shared, 1e-9)
    return ratio


def iou(a: Float32, b: Float32) -> Float32:
    """Return intersection over union of all boxes of `a` (n, 4) with all of `b` (m, 4): (n, m)."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=2)
    union = _area(a)[:, None] + _area(b)[None, :] - shared
    ratio: Float32 = shared / np.maximum(union, 1e-9)
    return ratio


def unsuppressed(box: Float32, max_overlap: float, *, border: int = 0) -> list[int]:
    """Return the rows that survive non-maximum suppression.

    Parameters
    ----------
    box : float32 array of shape (n, 4)
        The best first.
    max_overlap : float
        Maximum intersection over union of two boxes; beyond it only the better one remains.
    border : int
        Added to widths and heights: 1 where boxes include the pixels of both their borders.
    """
    area = np.prod(box[:, 2:] - box[:, :2] + border, axis=1)
    keep = []
    rest = np.arange(len(box))
    while rest.size:
        best, rest = rest[0], rest[1:]
        keep.append(int(best))
        low = np.maximum(box[best, :2], box[rest, :2])
        high = np.minimum(box[best, 2:], box[rest, 2:])
        shared = np.prod(np.maximum(0, high - low + border), axis=1)
        rest = rest[shared / (area[best] + area[rest] - shared) <= max_overlap]
    return keep


def _area(box: Float32) -> Float32:
    area: Float32 = np.prod(np.clip(box[:, 2:] - box[:, :2], 0, None), axis=1)
    return area


def best_partners(boxes: Float32, others: Float32, *, min_iou: float) -> Int64:
    """Match each box to the other with the best overlap, -1 for none; each is used once.

    Boxes of the same face differ a little if a picture was decoded or searched in another way.

    Parameters
    ----------
    boxes, others : float32 arrays of shape (n, 4) and (m, 4)
    """
    partner = np.full(len(boxes), -1, np.int64)
    if not len(boxes) or not len(others):
        return partner
    overlap = iou(boxes, others)
    taken: set[int] = set()
    for place in np.argsort(-overlap, axis=None, kind="stable").tolist():
        row, column = divmod(place, len(others))
        if overlap[row, column] < min_iou:
            break
        if partner[row] < 0 and column not in taken:
            partner[row] = column
            taken.add(column)
    return partner
