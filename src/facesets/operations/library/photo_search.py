"""Photos by all that is known of them, and by what they look like, a page at a time."""

from collections.abc import Callable
from dataclasses import dataclass

from facesets.errors import NotFound, WrongUsage
from facesets.library_records import ClipRow
from facesets.operations.models.clip_choice import require_embeddings
from facesets.records import Float32
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.library import Library
from facesets.store.postgres.photos.filter import PhotoFilter
from facesets.store.postgres.photos.images import picture_of_image
from facesets.store.postgres.photos.search import (
    MOST_COUNTED,
    FoundPhoto,
    count_embedded,
    count_photos,
    embedding_of_photo,
    find_photos,
    photos_near,
)

MOST_SIMILAR = 200
"""Photos that words or another photo find: what is still less similar has nothing to do with them."""


@dataclass(frozen=True, slots=True)
class PhotoPage:
    """Some photos, and how many there are in all; at most as many as are counted."""

    photos: list[FoundPhoto]
    total: int


def photos_of(
    library: Library, asked: PhotoFilter, *, offset: int, limit: int, most: int = MOST_COUNTED
) -> PhotoPage:
    """Photos of which all holds that is asked for; the latest first. So many are counted at most."""

    def work(connection: Connection) -> PhotoPage:
        found = find_photos(connection, asked, offset=offset, limit=limit)
        # Where a page is not full there are no more, and all that fit need not be looked through again.
        is_last = len(found) < limit and (bool(found) or not offset)
        total = offset + len(found) if is_last else count_photos(connection, asked, most)
        return PhotoPage(found, min(total, most))

    return library.database.run(work)


def photos_of_words(
    library: Library,
    encode: Callable[[str], tuple[ClipRow, Float32]],
    words: str,
    asked: PhotoFilter,
    *,
    offset: int,
    limit: int,
) -> PhotoPage:
    """Those of such photos that words describe best, best first; `encode` makes a vector of the words."""
    row, embedding = encode(words)
    return library.database.run(
        lambda connection: _similar(connection, row, embedding, asked, offset=offset, limit=limit)
    )


def photos_like(
    library: Library,
    sha256: str,
    asked: PhotoFilter,
    *,
    offset: int,
    limit: int,
) -> PhotoPage:
    """Those of such photos that look most like one of the library, without that one.

    Raises
    ------
    NotFound
        There is no such photo.
    WrongUsage
        It was not embedded.
    """
    known = library.clip_models()

    def work(connection: Connection) -> PhotoPage:
        if picture_of_image(connection, sha256) is None:
            raise NotFound("There is no such photo in the library.")
        require_embeddings(known, library.label)
        for row in known:
            embedding = embedding_of_photo(connection, row, sha256)
            if embedding is not None:
                return _similar(connection, row, embedding, asked, but=sha256, offset=offset, limit=limit)
        raise WrongUsage("This photo has no embedding, so nothing can be like it. Index its folder again.")

    return library.database.run(work)


def _similar(
    connection: Connection,
    row: ClipRow,
    embedding: Float32,
    asked: PhotoFilter,
    *,
    but: str = "",
    offset: int,
    limit: int,
) -> PhotoPage:
    """A page of those that fit, most similar first, without one of them."""
    most = MOST_SIMILAR + bool(but)
    # For the two hundred best an index has to propose far more candidates than for those of the first page.
    wanted = min(offset + limit + bool(but), most)
    found = photos_near(connection, row, embedding, asked, limit=wanted)
    others = [each for each in found if each.sha256 != but]
    total = len(others)
    if len(found) == wanted < most:
        total += count_embedded(connection, row, asked, most) - len(found)
    return PhotoPage(others[offset : offset + limit], min(total, MOST_SIMILAR))
