"""`db index`: embedding indexes that make `search` fast on large libraries."""

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

from facesets.errors import FacesetsError
from facesets.interfaces import Progress
from facesets.library_records import ClipRow
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.library import Library
from facesets.store.postgres.models import clip_models
from facesets.store.postgres.photos import search
from facesets.store.postgres.photos.vector_index import Vectors, being_built, count, has_index, is_more_than
from facesets.store.postgres.photos.vector_index import build_index as build
from facesets.store.postgres.photos.vector_index import drop_index as drop

INDEX_FROM_VECTORS = 50_000
"""The number of embeddings from which an index pays off; without one, a search reads all."""

_LOOKS_EVERY_S = 0.5
_NAMES = {"face_embeddings": "faces", "image_embeddings": "images"}


def wants_index(library: Library, row: ClipRow | None = None) -> bool:
    """Whether the library is large enough to need an index and has none."""

    def work(connection: Connection) -> bool:
        of_images = search.image_vectors(row) if row is not None else None
        vectors = of_images or search.face_vectors(library.require_detector(connection))
        return not has_index(connection, vectors) and is_more_than(connection, vectors, INDEX_FROM_VECTORS)

    return library.database.run(work)


def build_index(library: Library, progress: Progress) -> None:
    """Build or rebuild the indexes of faces and photos; other work can continue.

    Raises
    ------
    WrongUsage
        The library is empty.
    """
    for vectors in _all_vectors(library):
        with _shown(library.database, vectors, progress):
            alone = library.database.run_alone(build, vectors=vectors)
        if alone:
            progress.say(
                "The server has too little shared memory for a parallel build; the index was built "
                "by one process. In a container, raise `shm_size`."
            )


def drop_index(library: Library) -> None:
    """Remove the indexes of faces and photos before a bulk load. Raises as `build_index`."""
    for vectors in _all_vectors(library):
        library.database.run(drop, vectors=vectors)


@contextmanager
def _shown(database: Database, vectors: Vectors, progress: Progress) -> Iterator[None]:
    """Show the progress of the build during the block, from a thread with its own session."""
    over, is_built = threading.Event(), False
    total, done = database.run(count, vectors=vectors), 0

    def look() -> None:
        nonlocal done
        is_checked = False
        with closing(database.another(reconnect_within_s=0)) as beside:
            while not over.wait(_LOOKS_EVERY_S):
                now = beside.run(being_built, vectors=vectors)
                if now is None or is_checked:
                    continue
                built, is_checked = now
                further = max((total if is_checked else min(built, total)) - done, 0)
                progress.advance(further)
                done += further
                if is_checked:
                    progress.end()
                    progress.begin(f"Checking the index of {_NAMES[vectors.table]}")

    def look_if_possible() -> None:
        # The index is built even if no further session can be opened.
        with suppress(FacesetsError):
            look()

    progress.begin(f"Indexing {_NAMES[vectors.table]}", total)
    thread = threading.Thread(target=look_if_possible, name="progress of an index", daemon=True)
    thread.start()
    try:
        yield
        is_built = True
    finally:
        over.set()
        thread.join()
        if is_built and done < total:
            progress.advance(total - done)
        progress.end()


def _all_vectors(library: Library) -> list[Vectors]:
    def work(connection: Connection) -> list[Vectors]:
        of_images = [search.image_vectors(row) for row in clip_models(connection)]
        if of_images and library.detector(connection) is None:
            return of_images
        return [search.face_vectors(library.require_detector(connection)), *of_images]

    return library.database.run(work)
