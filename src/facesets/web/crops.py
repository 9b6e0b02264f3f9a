"""Faces and photos as small JPEGs, made from the originals when somebody looks, and kept within a limit."""

import hashlib
import io
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from facesets.imaging.originals import read_decoded
from facesets.records import Picture, Pixels

_SIZES = (96, 160, 320, 640, 1600)
"""Edges in pixels that are made: few, so that few are kept."""

_CONTEXT = 1.6
"""Edge of a crop in edges of the face's box: hair and chin help people to recognise a face."""
_QUALITY = 84
_PRUNED_TO = 0.8
_COUNTED_EVERY = 200
_AT_ONCE = max(1, min(2, os.cpu_count() or 1))
"""Pictures decoded side by side: looking at faces must leave a processor for answers."""


def kept_size(size: int) -> int:
    """The size to make where so many pixels are needed."""
    return next((each for each in _SIZES if each >= size), _SIZES[-1])


class CropStore:
    """JPEGs by what they show, in a folder that may be deleted at any time. Safe for several threads."""

    def __init__(self, directory: Path, most_bytes: int) -> None:
        """Keep JPEGs below a directory, of so many bytes in all."""
        self._directory = directory
        self._most_bytes = most_bytes
        self._decoding = threading.BoundedSemaphore(_AT_ONCE)
        self._pruning = threading.Lock()
        self._made = 0

    def face(self, picture: Picture, size: int) -> bytes:
        """A square around a face, `size` pixels wide.

        Raises
        ------
        UnreadableImage
            None of the photo's files can be read.
        """
        return self._kept("face", picture, size, _cut_face)

    def photo(self, picture: Picture, size: int) -> bytes:
        """A whole photo, its longer edge at most `size` pixels; errors as `face`."""
        return self._kept("photo", picture, size, _shrink)

    def _kept(
        self, what: str, picture: Picture, size: int, make: Callable[[Pixels, Picture, int], Pixels]
    ) -> bytes:
        text = f"{what} {picture.sha256} {picture.box} {size}"
        name = hashlib.sha256(text.encode()).hexdigest()
        path = self._directory / name[:2] / f"{name}.jpg"
        with suppress(OSError):
            content = path.read_bytes()
            os.utime(path)
            return content
        with self._decoding:
            decoded = read_decoded(picture.paths, picture.sha256, least_edge=_least_edge(what, picture, size))
            content = _jpeg(make(decoded.pixels, picture, size))
        # What cannot be kept is made again: a full disk must not hide faces.
        with suppress(OSError):
            _write(path, content)
        self._made += 1
        if self._made % _COUNTED_EVERY == 1:
            self.prune()
        return content

    def prune(self) -> None:
        """Remove what was not looked at for longest, as far as all is larger than the limit."""
        if not self._pruning.acquire(blocking=False):
            return
        try:
            found = []
            for path in self._directory.glob("*/*.jpg"):
                with suppress(OSError):
                    stat = path.stat()
                    found.append((stat.st_mtime, stat.st_size, path))
            total = sum(size for _, size, _ in found)
            if total <= self._most_bytes:
                return
            for _, size, path in sorted(found):
                if total <= self._most_bytes * _PRUNED_TO:
                    break
                with suppress(OSError):
                    path.unlink()
                    total -= size
        finally:
            self._pruning.release()


def _write(path: Path, content: bytes) -> None:
    """Write a file that is there whole or not at all. Nobody waits for the disk: it can be made again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    temporary.write_bytes(content)
    temporary.replace(path)


def _least_edge(what: str, picture: Picture, size: int) -> int | None:
    """How large the whole picture has to be decoded for a part of it to have that size; None for in full."""
    if what == "photo":
        return size
    if not picture.width:
        return None
    left, top, right, bottom = picture.box
    edge = max(right - left, bottom - top, 1.0) * _CONTEXT
    return int(max(picture.width, picture.height) * min(1.0, size / edge)) + 1


def _cut_face(pixels: Pixels, picture: Picture, size: int) -> Pixels:
    """The square around a box; what of it lies beyond the picture repeats the edge."""
    scale = pixels.shape[1] / picture.width if picture.width else 1.0
    left, top, right, bottom = (each * scale for each in picture.box)
    edge = max(right - left, bottom - top, 1.0) * _CONTEXT
    across, down = (left + right) / 2, (top + bottom) / 2
    factor = size / edge
    where = np.array(
        [[factor, 0, size / 2 - factor * across], [0, factor, size / 2 - factor * down]], np.float64
    )
    if factor < 1:
        # Shrunk by averaging first: `warpAffine` alone looks at few pixels, which glitters.
        pixels, where = _part(pixels, across, down, edge, size)
    cut: Pixels = cv2.warpAffine(
        pixels, where, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return cut


def _part(pixels: Pixels, across: float, down: float, edge: float, size: int) -> "tuple[Pixels, np.ndarray]":
    """The part of a picture that a square touches, shrunk, and how the square lies in it."""
    height, width = pixels.shape[:2]
    left, top = max(0, int(across - edge / 2)), max(0, int(down - edge / 2))
    right, bottom = min(width, int(across + edge / 2) + 2), min(height, int(down + edge / 2) + 2)
    factor = size / edge
    small_size = max(1, round((right - left) * factor)), max(1, round((bottom - top) * factor))
    small = cv2.resize(pixels[top:bottom, left:right], small_size, interpolation=cv2.INTER_AREA)
    shift_x = size / 2 - (across - left) * factor
    shift_y = size / 2 - (down - top) * factor
    return small, np.array([[1, 0, shift_x], [0, 1, shift_y]], np.float64)


def _shrink(pixels: Pixels, _picture: Picture, size: int) -> Pixels:
    height, width = pixels.shape[:2]
    factor = min(1.0, size / max(height, width))
    if factor == 1.0:
        return pixels
    small: Pixels = cv2.resize(
        pixels, (max(1, round(width * factor)), max(1, round(height * factor))), interpolation=cv2.INTER_AREA
    )
    return small


def _jpeg(pixels: Pixels) -> bytes:
    """Without any metadata of the original."""
    content = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(content, "JPEG", quality=_QUALITY, optimize=True)
    return content.getvalue()
