"""Photos by who is on them, when they were taken, and what they look like, a page at a time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from facesets.errors import NotFound, WrongUsage
from facesets.operations.models.clip_choice import require_embeddings
from facesets.operations.people.corrections.who import find_person
from facesets.records import Float32
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.library import Library
from facesets.store.postgres.models import ClipRow
from facesets.store.postgres.people.person_edits import PersonState
from facesets.store.postgres.photo_search import (
    FoundPhoto,
    Shown,
    count_photos,
    embedding_of_photo,
    find_photos,
    photos_near,
)
from facesets.store.postgres.pictures import picture_of_image
from facesets.store.postgres.search import Dates

MOST_SIMILAR = 200
"""Photos that words or another photo find: what is still less similar has nothing to do with them."""


@dataclass(frozen=True, slots=True)
class PhotoPage:
    """Some photos, and how many there are in all; at most as many as are counted."""

    photos: list[FoundPhoto]
    total: int


def people_meant(library: Library, who: Sequence[str]) -> list[PersonState]:
    """The people that are meant by names or numbers, each once. Raises `WrongUsage`, `NotFound`."""

    def work(connection: Connection) -> list[PersonState]:
        return list({(found := find_person(connection, each)).id: found for each in who}.values())

    return library.database.run(work)


def photos_of(
    library: Library, persons: Sequence[PersonState], dates: Dates, *, offset: int, limit: int
) -> PhotoPage:
    """Photos that show all of these people, taken in that time; the latest first."""
    shown = Shown(tuple(each.id for each in persons), dates)
    return library.database.run(
        lambda connection: PhotoPage(
            find_photos(connection, shown, offset=offset, limit=limit), count_photos(connection, shown)
        )
    )


def photos_of_words(
    library: Library,
    encode: Callable[[str], tuple[ClipRow, Float32]],
    words: str,
    persons: Sequence[PersonState],
    dates: Dates,
    *,
    offset: int,
    limit: int,
) -> PhotoPage:
    """Those of such photos that words describe best, best first; `encode` makes a vector of the words."""
    row, embedding = encode(words)
    shown = Shown(tuple(each.id for each in persons), dates)
    found = library.database.run(
        lambda connection: photos_near(connection, row, embedding, shown, limit=MOST_SIMILAR)
    )
    return PhotoPage(found[offset : offset + limit], len(found))


def photos_like(
    library: Library,
    sha256: str,
    persons: Sequence[PersonState],
    dates: Dates,
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
    shown = Shown(tuple(each.id for each in persons), dates)

    def work(connection: Connection) -> list[FoundPhoto]:
        if picture_of_image(connection, sha256) is None:
            raise NotFound("There is no such photo in the library.")
        require_embeddings(known, library.label)
        for row in known:
            embedding = embedding_of_photo(connection, row, sha256)
            if embedding is not None:
                return photos_near(connection, row, embedding, shown, limit=MOST_SIMILAR + 1)
        raise WrongUsage("This photo has no embedding, so nothing can be like it. Index its folder again.")

    others = [each for each in library.database.run(work) if each.sha256 != sha256][:MOST_SIMILAR]
    return PhotoPage(others[offset : offset + limit], len(others))
