"""`search`: by the face on a photo, or by a person's name; and the index that makes it fast."""

from facesets.errors import UnreadableImage, WrongUsage
from facesets.imaging.decode import decode
from facesets.interfaces import Embedder
from facesets.records import Float32
from facesets.store.postgres import search
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.library import Library
from facesets.store.postgres.models import DetectorRow
from facesets.store.postgres.search import Dates, FaceHit, ImageHit

INDEX_FROM_FACES = 50_000
"""With more faces an index is worth its time: without one, a search reads every vector."""


def search_by_person(library: Library, name: str, dates: Dates, limit: int) -> list[ImageHit]:
    """Images that show a person.

    Raises
    ------
    WrongUsage
        Nobody has that name.
    """
    hits = library.database.run(
        lambda connection: search.images_of_person(connection, name, dates=dates, limit=limit)
    )
    if hits is None:
        raise WrongUsage(f"Nobody in {library.label} is called {name}.")
    return hits


def search_by_face(
    library: Library, embedder: Embedder, photo: str, dates: Dates, limit: int
) -> list[FaceHit]:
    """Faces similar to the largest one on a photo.

    Raises
    ------
    WrongUsage
        The photo cannot be read or shows no face, or the library is empty.
    """
    try:
        (faces,) = embedder.embed([decode(photo).pixels])
    except UnreadableImage as error:
        raise WrongUsage(f"{photo} cannot be used: {error.reason}.") from error
    if not len(faces):
        raise WrongUsage(f"There is no face on {photo}.")
    return similar_faces(library, faces.embedding[int(faces.face_short.argmax())], dates, limit)


def similar_faces(library: Library, embedding: Float32, dates: Dates, limit: int) -> list[FaceHit]:
    """Faces similar to a vector, best first."""

    def work(connection: Connection) -> list[FaceHit]:
        detector = _detector(library, connection)
        return search.similar_faces(connection, detector, embedding, dates=dates, limit=limit)

    return library.database.run(work)


def wants_index(library: Library) -> bool:
    """Whether the library has so many faces that an index should be built, and has none."""

    def work(connection: Connection) -> bool:
        detector = _detector(library, connection)
        return (
            not search.has_index(connection, detector.model_id)
            and search.count_vectors(connection, detector) > INDEX_FROM_FACES
        )

    return library.database.run(work)


def build_index(library: Library) -> None:
    """Build the index over the faces, anew if there is one; work may go on meanwhile."""
    detector = library.database.run(lambda connection: _detector(library, connection))
    library.database.run_alone(lambda connection: search.build_index(connection, detector))


def drop_index(library: Library) -> None:
    """Remove the index over the faces, before a bulk load."""

    def work(connection: Connection) -> None:
        search.drop_index(connection, _detector(library, connection).model_id)

    library.database.run(work)


def _detector(library: Library, connection: Connection) -> DetectorRow:
    detector = library.detector(connection)
    if detector is None:
        raise WrongUsage(f"There are no faces in {library.label} yet. Run `facesets index --target PHOTOS`.")
    return detector
