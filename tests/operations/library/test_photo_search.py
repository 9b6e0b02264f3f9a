"""Photos by who is on them, when they were taken, and what they look like."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from tests.fixtures.library_people import rows
from tests.fixtures.made_faces import SETTINGS, made_file, made_image

from facesets.errors import NotFound, WrongUsage
from facesets.operations.library.photo_search import (
    PhotoPage,
    people_meant,
    photos_like,
    photos_of,
    photos_of_words,
)
from facesets.operations.library.search import build_index
from facesets.operations.people.corrections.naming import name
from facesets.records import ClipModel, Float32
from facesets.store.postgres.connection import Database
from facesets.store.postgres.library import Library
from facesets.store.postgres.models import ClipRow
from facesets.store.postgres.search import Dates

PHOTOS = 12
CLIP = ClipModel("made", "cc" * 32)


def sha(number: int) -> str:
    """The content of a photo."""
    return hashlib.sha256(f"photo {number}".encode()).hexdigest()


@pytest.fixture
def library(database: Database) -> Library:
    """A photo a day with two faces each, a circle of looks; Anna is on the even ones, Ben on every third."""
    angles = np.linspace(0, np.pi, PHOTOS)
    images = [
        replace(
            made_image(f"photo {number}", 2, str(np.datetime64("2020-01-01T12:00:00") + number * 86400)),
            clip=np.array([np.cos(angle), np.sin(angle)], np.float32),
        )
        for number, angle in enumerate(angles)
    ]
    filled = Library(database).looking_for(SETTINGS, CLIP)
    filled.add([made_file(f"/{n}.jpg", image) for n, image in enumerate(images)], images)
    for who, place, every in (("Anna", 0, 2), ("Ben", 1, 3)):
        faces = rows(
            database,
            f"""SELECT f.id FROM face_detections f JOIN images i ON i.id = f.image_id
                WHERE f.ordinal = {place} AND extract(day FROM i.taken)::int % {every} = 1 ORDER BY 1""",
        )
        for (face,) in faces:
            name(database, str(face), who, into=True, face=True, by="tester")
    return filled


def days(page: PhotoPage) -> list[int]:
    """The days of January on which photos were taken, in their order."""
    return [photo.taken.day for photo in page.photos if photo.taken is not None]


def shown(library: Library, who: Sequence[str] = (), dates: Dates | None = None) -> list[int]:
    """The days of the photos of these people."""
    people = people_meant(library, who)
    found = photos_of(library, people, dates or Dates(), offset=0, limit=100)
    assert found.total == len(found.photos)
    return days(found)


def test_photos_that_show_two_people_together_come_latest_first(library: Library) -> None:
    assert shown(library, ["Anna"]) == [11, 9, 7, 5, 3, 1]
    assert shown(library, ["ben"]) == [10, 7, 4, 1]
    assert shown(library, ["Anna", "Ben"]) == [7, 1]


def test_people_and_dates_hold_together(library: Library) -> None:
    dates = Dates(date(2020, 1, 3), date(2020, 1, 7))
    assert shown(library, (), dates) == [7, 6, 5, 4, 3]
    assert shown(library, ["Anna", "Ben"], dates) == [7]
    assert shown(library, ["Anna"], Dates(date(2021, 1, 1))) == []


def test_pages_follow_each_other_and_tell_how_many_there_are(library: Library) -> None:
    pages = [photos_of(library, [], Dates(), offset=offset, limit=5) for offset in (0, 5, 10)]
    assert [days(page) for page in pages] == [[12, 11, 10, 9, 8], [7, 6, 5, 4, 3], [2, 1]]
    assert {page.total for page in pages} == {PHOTOS}


def test_a_photo_without_a_file_is_not_shown(library: Library) -> None:
    library.forget_paths(["/11.jpg"])
    assert shown(library)[0] == 11


@pytest.mark.parametrize("indexed", [False, True])
def test_photos_like_one_come_nearest_first_without_itself(library: Library, indexed: bool) -> None:
    if indexed:
        build_index(library)
    found = photos_like(library, sha(0), [], Dates(), offset=0, limit=3)
    assert (days(found), found.total) == ([2, 3, 4], PHOTOS - 1)
    of_anna = photos_like(library, sha(0), people_meant(library, ["Anna", "Ben"]), Dates(), offset=0, limit=9)
    assert days(of_anna) == [7]
    with pytest.raises(NotFound, match="no such photo"):
        photos_like(library, "00" * 32, [], Dates(), offset=0, limit=3)


def test_words_find_the_photos_nearest_to_their_vector(library: Library) -> None:
    (row,) = library.clip_models()
    asked = []

    def encode(words: str) -> tuple[ClipRow, Float32]:
        asked.append(words)
        return row, np.array([-1, 0], np.float32)

    found = photos_of_words(library, encode, "snow", [], Dates(None, date(2020, 1, 9)), offset=1, limit=2)
    assert (asked, days(found), found.total) == (["snow"], [8, 7], 9)


def test_nothing_is_like_a_photo_where_none_was_embedded(database: Database) -> None:
    library = Library(database)
    image = made_image("photo 0", 1)
    with library.writing(SETTINGS):
        library.commit([made_file("/0.jpg", image)], [image])
    with pytest.raises(WrongUsage, match="has an embedding yet"):
        photos_like(library, sha(0), [], Dates(), offset=0, limit=3)


def test_nobody_is_meant_by_a_foreign_name_and_each_is_meant_once(library: Library) -> None:
    assert [each.names for each in people_meant(library, ["anna", "Anna"])] == [["Anna"]]
    with pytest.raises(NotFound, match="Nobody is called Zoe"):
        people_meant(library, ["Zoe"])
