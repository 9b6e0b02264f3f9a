"""`search`: by words, by a picture, by the face on one, by a person; and the indexes that make it fast."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

import numpy as np

from facesets.clustering.calibration import usual_link
from facesets.errors import Command, Field, RecogniserMismatch, UnreadableImage, WrongUsage
from facesets.files import printable
from facesets.imaging.boxes import iou
from facesets.imaging.decode import decode
from facesets.interfaces import Embedder
from facesets.library_records import AgeRange
from facesets.operations.ingest.same_models import require_recogniser_of_library
from facesets.operations.people.corrections.who import find_person
from facesets.records import Faces, Float32, Pixels
from facesets.store.postgres import search
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.library import Library
from facesets.store.postgres.models import ClipRow, DetectorRow, clip_models
from facesets.store.postgres.people.person_ages import refresh_ages
from facesets.store.postgres.search import Dates, FaceHit, ImageHit, SimilarImage
from facesets.store.postgres.vector_index import Vectors, has_index, is_more_than
from facesets.store.postgres.vector_index import build_index as build
from facesets.store.postgres.vector_index import drop_index as drop

INDEX_FROM_VECTORS = 50_000
"""With more vectors an index is worth its time: without one, a search reads every vector."""


Box: TypeAlias = tuple[float, float, float, float]
"""Left, top, right and bottom, in pixels of the upright photo."""


@dataclass(frozen=True, slots=True)
class FoundFace(FaceHit):
    """A face in the library; `of` says which of the faces asked for it is similar to, counted from 1."""

    of: int


@dataclass(frozen=True, slots=True)
class FaceSearch:
    """What a search by the faces on a photo found.

    Attributes
    ----------
    on_photo : list of Box
        All faces on the photo, largest first.
    asked : list of Box
        Those that were searched for.
    min_cosine_similarity : float
        What is less similar was left out.
    faces : list of FoundFace
        By face asked for, the most similar first.
    """

    on_photo: list[Box]
    asked: list[Box]
    min_cosine_similarity: float
    faces: list[FoundFace]


@dataclass(frozen=True, slots=True)
class Which:
    """Which faces of a photo count: the largest, the one that overlaps a box most, or every one."""

    box: Box | None = None
    every: bool = False


def search_by_person(
    library: Library, name: str, dates: Dates, limit: int, *, ages: AgeRange | None = None
) -> list[ImageHit]:
    """Images that show a person, at some age if it is given.

    Raises
    ------
    WrongUsage
        Nobody is meant, or several may be.
    """

    def work(connection: Connection) -> list[ImageHit]:
        person = find_person(connection, name)
        title = person.names[0] if person.names else str(person.id)
        if ages is not None:
            refresh_ages(connection, [person.id])
        return search.images_of_person(connection, person.id, title, dates=dates, ages=ages, limit=limit)

    return library.database.run(work)


def search_by_face(
    library: Library,
    embedder: Embedder,
    photo: str,
    dates: Dates,
    limit: int,
    *,
    person: str | None = None,
    which: Which | None = None,
    min_cosine_similarity: float | None = None,
) -> FaceSearch:
    """Faces similar to the largest one on a photo, or to others; only those of a person, if one is named.

    Parameters
    ----------
    limit : int
        Most results for each face asked for.
    min_cosine_similarity : float, optional
        What is less similar is left out; by default what the library's recogniser gives two faces of one
        person rather than of two.

    Raises
    ------
    RecogniserMismatch
        The library's faces come from another recogniser than the embedder's.
    WrongUsage
        The photo cannot be read or shows no face, or none where asked for; the library is empty, or nobody
        has that name.
    """
    require_recogniser_of_library(library, embedder.settings)
    (faces,) = embedder.embed([_pixels(photo)])
    if not len(faces):
        raise WrongUsage(f"There is no face on {printable(photo)}.")
    if min_cosine_similarity is None:
        min_cosine_similarity = usual_link(embedder.settings.recogniser)
    rows = _asked_for(faces, which or Which(), photo)
    found = [
        FoundFace(**{name: getattr(hit, name) for name in FaceHit.__dataclass_fields__}, of=number)
        for number, row in enumerate(rows, start=1)
        for hit in similar_faces(library, faces.embedding[row], dates, limit, person=person)
        if hit.cosine_similarity >= min_cosine_similarity
    ]
    by_size = np.argsort(-faces.face_short, kind="stable")
    boxes = [_box(faces, int(row)) for row in by_size]
    return FaceSearch(boxes, [_box(faces, row) for row in rows], min_cosine_similarity, found)


def _asked_for(faces: Faces, which: Which, photo: str) -> list[int]:
    """Rows of the faces asked for, largest first. Raises `WrongUsage` where there is none."""
    if which.every:
        return [int(row) for row in np.argsort(-faces.face_short, kind="stable")]
    if which.box is None:
        return [int(faces.face_short.argmax())]
    overlap = iou(np.array([which.box], np.float32), faces.box)[0]
    if overlap.max() <= 0:
        raise WrongUsage(
            f"There is no face in that {Field('box')} on {printable(photo)}. {Field('all_faces')} shows "
            "where they are."
        )
    return [int(overlap.argmax())]


def _box(faces: Faces, row: int) -> Box:
    left, top, right, bottom = (round(float(value), 1) for value in faces.box[row])
    return left, top, right, bottom


def similar_faces(
    library: Library, embedding: Float32, dates: Dates, limit: int, *, person: str | None = None
) -> list[FaceHit]:
    """Faces similar to a vector, best first; only those of a person, if one is named. Raises `WrongUsage`."""
    number = _person(library, person)

    def work(connection: Connection) -> list[FaceHit]:
        detector = _detector(library, connection)
        return search.similar_faces(connection, detector, embedding, dates=dates, person=number, limit=limit)

    return library.database.run(work)


def search_like(
    library: Library,
    row: ClipRow,
    encode: Callable[[Pixels], Float32],
    photo: str,
    dates: Dates,
    limit: int,
    *,
    person: str | None = None,
) -> list[SimilarImage]:
    """Images similar to a photo as a whole; see `similar_images`.

    Raises
    ------
    WrongUsage
        The photo cannot be read, or nobody has that name.
    """
    return similar_images(library, row, encode(_pixels(photo)), dates, limit, person=person)


def search_by_text(
    library: Library,
    row: ClipRow,
    encode: Callable[[str], Float32],
    text: str,
    dates: Dates,
    limit: int,
    *,
    person: str | None = None,
) -> list[SimilarImage]:
    """Images that words describe; see `similar_images`.

    Raises
    ------
    WrongUsage
        There are no words, or nobody has that name.
    """
    if not text.strip():
        raise WrongUsage('Say in words what the photos show: facesets search "a red bicycle in snow".')
    return similar_images(library, row, encode(text), dates, limit, person=person)


def similar_images(
    library: Library, row: ClipRow, embedding: Float32, dates: Dates, limit: int, *, person: str | None = None
) -> list[SimilarImage]:
    """Images similar to a vector of a CLIP model, best first; with a person on them, if one is named.

    Raises
    ------
    RecogniserMismatch
        The vector is none of that model.
    WrongUsage
        Nobody has that name.
    """
    if len(embedding) != row.dimension:
        raise RecogniserMismatch(
            f"The CLIP model gives vectors of {len(embedding)} numbers, but the images of {library.label} "
            f"were embedded with {row.dimension}. Name the pack that they were embedded by with "
            f"{Field('clip_pack')}."
        )
    number = _person(library, person)
    return library.database.run(
        lambda connection: search.similar_images(
            connection, row, embedding, dates=dates, person=number, limit=limit
        )
    )


def _pixels(photo: str) -> Pixels:
    try:
        return decode(photo).pixels
    except UnreadableImage as error:
        if not Path(photo).exists():
            raise WrongUsage(
                f"There is no file {printable(photo)}. Give the file of a photo, such as anna.jpg."
            ) from error
        raise WrongUsage(f"{printable(photo)} cannot be used: {error.reason}.") from error


def _person(library: Library, name: str | None) -> str | None:
    if name is None:
        return None
    return str(library.database.run(lambda connection: find_person(connection, name)).id)


def wants_index(library: Library, row: ClipRow | None = None) -> bool:
    """Whether there are so many faces, or images of a model, that an index is needed, and there is none."""

    def work(connection: Connection) -> bool:
        of_images = search.image_vectors(row) if row is not None else None
        vectors = of_images or search.face_vectors(_detector(library, connection))
        return not has_index(connection, vectors) and is_more_than(connection, vectors, INDEX_FROM_VECTORS)

    return library.database.run(work)


def build_index(library: Library) -> None:
    """Build the indexes over faces and images, again if there are any; work may go on meanwhile.

    Raises
    ------
    WrongUsage
        The library is empty.
    """
    for vectors in _all_vectors(library):
        library.database.run_alone(partial(build, vectors=vectors))


def drop_index(library: Library) -> None:
    """Remove the indexes over faces and images, before a bulk load. Raises as `build_index`."""
    for vectors in _all_vectors(library):
        library.database.run(partial(drop, vectors=vectors))


def _all_vectors(library: Library) -> list[Vectors]:
    def work(connection: Connection) -> list[Vectors]:
        detector = library.detector(connection)
        of_faces = [search.face_vectors(detector)] if detector is not None else []
        return of_faces + [search.image_vectors(row) for row in clip_models(connection)]

    found = library.database.run(work)
    if not found:
        raise _empty(library)
    return found


def _detector(library: Library, connection: Connection) -> DetectorRow:
    detector = library.detector(connection)
    if detector is None:
        raise _empty(library)
    return detector


def _empty(library: Library) -> WrongUsage:
    return WrongUsage(
        f"There are no faces in {library.label} yet. Run {Command('index', Field('target', 'PHOTOS'))}."
    )
