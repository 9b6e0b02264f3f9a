"""Match names in photos to faces of the library."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np

from facesets.errors import UnreadableImage, WrongUsage
from facesets.files import is_there, printable, sha256_of
from facesets.formats.named_photos import Box, NamedPhoto, NamedRegion
from facesets.imaging.boxes import iou
from facesets.imaging.stored_frame import stored_frame, upright_box
from facesets.operations.interchange.name_sources import mapped
from facesets.operations.people.corrections.lookup import chosen_name
from facesets.records import Float32, Int64
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.people.imported_names import (
    BOX_DIGITS,
    ImportedName,
    PlacedFaces,
    faces_of_images,
    images_at,
    images_of_files,
)
from facesets.store.postgres.photos.images import numbers_of
from facesets.work import Work

_AT_ONCE = 2000


@dataclass(slots=True)
class NamesRead:
    """Names from sources for photos of the library.

    Attributes
    ----------
    rows : list of ImportedName
        Without numbers and people, in the order in which they were read.
    single : dict
        The only face of an image, by image.
    photos : int
        Photos of the library with a name; `not_here` counts those that are not in the library.
    no_names : list of str
        Invalid texts in place of names, with the reason.
    """

    rows: list[ImportedName] = field(default_factory=list)
    single: dict[int, int] = field(default_factory=dict)
    photos: int = 0
    not_here: int = 0
    no_names: list[str] = field(default_factory=list)
    stopped: bool = False


def read_names(
    database: Database,
    detector_id: int,
    photos: Iterable[NamedPhoto],
    places: Mapping[str, str],
    *,
    work: Work,
) -> NamesRead:
    """Look up photos and match their regions to faces, some photos at a time.

    Parameters
    ----------
    places : mapping
        Folders of another machine, and the same folders here.

    Raises
    ------
    WrongUsage
        A source cannot be read.
    """
    found = NamesRead()
    known: dict[str, str] = {}
    rows: dict[ImportedName, None] = {}
    work.progress.begin("photos with names")
    for some in _batches(iter(photos)):
        if work.stop.requested:
            found.stopped = True
            break
        images = _images(database, some, places)
        numbers = sorted(set(images.values()))
        faces = database.run(faces_of_images, images=numbers, detector_id=detector_id)
        for place, photo in enumerate(some):
            if place not in images:
                found.not_here += 1
                continue
            image = images[place]
            found.photos += 1
            regions = _with_names(photo.regions, known, found)
            rows |= dict.fromkeys(_rows(image, photo, regions, faces.get(image)))
            if image in faces and len(faces[image].id) == 1:
                found.single[image] = int(faces[image].id[0])
        work.progress.advance(len(some))
    work.progress.end()
    found.rows = list(rows)
    return found


def _batches(photos: Iterator[NamedPhoto]) -> Iterator[list[NamedPhoto]]:
    while some := list(islice(photos, _AT_ONCE)):
        yield some


def _images(database: Database, photos: list[NamedPhoto], places: Mapping[str, str]) -> dict[int, int]:
    """Return the library's photo for each listed photo: by path, else content, else name and size."""
    paths = [mapped(photo.path, places) if _can_be_path(photo.path) else "" for photo in photos]
    at = database.run(images_at, paths)
    images = {place: at[path] for place, path in enumerate(paths) if path in at}
    missing = [place for place in range(len(photos)) if place not in images]
    content = {place: digest for place in missing if (digest := _digest(paths[place]))}
    files = {
        place: (photos[place].name, photos[place].size)
        for place in missing
        if place not in content and _can_be_path(photos[place].name) and photos[place].size >= 0
    }

    def work(connection: Connection) -> dict[int, int]:
        of_content = numbers_of(connection, sorted(set(content.values()))) if content else {}
        of_files = images_of_files(connection, sorted(set(files.values()))) if files else {}
        by_content = {place: of_content[each] for place, each in content.items() if each in of_content}
        return by_content | {place: of_files[each] for place, each in files.items() if each in of_files}

    return images | database.run(work) if content or files else images


def _can_be_path(text: str) -> bool:
    """Whether a text is a valid path; files may contain anything."""
    try:
        return bool(os.fsencode(text)) and "\0" not in text
    except UnicodeEncodeError:
        return False


def _digest(path: str) -> str:
    """Return the sha256 of a photo; empty if it does not exist or cannot be read."""
    if not path or not is_there(Path(path)) or not Path(path).is_file():
        return ""
    try:
        return sha256_of(Path(path))
    except OSError:
        return ""


def _with_names(
    regions: Iterable[NamedRegion], known: dict[str, str], found: NamesRead
) -> list[tuple[NamedRegion, str]]:
    """Return the regions with valid names; record each invalid name once."""
    named: list[tuple[NamedRegion, str]] = []
    for region in regions:
        if region.name not in known:
            try:
                known[region.name] = chosen_name(region.name)
            except WrongUsage as error:
                known[region.name] = ""
                found.no_names.append(f"{printable(region.name[:80])}: {error.sentence!s}")
        if known[region.name]:
            named.append((region, known[region.name]))
    return named


def _rows(
    image: int, photo: NamedPhoto, regions: list[tuple[NamedRegion, str]], faces: PlacedFaces | None
) -> Iterator[ImportedName]:
    """Return the rows of each program for a photo, with regions matched one to one to faces."""
    placed: dict[tuple[str, str], list[tuple[Box, str]]] = {}
    for region, name in regions:
        if region.box is None:
            yield ImportedName(0, image, region.program, name, None, None, None)
        else:
            placed.setdefault((region.program, region.frame), []).append((region.box, name))
    for (program, frame), some in placed.items():
        boxes = [box for box, _ in some]
        if faces is None:
            found: list[tuple[Box, int | None]] = [(box, None) for box in boxes]
        else:
            upright, partner = on_faces(
                boxes, faces.box, _orientation(photo.path) if frame == "stored" else 1
            )
            ids = [int(faces.id[face]) if face >= 0 else None for face in partner.tolist()]
            found = list(zip(map(tuple, upright.tolist()), ids, strict=True))
        for (box, face), (_, name) in zip(found, some, strict=True):
            x1, y1, x2, y2 = (round(each, BOX_DIGITS) for each in box)
            yield ImportedName(0, image, program, name, (x1, y1, x2, y2), face, None)


def _orientation(path: str) -> int:
    """Return the orientation of the stored image; 1 if the file cannot be read."""
    try:
        return stored_frame(Path(path)).orientation
    except UnreadableImage:
        return 1


MIN_IOU = 0.25
"""Minimum overlap of two boxes of one face."""

# Some programs draw around the eyes, others around the whole head. Two boxes also show one face if one lies
# inside the other, within these limits.
MIN_INSIDE = 0.8
"""Minimum share of the smaller box inside the larger."""
MAX_AREA_RATIO = 9.0
"""Maximum ratio of their areas."""
MAX_OFFSET = 0.25
"""Maximum distance of their centers, as a share of the larger box."""


def matched(regions: Float32, faces: Float32) -> Int64:
    """Return the face index for each region, -1 for none; one to one, with the best total overlap.

    Parameters
    ----------
    regions, faces : float32 arrays of shape (n, 4) and (m, 4)
        x1, y1, x2, y2 in fractions of the same picture.
    """
    partner = np.full(len(regions), -1, np.int64)
    if not len(regions) or not len(faces):
        return partner
    # Imported where bodies or boxes are matched: it takes longer to load than most commands run.
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
        (shared >= MIN_INSIDE * smaller)
        & (larger <= MAX_AREA_RATIO * smaller)
        & (apart <= MAX_OFFSET * edges).all(axis=2)
    )
    overlaps = shared >= MIN_IOU * (areas[0] + areas[1] - shared)
    is_one: Float32 = (overlaps | is_inside) & (smaller > 0)
    return is_one


def on_faces(boxes: Sequence[Box], faces: Float32, orientation: int) -> tuple[Float32, Int64]:
    """Return the boxes of one program in the upright image, and their faces as in `matched`.

    Programs measure a rotated picture either as it is stored or as it is displayed. If no box lies on a face
    when read as documented, and each does when read the other way, the other way is used.

    Parameters
    ----------
    orientation : int
        The EXIF orientation that turns boxes of the stored picture upright; 1 for upright boxes.
    """
    stored = np.array(boxes, np.float32).reshape(-1, 4)
    if orientation == 1:
        return stored, matched(stored, faces)
    upright = np.array([upright_box(box, orientation) for box in boxes], np.float32).reshape(-1, 4)
    partner = matched(upright, faces)
    if len(stored) and (partner < 0).all():
        as_stored = matched(stored, faces)
        if (as_stored >= 0).all():
            return stored, as_stored
    return upright, partner
