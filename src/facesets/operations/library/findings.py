"""Delete the results of an analysis step, and detect the faces of one photo again."""

from dataclasses import dataclass

import numpy as np

from facesets.errors import AlreadyRunning, NotFound, WrongUsage
from facesets.imaging.decode import Decoded
from facesets.imaging.originals import read_decoded
from facesets.interfaces import Embedder
from facesets.operations.ingest.same_models import require_recognizer_of_library
from facesets.records import Faces, ImageRecord
from facesets.result import Result
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.library import Library
from facesets.store.postgres.photos.face_places import without_forgotten
from facesets.store.postgres.photos.faces import add_faces
from facesets.store.postgres.photos.images import numbers_of, picture_of_image
from facesets.store.postgres.photos.stages import delete_findings as delete
from facesets.store.postgres.photos.stages import forget_stages_of_faces


@dataclass(frozen=True, slots=True)
class Looked:
    """The faces found, by number, and how many are new."""

    faces: list[int]
    added: int


def look_again(
    library: Library, embedder: Embedder, sha256: str, *, min_det_score: float, min_short: float
) -> Looked:
    """Detect the faces of a photo again and add new ones. Known faces stay unchanged.

    Parameters
    ----------
    embedder : Embedder
        Uses the library's models; may have a lower detection threshold than the library.
    min_det_score : float
        Minimum detector score of a face.
    min_short : float
        Minimum short edge of its box, in pixels.

    Raises
    ------
    NotFound
        There is no such photo.
    UnreadableImage
        None of its files can be read.
    RecognizerMismatch
        The embedder uses another recognizer.
    AlreadyRunning
        Another run is processing the photo.
    WrongUsage
        No photo has been searched for faces yet.
    """
    require_recognizer_of_library(library, embedder.settings)
    picture = library.database.run(picture_of_image, sha256)
    if picture is None:
        raise NotFound("This photo is not in the library.")
    claims = library.claims("content")
    if not claims.take([sha256]):
        raise AlreadyRunning("Another run is processing this photo. Try again later.")
    try:
        decoded = read_decoded(picture.paths, sha256)
        (faces,) = embedder.embed([decoded.pixels])
        wanted = (faces.det_score >= min_det_score) & (faces.face_short >= min_short)
        faces = faces.take(np.flatnonzero(wanted))
        return library.database.run(_store, library, sha256, decoded, faces)
    finally:
        claims.release([sha256])


def _store(connection: Connection, library: Library, sha256: str, decoded: Decoded, faces: Faces) -> Looked:
    detector = library.require_detector(connection)
    record = ImageRecord(sha256, decoded.width, decoded.height, np.datetime64("NaT", "s"), b"", faces)
    (record,) = without_forgotten(connection, [record])
    numbers, added = add_faces(connection, detector, sha256, record.faces)
    if added:
        forget_stages_of_faces(connection, list(numbers_of(connection, [sha256]).values()))
    return Looked(numbers, added)


def delete_findings(library: Library, stage: str, *, dry_run: bool) -> Result:
    """Delete the results of an analysis step and what was derived from them.

    Raises
    ------
    WrongUsage
        The results of that step cannot be deleted separately.
    """

    def work(connection: Connection) -> int:
        with connection.transaction(force_rollback=dry_run):
            deleted = delete(connection, stage)
        if deleted is None:
            raise WrongUsage(f"Results of {stage} cannot be deleted alone. They are deleted with the photos.")
        return deleted

    # For `attributes`, the number of faces.
    return Result(stage=stage, deleted=library.database.run(work), dry_run=dry_run)
