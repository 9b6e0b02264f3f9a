"""From what a user asks for to what is searched: names of people and cameras become their numbers."""

from collections.abc import Sequence

from facesets.errors import Command, Field, NotFound
from facesets.files import printable
from facesets.operations.library.tags import tags_called
from facesets.operations.people.corrections.who import find_person
from facesets.places import Near
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.library import Library
from facesets.store.postgres.people.person_edits import PersonState
from facesets.store.postgres.photo_cameras import cameras_called
from facesets.store.postgres.photo_dates import Dates
from facesets.store.postgres.photo_filter import PhotoFilter


def people_meant(library: Library, who: Sequence[str]) -> list[PersonState]:
    """The people that are meant by names or numbers, each once. Raises `WrongUsage`, `NotFound`."""

    def work(connection: Connection) -> list[PersonState]:
        return list({(found := find_person(connection, each)).id: found for each in who}.values())

    return library.database.run(work)


def filter_of(
    library: Library,
    persons: Sequence[PersonState] = (),
    dates: Dates | None = None,
    near: Near | None = None,
    camera: str = "",
    tags: Sequence[str] = (),
) -> PhotoFilter:
    """Photos that show all of these people, were taken then, there and with that camera, and have these tags.

    Parameters
    ----------
    camera : str
        Words of its make, model or lens; any camera for none.
    tags : sequence of str
        Each a tag, or a category and a tag with a colon between.

    Raises
    ------
    NotFound
        No photo was taken with such a camera, or there is no such tag.
    WrongUsage
        Several categories have such a tag.
    """
    cameras = _cameras(library, camera.strip())
    people = tuple(each.id for each in persons)
    return PhotoFilter(people, dates or Dates(), near, cameras, tags_called(library, tags))


def _cameras(library: Library, text: str) -> tuple[int, ...] | None:
    if not text:
        return None
    found = library.database.run(lambda connection: cameras_called(connection, text))
    if not found:
        raise NotFound(
            f"No photo in {library.label} says that its camera or lens is called {printable(text)}. "
            f"{Command('index', Field('stage', 'metadata'))} reads what photos say."
        )
    return found
