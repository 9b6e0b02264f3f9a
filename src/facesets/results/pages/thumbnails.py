"""Make small pictures of faces and photos, and cache them."""

import hashlib
import os
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import simplejpeg

from facesets.errors import UnreadableImage
from facesets.files import sync_files, writing
from facesets.imaging.originals import read_decoded
from facesets.records import Pixels
from facesets.results.manifest import FaceEntry, ImageEntry
from facesets.results.safe_folder import SafeFolder
from facesets.work import Work

EDGE = 176
_PADDING = 0.3
_QUALITY = 80
_TOGETHER = 64
_UNFINISHED = ".new"


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A wanted square picture: of a face, or of a whole photo.

    Attributes
    ----------
    image : str
        sha256 of the photo.
    paths : tuple of str
        The paths of the photo.
    box : tuple of float
        x1, y1, x2, y2 of the face in the upright photo; empty for the whole photo.
    """

    image: str
    paths: tuple[str, ...]
    box: tuple[float, ...] = ()

    @property
    def name(self) -> str:
        """The name of its file, unique for a face of a photo."""
        digest = hashlib.sha256(f"{self.image} {self.box} {EDGE} {_PADDING}".encode()).hexdigest()[:20]
        return f"{digest[:2]}/{digest[2:]}.jpg"


def of_face(face: FaceEntry) -> Thumbnail:
    """Return the thumbnail of a face."""
    return Thumbnail(face.image, face.paths, face.box)


def of_photo(image: ImageEntry) -> Thumbnail:
    """Return the thumbnail of a photo."""
    return Thumbnail(image.sha256, image.paths)


def make_thumbnails(
    folder: SafeFolder,
    wanted: Collection[Thumbnail],
    longer_edges: Mapping[str, int],
    *,
    workers: int,
    work: Work,
) -> set[str]:
    """Make the missing thumbnails, and remove those of earlier runs that are no longer used.

    Parameters
    ----------
    longer_edges : mapping
        sha256 of photos to the longer of width and height, in pixels.
    workers : int
        Threads.

    Returns
    -------
    set of str
        Names of the thumbnails that exist then: none of unreadable photos.

    Raises
    ------
    CannotWrite
        The folder cannot be written.
    """
    names = {thumbnail.name for thumbnail in wanted}
    there = set(_existing(folder.root))
    with writing(folder.root):
        for name in there - names:
            folder.remove(name)
    missing: dict[str, list[Thumbnail]] = defaultdict(list)
    for thumbnail in dict.fromkeys(wanted):
        if thumbnail.name not in there:
            missing[thumbnail.image].append(thumbnail)
    there &= names
    work.progress.begin("Drawing thumbnails", len(missing))

    def draw(image: str) -> dict[str, bytes]:
        return _drawn(missing[image], longer_edges.get(image, 0)) if not work.stop.requested else {}

    with ThreadPoolExecutor(workers, thread_name_prefix="thumbnails") as pool:
        images = list(missing)
        for some in (images[start : start + _TOGETHER] for start in range(0, len(images), _TOGETHER)):
            pictures: dict[str, bytes] = {}
            for drawn in pool.map(draw, some):
                pictures |= drawn
                work.progress.advance()
            _publish(folder, pictures)
            there |= pictures.keys()
            if work.stop.requested:
                break
    with writing(folder.root):
        _remove_unfinished(folder)
    work.progress.end()
    return there


def _existing(folder: Path) -> Iterator[str]:
    """Return the thumbnails in a folder; links are ignored."""
    for part in _entries(folder):
        if part.is_dir(follow_symlinks=False) and len(part.name) == 2:
            for entry in _entries(part.path):
                if entry.is_file(follow_symlinks=False) and entry.name.endswith(".jpg"):
                    yield f"{part.name}/{entry.name}"


def _entries(folder: str | Path) -> list["os.DirEntry[str]"]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except FileNotFoundError:
        return []


def _publish(folder: SafeFolder, pictures: Mapping[str, bytes]) -> None:
    """Give several pictures their names, once all are on the disk."""
    with writing(folder.root):
        _remove_unfinished(folder)
        folder.make_folder(_UNFINISHED)
        for number, content in enumerate(pictures.values()):
            with folder.create(f"{_UNFINISHED}/{number}") as file:
                file.write(content)
        sync_files()
        for number, name in enumerate(pictures):
            folder.make_folder_of(name)
            folder.rename(f"{_UNFINISHED}/{number}", name)


def _remove_unfinished(folder: SafeFolder) -> None:
    """Remove pictures that this run or a killed one did not name."""
    for name in folder.names_in(_UNFINISHED):
        folder.remove(f"{_UNFINISHED}/{name}")
    folder.remove_empty_folder(_UNFINISHED)


def _drawn(thumbnails: Sequence[Thumbnail], longer_edge: int) -> dict[str, bytes]:
    """Return the thumbnails of one photo as JPEG by name; none if it cannot be read."""
    min_edge = EDGE
    for thumbnail in thumbnails:
        if thumbnail.box:
            min_edge = max(min_edge, int(longer_edge * EDGE / max(_edge_of(thumbnail.box), 1)) + 1)
    try:
        decoded = read_decoded(thumbnails[0].paths, thumbnails[0].image, min_edge=min_edge)
    except UnreadableImage:
        return {}
    drawn = {}
    for thumbnail in thumbnails:
        across, down = decoded.scale
        box = tuple(value / (across, down)[place % 2] for place, value in enumerate(thumbnail.box))
        drawn[thumbnail.name] = _jpeg(_square(decoded.pixels, box))
    return drawn


def _edge_of(box: Sequence[float]) -> float:
    """Return the edge of the square around a face, in pixels."""
    return max(box[2] - box[0], box[3] - box[1]) * (1 + 2 * _PADDING)


def _square(pixels: Pixels, box: Sequence[float]) -> Pixels:
    """Return the square around a face as far as it lies in the photo, or the largest central square."""
    height, width = pixels.shape[:2]
    edge = min(_edge_of(box) if box else min(height, width), height, width)
    middle = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2) if box else (width / 2, height / 2)
    size = max(round(edge), 1)
    left = round(min(max(middle[0] - size / 2, 0), width - size))
    top = round(min(max(middle[1] - size / 2, 0), height - size))
    cut = pixels[top : top + size, left : left + size]
    way = cv2.INTER_AREA if size > EDGE else cv2.INTER_CUBIC
    small: Pixels = cv2.resize(cut, (EDGE, EDGE), interpolation=way)
    return small


def _jpeg(pixels: Pixels) -> bytes:
    encoded: bytes = simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), quality=_QUALITY, colorspace="RGB")
    return encoded
