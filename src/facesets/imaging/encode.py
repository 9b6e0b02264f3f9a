"""Encode pixels as PNG, or as a small JPEG without metadata that is sent to others."""

from io import BytesIO

import cv2
import numpy as np
from PIL import Image

from facesets.errors import UnreadableImage
from facesets.records import Float32, Pixels


def png_bytes(pixels: Pixels) -> bytes:
    """Encode pixels as 8-bit RGB PNG without any metadata."""
    _, encoded = cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
    return encoded.tobytes()


_QUALITIES = (85, 70, 50, 30)
_MAX_BYTES = 3_500_000
_MARGIN = 0.3
_BLOCKS = 5
"""Blocks of a blurred face, across and down."""


def outgoing_size(width: int, height: int, edge: int) -> tuple[int, int]:
    """Return a picture's sides, scaled so that the longer one has at most `edge` pixels."""
    scale = min(1.0, edge / max(width, height, 1))
    return max(round(width * scale), 1), max(round(height * scale), 1)


def outgoing_jpeg(pixels: Pixels, edge: int) -> tuple[bytes, int, int]:
    """Return a JPEG without metadata, and its width and height.

    Raises
    ------
    UnreadableImage
        The picture cannot be made small enough.
    """
    height, width = pixels.shape[:2]
    size = outgoing_size(width, height, edge)
    small = pixels if size == (width, height) else cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    for quality in _QUALITIES:
        out = BytesIO()
        Image.fromarray(np.ascontiguousarray(small)).save(out, "JPEG", quality=quality)
        if out.tell() <= _MAX_BYTES:
            return out.getvalue(), *size
    raise UnreadableImage("it is too large to send")


def blurred(pixels: Pixels, boxes: Float32) -> Pixels:
    """Return the picture with a few colored blocks in place of each face.

    Parameters
    ----------
    boxes : array of shape (n, 4)
        Left, top, right and bottom of the faces, in pixels; hair and chin around them go, too.
    """
    out = pixels.copy()
    height, width = pixels.shape[:2]
    for left, top, right, bottom in boxes.tolist():
        across, down = (right - left) * _MARGIN, (bottom - top) * _MARGIN
        x1, x2 = int(max(left - across, 0)), int(min(np.ceil(right + across), width))
        y1, y2 = int(max(top - down, 0)), int(min(np.ceil(bottom + down), height))
        if x1 >= x2 or y1 >= y2:
            continue
        blocks = cv2.resize(pixels[y1:y2, x1:x2], (_BLOCKS, _BLOCKS), interpolation=cv2.INTER_AREA)
        out[y1:y2, x1:x2] = cv2.resize(blocks, (x2 - x1, y2 - y1), interpolation=cv2.INTER_LINEAR)
    return out
