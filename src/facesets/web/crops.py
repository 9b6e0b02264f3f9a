"""Faces and photos as small JPEGs, made from the originals on demand and cached."""

import asyncio
import io
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
from fastapi import Response
from PIL import Image

from facesets.errors import UnreadableImage
from facesets.file_system import patiently
from facesets.imaging.originals import Picture, read_decoded
from facesets.records import Pixels
from facesets.rights import make_private_folder, private
from facesets.store.stored_crops import SUFFIX, file_of

_SIZES = (96, 160, 320, 640, 1600)
"""Edges in pixels to make: few, so that few files are cached."""

_CONTEXT = 1.6
"""Edge of a crop in edges of the face's box: hair and chin help people to recognize a face."""
_QUALITY = 84
_PRUNED_TO = 0.8
_PRUNED_EACH = 0.1
"""Share of the limit that may be written before the cache is pruned again."""
_BEGIN, _END = b"\xff\xd8", b"\xff\xd9"
_WRITTEN_WITHIN_S = 600
"""Maximum age of a temporary file: older ones were left by a killed program."""
_AT_ONCE = max(1, min(2, os.cpu_count() or 1))
"""Maximum number of pictures decoded at a time, which leaves a processor for answers."""
LASTING = "private, max-age=31536000, immutable"
"""The cache header for addresses that contain the photo's hash."""
_FOR_NOW = "private, max-age=60"
_NO_FACE = (
    b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64"><rect width="64" height="64" fill="#999" '
    b'fill-opacity=".25"/><path d="M32 14a11 11 0 1 0 0 22 11 11 0 0 0 0-22M12 56a20 18 0 0 1 40 0" '
    b'fill="#999" fill-opacity=".5"/></svg>'
)
"""The placeholder for a face whose photo can't be read."""
_NO_PHOTO = (
    b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 48" preserveAspectRatio="xMidYMid slice">'
    b'<rect x="-64" y="-64" width="192" height="176" fill="#999" fill-opacity=".25"/>'
    b'<g transform="translate(25 19)" fill="none" stroke="#999" stroke-opacity=".7" stroke-linejoin="round">'
    b'<rect x=".5" y=".5" width="13" height="9" rx="1.5"/><path d="m1 8 4-4 3 3 2-2 3.5 3.5"/></g></svg>'
)
"""The placeholder of a whole photo: it fills the frame, below the boxes of faces."""


def stored_size(size: int) -> int:
    """Return the stored size for a requested number of pixels."""
    return next((each for each in _SIZES if each >= size), _SIZES[-1])


class CropStore:
    """A cache of JPEGs in a folder that may be deleted at any time. Safe for several threads."""

    def __init__(self, directory: Path, max_bytes: int) -> None:
        """Cache JPEGs below a directory, up to a total size."""
        self.directory = directory
        self._max_bytes = max_bytes
        self._makers = ThreadPoolExecutor(_AT_ONCE, "pictures")
        self._lock = threading.Lock()
        self._being_made: dict[Path, Future[bytes]] = {}
        self._pruning = threading.Lock()
        self._written = max_bytes
        """Bytes written since pruning. Begins at the limit, so that files of earlier runs count."""

    def face(self, picture: Picture, size: int) -> "Future[bytes]":
        """Return a future for a square crop of a face, `size` pixels wide.

        The future raises `UnreadableImage` if none of the photo's files can be read.
        """
        return self._cached("face", picture, size, _cut_face)

    def photo(self, picture: Picture, size: int) -> "Future[bytes]":
        """Return a future for a whole photo with a longer edge of at most `size` pixels."""
        return self._cached("photo", picture, size, _shrink)

    def _cached(
        self, what: str, picture: Picture, size: int, make: Callable[[Pixels, Picture, int], Pixels]
    ) -> "Future[bytes]":
        path = self.directory / file_of(picture.sha256, f"{what} {picture.box} {size}")
        content = _read(path)
        if content is not None:
            found: Future[bytes] = Future()
            found.set_result(content)
            return found

        def made() -> bytes:
            try:
                return make_it()
            finally:
                self._finish_making(path)

        def make_it() -> bytes:
            # An earlier request may have just finished.
            if (cached := _read(path)) is not None:
                return cached
            decoded = read_decoded(picture.paths, picture.sha256, min_edge=_least_edge(what, picture, size))
            content = _jpeg(make(decoded.pixels, picture, size))
            # Uncached crops are made again: a full disk must not hide faces.
            with suppress(OSError):
                _write(path, content)
            self._written += len(content)
            return content

        with self._lock:
            making = self._being_made.get(path)
            if making is None:
                making = self._being_made[path] = self._makers.submit(made)
        return making

    def _finish_making(self, path: Path) -> None:
        with self._lock:
            self._being_made.pop(path, None)
        if self._written > self._max_bytes * _PRUNED_EACH:
            self.prune()

    def prune(self) -> None:
        """Remove the least recently viewed files until the cache is below its limit."""
        if not self._pruning.acquire(blocking=False):
            return
        try:
            self._written = 0
            found = []
            for path in self.directory.glob("*/*/*"):
                with suppress(OSError):
                    stat = path.stat()
                    is_left = path.suffix != SUFFIX and stat.st_mtime < time.time() - _WRITTEN_WITHIN_S
                    found.append((0.0 if is_left else stat.st_mtime, stat.st_size, path))
            total = sum(size for _, size, _ in found)
            limit = self._max_bytes * _PRUNED_TO if total > self._max_bytes else self._max_bytes
            for when, size, path in sorted(found):
                if total <= limit and when > 0:
                    break
                with suppress(OSError):
                    path.unlink()
                    total -= size
        finally:
            self._pruning.release()


def _read(path: Path) -> bytes | None:
    """Return a cached JPEG; None if it is missing or incomplete, as after a power failure."""
    try:
        content = path.read_bytes()
        os.utime(path)
    except OSError:
        return None
    return content if content.startswith(_BEGIN) and content.endswith(_END) else None


def _write(path: Path, content: bytes) -> None:
    """Write a file atomically, without waiting for the disk: it can be made again."""
    make_private_folder(path.parent)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    with open(temporary, "wb", opener=private) as file:
        file.write(content)
    patiently(os.replace, temporary, path)


def _least_edge(what: str, picture: Picture, size: int) -> int | None:
    """Return the edge at which to decode a photo so that a part has that size; None for full size."""
    if what == "photo":
        return size
    if not picture.width:
        return None
    left, top, right, bottom = picture.box
    edge = max(right - left, bottom - top, 1.0) * _CONTEXT
    return int(max(picture.width, picture.height) * min(1.0, size / edge)) + 1


def _cut_face(pixels: Pixels, picture: Picture, size: int) -> Pixels:
    """Cut a square around a box, moved and shrunk to stay inside the picture."""
    height, width = pixels.shape[:2]
    scale = width / picture.width if picture.width else 1.0
    left, top, right, bottom = (each * scale for each in picture.box)
    edge = min(max(right - left, bottom - top, 1.0) * _CONTEXT, width, height)
    x = min(max((left + right - edge) / 2, 0.0), width - edge)
    y = min(max((top + bottom - edge) / 2, 0.0), height - edge)
    part = pixels[int(y) : max(int(y + edge), int(y) + 1), int(x) : max(int(x + edge), int(x) + 1)]
    # Shrunk by averaging: sampling few pixels flickers.
    how = cv2.INTER_AREA if edge > size else cv2.INTER_LINEAR
    cut: Pixels = cv2.resize(part, (size, size), interpolation=how)
    return cut


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
    """Encode pixels as a JPEG without metadata."""
    content = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(content, "JPEG", quality=_QUALITY, optimize=True)
    return content.getvalue()


async def picture_answer(
    making: "Future[bytes]", *, shows: str, sha256: str, is_photo: bool = False
) -> Response:
    """Return a JPEG once it is made.

    Parameters
    ----------
    shows : str
        The beginning of the photo's hash, in addresses used by pages: then the answer may be cached, and a
        placeholder replaces a missing photo. Empty for programs.
    is_photo : bool
        Whether it is a whole photo, not a face.

    Raises
    ------
    UnreadableImage
        The photo cannot be read, and `shows` is empty.
    """
    try:
        content = await asyncio.wrap_future(making)
    except UnreadableImage:
        if not shows:
            raise
        stand_in = _NO_PHOTO if is_photo else _NO_FACE
        return Response(stand_in, media_type="image/svg+xml", headers={"cache-control": "no-store"})
    cache_control = LASTING if shows and sha256.startswith(shows) else _FOR_NOW
    return Response(content, media_type="image/jpeg", headers={"cache-control": cache_control})
