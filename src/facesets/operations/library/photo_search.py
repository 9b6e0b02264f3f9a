"""Find photos by conditions or similarity, a page at a time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from facesets.ages import AgeRange
from facesets.errors import Field, NotFound, WrongUsage
from facesets.files import printable
from facesets.library_records import ClipRow
from facesets.operations.library.nothing_found import stages_to_do
from facesets.operations.library.tags import tags_called
from facesets.operations.models.clip_choice import require_embeddings
from facesets.operations.people.corrections.lookup import find_person
from facesets.places import Near
from facesets.records import Float32
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.library import Library
from facesets.store.postgres.people.person_ages import births_by_faces
from facesets.store.postgres.people.persons import PersonState
from facesets.store.postgres.photos.descriptions import is_looked_for
from facesets.store.postgres.photos.filter import Dates, PhotoFilter
from facesets.store.postgres.photos.images import picture_of_image
from facesets.store.postgres.photos.metadata import camera_names, cameras_called
from facesets.store.postgres.photos.search import (
    MAX_COUNTED,
    FoundPhoto,
    count_embedded,
    count_photos,
    embedding_of_photo,
    find_photos,
    photos_near,
)

MAX_SIMILAR = 200
"""Maximum number of photos found by words or another photo; less similar ones are unrelated."""


@dataclass(frozen=True, slots=True)
class PhotoPage:
    """A page of photos, and their total number up to the count limit."""

    photos: list[FoundPhoto]
    total: int


def photos_of(
    library: Library, photo_filter: PhotoFilter, *, offset: int, limit: int, most: int = MAX_COUNTED
) -> PhotoPage:
    """Find photos that match all conditions, latest first; counts up to a limit."""

    def work(connection: Connection) -> PhotoPage:
        found = find_photos(connection, photo_filter, offset=offset, limit=limit)
        # If a page is not full, there are no more photos, and counting is unnecessary.
        is_last = len(found) < limit and (bool(found) or not offset)
        total = offset + len(found) if is_last else count_photos(connection, photo_filter, most)
        return PhotoPage(found, min(total, most))

    return library.database.run(work)


def photos_of_words(
    library: Library,
    encode: Callable[[str], tuple[ClipRow, Float32]],
    words: str,
    photo_filter: PhotoFilter,
    *,
    offset: int,
    limit: int,
) -> PhotoPage:
    """Find matching photos that words describe best; `encode` embeds the words."""
    row, embedding = encode(words)
    return library.database.run(
        lambda connection: _similar(connection, row, embedding, photo_filter, offset=offset, limit=limit)
    )


def photos_like(
    library: Library,
    sha256: str,
    photo_filter: PhotoFilter,
    *,
    offset: int,
    limit: int,
) -> PhotoPage:
    """Find matching photos most similar to one of the library, without that one.

    Raises
    ------
    NotFound
        There is no such photo.
    WrongUsage
        The photo was not embedded.
    """
    known = library.clip_models()

    def work(connection: Connection) -> PhotoPage:
        if picture_of_image(connection, sha256) is None:
            raise NotFound("This photo is not in the library.")
        require_embeddings(known, library.label)
        for row in known:
            embedding = embedding_of_photo(connection, row, sha256)
            if embedding is not None:
                return _similar(
                    connection, row, embedding, photo_filter, but=sha256, offset=offset, limit=limit
                )
        raise WrongUsage(
            "This photo has no embedding, so similar photos cannot be found. Index its folder again."
        )

    return library.database.run(work)


def _similar(
    connection: Connection,
    row: ClipRow,
    embedding: Float32,
    photo_filter: PhotoFilter,
    *,
    but: str = "",
    offset: int,
    limit: int,
) -> PhotoPage:
    """Return a page of matching photos, most similar first, without one of them."""
    most = MAX_SIMILAR + bool(but)
    # For the two hundred best, an index must propose far more candidates than for the first page.
    wanted = min(offset + limit + bool(but), most)
    found = photos_near(connection, row, embedding, photo_filter, limit=wanted)
    others = [each for each in found if each.sha256 != but]
    total = len(others)
    if len(found) == wanted < most:
        total += count_embedded(connection, row, photo_filter, most) - len(found)
    return PhotoPage(others[offset : offset + limit], min(total, MAX_SIMILAR))


_NAMED = 5
"""Maximum number of existing cameras listed if the requested one does not exist."""


def requested_people(library: Library, names_or_ids: Sequence[str]) -> list[PersonState]:
    """Return the people with these names or ids, each once. Raises `WrongUsage`, `NotFound`."""

    def work(connection: Connection) -> list[PersonState]:
        return list({(found := find_person(connection, each)).id: found for each in names_or_ids}.values())

    return library.database.run(work)


def filter_of(
    library: Library,
    persons: Sequence[PersonState] = (),
    dates: Dates | None = None,
    near: Near | None = None,
    camera: str = "",
    *,
    tags: Sequence[str] = (),
    words: str | None = None,
    ages: AgeRange | None = None,
) -> PhotoFilter:
    """Make a filter from people, dates, place, camera, tags, words and age.

    Parameters
    ----------
    camera : str
        Words of its make, model or lens; any camera for none.
    tags : sequence of str
        Tags, or categories and tags separated by a colon.
    words : str or None
        Words of their descriptions; None for any photo.
    ages : AgeRange or None
        The age of one of these people on them.

    Raises
    ------
    NotFound
        No photo was taken with such a camera, or there is no such tag.
    WrongUsage
        Several categories have such a tag, the words are empty, or the last day is before the first.
    """
    _require_order(dates or Dates())
    if words is not None:
        _require_words(library, words)
    cameras = _cameras(library, camera.strip())
    shown = tuple(each.id for each in persons)
    births = {} if ages is None else library.database.run(births_by_faces, shown)
    return PhotoFilter(
        shown,
        dates or Dates(),
        near,
        cameras,
        tags_called(library, tags),
        (words or "").strip(),
        ages,
        tuple(births.items()),
    )


def _require_order(dates: Dates) -> None:
    if dates.first is not None and dates.last is not None and dates.first > dates.last:
        raise WrongUsage(f"{dates.first} is after {dates.last}. Give the earlier day first.")


def _require_words(library: Library, words: str) -> None:
    if not words.strip():
        raise WrongUsage(f"{Field('words')} is empty. Give words from descriptions of photos.")
    if not library.database.run(lambda connection: is_looked_for(connection, words)):
        raise WrongUsage(
            f"Descriptions cannot be searched for {printable(words.strip())}, because nearly every "
            "text contains it. Give a rarer word."
        )


def _cameras(library: Library, text: str) -> tuple[int, ...] | None:
    if not text:
        return None
    found = library.database.run(lambda connection: cameras_called(connection, text))
    if not found:
        raise NotFound(
            f"No photo in {library.label} was taken with a camera or lens named {printable(text)}. "
            f"{_camera_hint(library)}"
        )
    return found


def _camera_hint(library: Library) -> str:
    """Describe the missing metadata, else list the existing cameras."""
    if missing := stages_to_do(library, ["metadata"]):
        return missing[0].sentence
    names = library.database.run(lambda connection: camera_names(connection, _NAMED + 1))
    if not names:
        return "No photo has a camera name. Remove this condition."
    more = " and others" if len(names) > _NAMED else ""
    return f"Known cameras: {', '.join(map(printable, names[:_NAMED]))}{more}."
