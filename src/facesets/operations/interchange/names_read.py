"""From photos with names to the faces of the library that these names are about."""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from facesets.errors import UnreadableImage, WrongUsage
from facesets.files import is_there, printable, sha256_of
from facesets.formats.named_photos import NamedPhoto
from facesets.formats.named_regions import Box, NamedRegion
from facesets.imaging.stored_frame import stored_frame
from facesets.operations.interchange.name_sources import mapped
from facesets.operations.interchange.region_matching import on_faces
from facesets.operations.people.corrections.who import chosen_name
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
    """What sources say of photos of the library.

    Attributes
    ----------
    rows : list of ImportedName
        Without numbers and people, in the order in which they were read.
    single : dict
        By the image the face, where it has one alone.
    photos : int
        On which somebody is named; `not_here` besides are not in the library.
    no_names : list of str
        What stands in the place of names and is none, with the reason.
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
    """Look up photos and find the faces that their regions show, some photos at a time.

    Parameters
    ----------
    places : mapping
        Where folders of another machine are here.

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
    """The images of photos by their places in the list: by path, else content, else name and size."""
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
    """Whether anything can be called so; other machines and hostile files say what they like."""
    try:
        return bool(os.fsencode(text)) and "\0" not in text
    except UnicodeEncodeError:
        return False


def _digest(path: str) -> str:
    """The sha256 of a photo that is here; empty for one that does not, or cannot be read."""
    if not path or not is_there(Path(path)) or not Path(path).is_file():
        return ""
    try:
        return sha256_of(Path(path))
    except OSError:
        return ""


def _with_names(
    regions: Iterable[NamedRegion], known: dict[str, str], found: NamesRead
) -> list[tuple[NamedRegion, str]]:
    """Regions with the names that people can have here; what is no such name is noted once."""
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
    """What each program says of a photo; regions of one program are one to one with the faces."""
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
    """How the stored picture is turned upright; as it is where the file cannot tell."""
    try:
        return stored_frame(Path(path)).orientation
    except UnreadableImage:
        return 1
