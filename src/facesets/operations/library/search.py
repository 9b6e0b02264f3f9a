"""`search`: by words, a photo, a face, or metadata."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias
from uuid import UUID

import numpy as np

from facesets.clustering.calibration import usual_link
from facesets.errors import Command, Field, RecognizerMismatch, UnreadableImage, WrongUsage
from facesets.files import printable
from facesets.imaging.boxes import iou
from facesets.imaging.decode import decode
from facesets.interfaces import Embedder
from facesets.library_records import ClipRow
from facesets.operations.ingest.same_models import require_recognizer_of_library
from facesets.operations.people.corrections.lookup import require_person
from facesets.records import Faces, Float32, Pixels
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.library import Library
from facesets.store.postgres.photos import search
from facesets.store.postgres.photos.descriptions import DescribedPhoto, described_photos
from facesets.store.postgres.photos.filter import PhotoFilter
from facesets.store.postgres.photos.search import FaceHit, FoundPhoto, best_path, find_photos, photos_near

Box: TypeAlias = tuple[float, float, float, float]
"""Left, top, right and bottom, in pixels of the upright photo."""


@dataclass(frozen=True, slots=True)
class FoundFace(FaceHit):
    """A face found; `of` is the number of the face searched for, from 1."""

    of: int


@dataclass(frozen=True, slots=True)
class FaceSearch:
    """The result of a search by the faces in a photo.

    Attributes
    ----------
    on_photo : list of Box
        All faces on the photo, largest first.
    asked : list of Box
        The faces that were searched for.
    min_cosine_similarity : float
        The minimum similarity of results.
    faces : list of FoundFace
        Results by searched face, the most similar first.
    """

    on_photo: list[Box]
    asked: list[Box]
    min_cosine_similarity: float
    faces: list[FoundFace]


@dataclass(frozen=True, slots=True)
class Which:
    """The faces of a photo to search for: the largest, the one in a box, or all."""

    box: Box | None = None
    every: bool = False


@dataclass(frozen=True, slots=True)
class ImageHit:
    """A photo that matches all conditions; `name` is that of the person."""

    path: str
    name: str
    taken: str
    distance_km: float | None = None


@dataclass(frozen=True, slots=True)
class SimilarImage:
    """A photo similar to the words or the photo searched for."""

    path: str
    cosine_similarity: float
    taken: str
    distance_km: float | None = None


def search_photos(library: Library, photo_filter: PhotoFilter, limit: int) -> list[ImageHit]:
    """Find photos that match all conditions, latest first."""

    def work(connection: Connection) -> list[ImageHit]:
        title = _title(connection, photo_filter.persons[0]) if photo_filter.persons else ""
        found = find_photos(connection, photo_filter, offset=0, limit=limit)
        return [ImageHit(best_path(each.paths), title, _time(each), each.distance_km) for each in found]

    return library.database.run(work)


def _title(connection: Connection, person: UUID) -> str:
    names = require_person(connection, person).names
    return names[0] if names else str(person)


def _time(photo: FoundPhoto) -> str:
    return "" if photo.taken is None else photo.taken.isoformat(" ", "seconds")


def search_by_words(library: Library, photo_filter: PhotoFilter, limit: int) -> list[DescribedPhoto]:
    """Find photos that match all conditions, best matching description first."""
    return library.database.run(lambda connection: described_photos(connection, photo_filter, limit=limit))


def search_by_face(
    library: Library,
    embedder: Embedder,
    photo: str,
    photo_filter: PhotoFilter,
    limit: int,
    *,
    which: Which | None = None,
    min_cosine_similarity: float | None = None,
) -> FaceSearch:
    """Find faces similar to those in a photo; only those of a person, if one is given.

    Parameters
    ----------
    limit : int
        Maximum results for each searched face.
    min_cosine_similarity : float, optional
        Less similar faces are omitted; by default the similarity above which the library's recognizer more
        likely sees one person than two.

    Raises
    ------
    RecognizerMismatch
        The library's faces come from another recognizer than the embedder's.
    WrongUsage
        The photo cannot be read, shows no face or none at the requested place; or the library is empty.
    """
    require_recognizer_of_library(library, embedder.settings)
    (faces,) = embedder.embed([_pixels(photo)])
    if not len(faces):
        raise WrongUsage(f"No face found in {printable(photo)}.")
    if min_cosine_similarity is None:
        min_cosine_similarity = usual_link(embedder.settings.recognizer)
    rows = _asked_for(faces, which or Which(), photo)
    found = [
        FoundFace(**{name: getattr(hit, name) for name in FaceHit.__dataclass_fields__}, of=number)
        for number, row in enumerate(rows, start=1)
        for hit in similar_faces(library, faces.embedding[row], photo_filter, limit)
        if hit.cosine_similarity >= min_cosine_similarity
    ]
    by_size = np.argsort(-faces.face_short, kind="stable")
    boxes = [_box(faces, int(row)) for row in by_size]
    return FaceSearch(boxes, [_box(faces, row) for row in rows], min_cosine_similarity, found)


def _asked_for(faces: Faces, which: Which, photo: str) -> list[int]:
    """Return the rows of the faces to search for, largest first. Raises `WrongUsage` without any."""
    if which.every:
        return [int(row) for row in np.argsort(-faces.face_short, kind="stable")]
    if which.box is None:
        return [int(faces.face_short.argmax())]
    overlap = iou(np.array([which.box], np.float32), faces.box)[0]
    if overlap.max() <= 0:
        raise WrongUsage(
            f"No face found in that {Field('box')} on {printable(photo)}. {Field('all_faces')} lists "
            "all faces."
        )
    return [int(overlap.argmax())]


def _box(faces: Faces, row: int) -> Box:
    left, top, right, bottom = (round(float(value), 1) for value in faces.box[row])
    return left, top, right, bottom


def similar_faces(
    library: Library, embedding: Float32, photo_filter: PhotoFilter, limit: int
) -> list[FaceHit]:
    """Find faces similar to an embedding, best first, perhaps of one person. Raises `WrongUsage`."""

    def work(connection: Connection) -> list[FaceHit]:
        detector = library.require_detector(connection)
        return search.similar_faces(connection, detector, embedding, photo_filter, limit=limit)

    return library.database.run(work)


def search_like(
    library: Library,
    row: ClipRow,
    encode: Callable[[Pixels], Float32],
    photo: str,
    photo_filter: PhotoFilter,
    limit: int,
) -> list[SimilarImage]:
    """Find photos similar to a photo as a whole; see `similar_images`.

    Raises
    ------
    WrongUsage
        The photo cannot be read.
    """
    return similar_images(library, row, encode(_pixels(photo)), photo_filter, limit)


def search_by_text(
    library: Library,
    row: ClipRow,
    encode: Callable[[str], Float32],
    text: str,
    photo_filter: PhotoFilter,
    limit: int,
) -> list[SimilarImage]:
    """Find photos that words describe; see `similar_images`.

    Raises
    ------
    WrongUsage
        The text is empty.
    """
    if not text.strip():
        like = Command("search", "a red bicycle in snow")
        raise WrongUsage(f"The search text is empty. Describe what the photos show: {like}.")
    return similar_images(library, row, encode(text), photo_filter, limit)


def similar_images(
    library: Library, row: ClipRow, embedding: Float32, photo_filter: PhotoFilter, limit: int
) -> list[SimilarImage]:
    """Find photos similar to an embedding of a CLIP model, best first.

    Raises
    ------
    RecognizerMismatch
        The embedding does not come from that model.
    """
    if len(embedding) != row.dimension:
        raise RecognizerMismatch(
            f"The CLIP model's embeddings have {len(embedding)} dimensions, but those of "
            f"{library.label} have {row.dimension}. Give the CLIP pack of the library with "
            f"{Field('clip_pack')}."
        )
    found = library.database.run(
        lambda connection: photos_near(connection, row, embedding, photo_filter, limit=limit)
    )
    return [
        SimilarImage(best_path(each.paths), each.cosine_similarity or 0.0, _time(each), each.distance_km)
        for each in found
    ]


def _pixels(photo: str) -> Pixels:
    try:
        return decode(photo).pixels
    except UnreadableImage as error:
        if not Path(photo).exists():
            raise WrongUsage(
                f"File not found: {printable(photo)}. Give a photo, such as anna.jpg."
            ) from error
        raise WrongUsage(f"{printable(photo)} cannot be used: {error.reason}.") from error
