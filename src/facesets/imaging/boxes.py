"""Rectangles x1, y1, x2, y2 in pixels."""

import numpy as np

from facesets.records import Float32


def short_edge(box: Float32) -> Float32:
    """The shorter of width and height, for boxes of shape (..., 4)."""
    edges: Float32 = box[..., 2:] - box[..., :2]
    shorter: Float32 = edges.min(axis=-1)
    return shorter


def iou(a: Float32, b: Float32) -> Float32:
    """Intersection over union of every box of `a` (n, 4) with every box of `b` (m, 4): (n, m)."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=2)
    union = _area(a)[:, None] + _area(b)[None, :] - shared
    ratio: Float32 = shared / np.maximum(union, 1e-9)
    return ratio


def _area(box: Float32) -> Float32:
    area: Float32 = np.prod(np.clip(box[:, 2:] - box[:, :2], 0, None), axis=1)
    return area
