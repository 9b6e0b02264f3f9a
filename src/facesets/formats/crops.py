"""Cut out square crops around one face, and paint over bystanders."""

from dataclasses import dataclass

import cv2
import numpy as np

from facesets.records import Bool, Float32, Pixels

_SUBJECT_MARGIN = 0.08
_BYSTANDER_MARGIN = 0.25


@dataclass(frozen=True, slots=True)
class Square:
    """A square by upper left corner and edge, in pixels; it may reach beyond the picture."""

    x: int
    y: int
    edge: int

    def to_crop(self, points: Float32, size: int) -> Float32:
        """Convert points (..., 2) from pixels of the picture to pixels of a crop of `size`."""
        moved: Float32 = (points - np.array([self.x, self.y], np.float32)) * np.float32(size / self.edge)
        return moved

    def box_to_crop(self, boxes: Float32, size: int) -> Float32:
        """Convert boxes (..., 4) from pixels of the picture to pixels of a crop of `size`."""
        return self.to_crop(boxes.reshape(*boxes.shape[:-1], 2, 2), size).reshape(boxes.shape)


def square_around(box: Float32, width: int, height: int, pad_ratio: float) -> Square:
    """Place a square around a face: padded by `pad_ratio` of the longer edge of its box on every side.

    At the picture's edge the square is shifted; if it is larger than the picture, it shrinks to the picture's
    shorter edge, but never below the face.

    Parameters
    ----------
    box : float array of shape (4,)
    width, height : int
        Of the picture.
    """
    x1, y1, x2, y2 = (float(edge) for edge in box)
    longest = max(x2 - x1, y2 - y1)
    wanted = longest * (1 + 2 * pad_ratio)
    edge = max(int(np.ceil(min(wanted, max(min(width, height), longest)))), 1)
    return Square(
        _shifted((x1 + x2) / 2 - edge / 2, edge, width),
        _shifted((y1 + y2) / 2 - edge / 2, edge, height),
        edge,
    )


def wide_square(box: Float32, pad_ratio: float) -> Square:
    """Return a square with its full padding, wherever the picture ends: for faces that fill it."""
    longest = float(max(box[2] - box[0], box[3] - box[1]))
    edge = max(int(np.ceil(longest * (1 + 2 * pad_ratio))), 1)
    x, y = (box[:2] + box[2:]) / 2 - edge / 2
    return Square(round(float(x)), round(float(y)), edge)


def _shifted(start: float, edge: int, limit: int) -> int:
    """Bring a stretch of `edge` pixels into [0, limit); one that is longer is centered on it."""
    if edge > limit:
        return (limit - edge) // 2
    return round(min(max(start, 0), limit - edge))


def cut(pixels: Pixels, square: Square, size: int) -> Pixels:
    """Cut out a square and scale it to `size` pixels; black beyond the picture."""
    height, width = pixels.shape[:2]
    left, top = max(square.x, 0), max(square.y, 0)
    right, bottom = min(square.x + square.edge, width), min(square.y + square.edge, height)
    canvas = np.zeros((square.edge, square.edge, 3), np.uint8)
    if right > left and bottom > top:
        part = pixels[top:bottom, left:right]
        canvas[top - square.y : bottom - square.y, left - square.x : right - square.x] = part
    method = cv2.INTER_AREA if square.edge > size else cv2.INTER_CUBIC
    scaled: Pixels = cv2.resize(canvas, (size, size), interpolation=method)
    return scaled


def paint_over(crop: Pixels, subject: Float32, bystanders: Float32) -> Pixels:
    """Replace bystanders by their own mean colour, with soft edges, leaving the subject untouched.

    Parameters
    ----------
    crop : uint8 array of shape (h, w, 3)
    subject : float array of shape (4,)
        The box that must stay as it is, a little beyond its edges.
    bystanders : float array of shape (m, 4)
    """
    covered = np.zeros(crop.shape[:2], np.float32)
    fill = crop.astype(np.float32)
    for box in bystanders:
        rows, columns = _extent(box, _BYSTANDER_MARGIN, crop.shape)
        if crop[rows, columns].size:
            fill[rows, columns] = crop[rows, columns].mean(axis=(0, 1))
            covered[rows, columns] = 1
    softness = max(crop.shape[0] // 64, 1) * 2 + 1
    blend = cv2.GaussianBlur(covered, (softness, softness), 0)
    rows, columns = _extent(subject, _SUBJECT_MARGIN, crop.shape)
    blend[rows, columns] = 0
    mixed = crop + (fill - crop) * blend[..., None]
    painted: Pixels = np.clip(np.rint(mixed), 0, 255).astype(np.uint8)
    return painted


def _extent(box: Float32, margin: float, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Return rows and columns of a box, widened by a share of its edges and clipped to the picture."""
    x1, y1, x2, y2 = (float(edge) for edge in box)
    dx, dy = (x2 - x1) * margin, (y2 - y1) * margin
    top, bottom = np.clip([np.floor(y1 - dy), np.ceil(y2 + dy)], 0, shape[0]).astype(int)
    left, right = np.clip([np.floor(x1 - dx), np.ceil(x2 + dx)], 0, shape[1]).astype(int)
    return slice(top, bottom), slice(left, right)


def overlaps(subject: Float32, others: Float32) -> Bool:
    """Whether the center of each other box (m, 4) lies in the subject's: painting it over would harm."""
    middle = (others[:, :2] + others[:, 2:]) / 2
    inside: Bool = np.all((middle >= subject[:2]) & (middle <= subject[2:]), axis=1)
    return inside
