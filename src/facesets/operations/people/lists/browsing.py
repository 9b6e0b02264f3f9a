"""People, faces of a person and faces of a photo, in pages, as the browser shows them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from facesets.errors import NotFound
from facesets.operations.people.corrections.contradictions import describing
from facesets.operations.people.corrections.lookup import folded, require_person, without_accents
from facesets.operations.people.lists.listing import corrections_about
from facesets.operations.people.lists.similar_people import people_like_person
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.models import usual_detector
from facesets.store.postgres.people.people_list import (
    PeoplePlace,
    PeopleWanted,
    PersonCard,
    cards_of,
    count_people,
    people_cards,
    refresh_totals,
    refresh_totals_of,
)
from facesets.store.postgres.people.person_ages import PersonAge, ages_of
from facesets.store.postgres.people.person_faces import Era, Order, ShownFace, eras_of, shown_faces, spread_of
from facesets.store.postgres.people.persons import all_names, version_of_person, versions_of_people
from facesets.store.postgres.people.prototypes import refresh_prototypes
from facesets.store.postgres.photo_details import (
    FaceFacts,
    LibraryPhoto,
    adjacent_photos,
    ages_on_photo,
    faces_on_photo,
    find_photo,
    people_on_photo,
)
from facesets.store.postgres.photos.tags import PhotoTags, of_image

_NEAREST = 6
_MAX_FACES = 1000
_REFRESHED = 1000
"""Maximum faces for prototypes that are remade while the page loads."""
_MAX_CORRECTIONS = 50


@dataclass(frozen=True, slots=True)
class PeoplePage:
    """Some people, and how many there are in total.

    Attributes
    ----------
    after : PeoplePlace or None
        The start of the next page; None on the last one.
    """

    people: list[PersonCard]
    total: int
    unnamed: int
    after: PeoplePlace | None


def people_page(
    database: Database,
    wanted: PeopleWanted,
    find: str = "",
    *,
    limit: int,
    after: PeoplePlace | None = None,
    offset: int = 0,
) -> PeoplePage:
    """Return named people first, then unnamed ones, by number of faces; or those whose name matches.

    Parameters
    ----------
    find : str
        Part of a name; people with a name that begins so come first.
    """

    def work(connection: Connection) -> PeoplePage:
        refresh_totals(connection)
        chosen = replace(wanted, found=_found(connection, find)) if find.strip() else wanted
        people = people_cards(connection, chosen, limit=limit + 1, after=after, offset=offset)
        total, unnamed = count_people(connection, chosen)
        last = people[limit - 1] if len(people) > limit else None
        place = None if last is None else PeoplePlace(last.rank, last.faces, UUID(last.id))
        return PeoplePage(people[:limit], total, unnamed, place)

    return database.run(work)


def _found(connection: Connection, find: str) -> dict[UUID, int]:
    """Return people with matching names: 0 if a name begins so, 1 if a word of it does, else 2."""
    text = folded(find)
    # If the user types an accent, it must match.
    written = without_accents if text == without_accents(text) else str
    found: dict[UUID, int] = {}
    for name, person in all_names(connection):
        have = written(folded(name))
        if text in have:
            rank = 0 if have.startswith(text) else 1 if f" {text}" in have else 2
            found[person] = min(rank, found.get(person, rank))
    return found


@dataclass(frozen=True, slots=True)
class SeenPerson:
    """A person as shown, and the version to send with changes."""

    card: PersonCard
    version: int


def seen_person(database: Database, person: UUID) -> SeenPerson:
    """Return a person, or the one it was merged into. Raises `NotFound`."""

    def work(connection: Connection) -> SeenPerson:
        found = require_person(connection, person).id
        # Read first, so that any change while reading makes it out of date.
        version = version_of_person(connection, found)
        refresh_totals_of(connection, [found])
        (card,) = cards_of(connection, [found])
        if _refreshed_prototypes(connection, card):
            (card,) = cards_of(connection, [found])
        return SeenPerson(card, version)

    return database.run(work)


def _refreshed_prototypes(connection: Connection, card: PersonCard) -> bool:
    """Remake a person's prototypes if they are stale and that is quick; return whether that was done."""
    detector = usual_detector(connection)
    if detector is None or card.faces > _REFRESHED:
        return False
    return refresh_prototypes(connection, detector, [UUID(card.id)]) > 0


@dataclass(frozen=True, slots=True)
class FacesPage:
    """Some faces of a person.

    Attributes
    ----------
    eras : list of Era
        Years in which the person looks similar, if distinguished.
    after : int or None
        The last face of this page; None on the last page.
    """

    faces: list[ShownFace]
    eras: list[Era]
    after: int | None


def faces_page(
    database: Database, person: UUID, order: Order, *, limit: int, after: int | None = None
) -> FacesPage:
    """Return some faces of a person in an order; the list ends at a face that is gone."""

    def work(connection: Connection) -> FacesPage:
        faces = shown_faces(connection, person, order, limit=limit + 1, after=after)
        following = faces[limit - 1].id if len(faces) > limit else None
        return FacesPage(faces[:limit], eras_of(connection, person), following)

    return database.run(work)


@dataclass(frozen=True, slots=True)
class AboutPerson:
    """Further details of a person.

    Attributes
    ----------
    spread : float or None
        Mean cosine distance of the best faces to their mean.
    corrections : list of str
        Corrections in words, up to a maximum.
    corrections_count : int
        The number of all corrections.
    nearest : list of (person, cosine similarity)
        The most similar people, if more similar than strangers.
    age : PersonAge
        Birth and sex.
    """

    card: PersonCard
    spread: float | None
    corrections: list[str]
    corrections_count: int
    nearest: list[tuple[PersonCard, float]]
    age: PersonAge


def about_person(database: Database, person: UUID) -> AboutPerson:
    """Return further details of a person. Raises `NotFound`."""

    def work(connection: Connection) -> AboutPerson:
        found = require_person(connection, person).id
        similar = people_like_person(connection, found, _NEAREST)
        shown = cards_of(connection, [found, *(other for other, _ in similar)])
        cards = {UUID(card.id): card for card in shown}
        ours = corrections_about(connection, found)
        return AboutPerson(
            cards[found],
            spread_of(connection, found),
            list(map(describing(connection), ours[:_MAX_CORRECTIONS])),
            len(ours),
            [(cards[other], similarity) for other, similarity in similar],
            ages_of(connection, [found])[found],
        )

    return database.run(work)


def born_when(database: Database, person: UUID) -> PersonAge:
    """Return when a person was born, if known. Raises `NotFound`."""

    def work(connection: Connection) -> PersonAge:
        found = require_person(connection, person).id
        return ages_of(connection, [found])[found]

    return database.run(work)


@dataclass(frozen=True, slots=True)
class BrowsedPhoto:
    """A photo, its faces, and the photos next to it.

    Attributes
    ----------
    versions : mapping of UUID to int
        Versions of the people on it, to send with changes.
    ages : mapping of UUID to str
        Ages of those people on that day, in words; empty if unknown.
    newer, older : str or None
        Contents of the adjacent photos of the person whose page was shown before.
    """

    photo: LibraryPhoto
    faces: Sequence[FaceFacts]
    versions: dict[UUID, int]
    ages: dict[UUID, str]
    newer: str | None
    older: str | None
    tags: PhotoTags


def photo_page(database: Database, sha256: str, person: UUID | None = None) -> BrowsedPhoto:
    """Return a photo of the library. Raises `NotFound`."""

    def work(connection: Connection) -> BrowsedPhoto:
        photo = require_photo(connection, sha256)
        # Before the faces, so that any change in between makes the versions out of date.
        versions = versions_of_people(connection, people_on_photo(connection, photo.id))
        faces = faces_on_photo(connection, photo.id, limit=_MAX_FACES)
        newer, older = (None, None) if person is None else adjacent_photos(connection, photo.id, person)
        ages = ages_on_photo(connection, photo)
        return BrowsedPhoto(photo, faces, versions, ages, newer, older, of_image(connection, photo.id))

    return database.run(work)


def require_photo(connection: Connection, sha256: str) -> LibraryPhoto:
    """Return the photo with that content. Raises `NotFound`."""
    photo = find_photo(connection, sha256)
    if photo is None:
        raise NotFound("This photo is not in the library.")
    return photo
