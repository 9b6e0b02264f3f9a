"""Photos by who is on them, when they were taken, and what they look like."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from functools import partial
from typing import Any

import numpy as np
import pytest
from tests.fixtures.library_people import rows
from tests.fixtures.made_faces import SETTINGS, made_file, made_image
from tests.fixtures.made_metadata import with_metadata

from facesets.errors import NotFound, WrongUsage
from facesets.imaging.metadata.record import PhotoMetadata
from facesets.library_records import ClipRow
from facesets.operations.library.photo_search import (
    PhotoPage,
    filter_of,
    people_meant,
    photos_like,
    photos_of,
    photos_of_words,
)
from facesets.operations.library.search_index import build_index
from facesets.operations.people.corrections.naming import name
from facesets.places import Near
from facesets.records import ClipModel, Float32
from facesets.store.postgres.connection import Database
from facesets.store.postgres.library import Library
from facesets.store.postgres.photos.filter import Dates, PhotoFilter
from facesets.store.postgres.photos.metadata import Camera, cameras_called, ensure_cameras
from facesets.store.postgres.photos.search import count_photos
from facesets.work import SilentProgress

PHOTOS = 12
CLIP = ClipModel("made", "cc" * 32)


def sha(number: int) -> str:
    """The content of a photo."""
    return hashlib.sha256(f"photo {number}".encode()).hexdigest()


def said_of(number: int) -> PhotoMetadata:
    """A day further north each; the first half by a Nikon, the others by a Canon."""
    return PhotoMetadata(
        taken=np.datetime64("2020-01-01T12:00:00", "us") + np.timedelta64(number, "D"),
        latitude=10.0 + number,
        longitude=20.0,
        make="NIKON CORPORATION" if number < PHOTOS // 2 else "Canon",
        model="NIKON D90" if number < PHOTOS // 2 else "Canon EOS 80D",
        lens="18-105mm",
    )


@pytest.fixture
def library(database: Database) -> Library:
    """A photo a day with two faces each, a circle of looks; Anna is on the even ones, Ben on every third."""
    angles = np.linspace(0, np.pi, PHOTOS)
    images = [
        replace(
            with_metadata(made_image(f"photo {number}", 2), said_of(number)),
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
    asked = filter_of(library, people_meant(library, who), dates)
    found = photos_of(library, asked, offset=0, limit=100)
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


DEGREE_KM = 111.2


def test_every_condition_holds_with_every_other(library: Library) -> None:
    def found(who: Sequence[str] = (), **asked: Any) -> list[int]:
        meant = filter_of(library, people_meant(library, who), **asked)
        page = photos_of(library, meant, offset=0, limit=100)
        assert page.total == len(page.photos)
        return days(page)

    near = Near(14, 20, 2.5 * DEGREE_KM)
    assert found(near=near) == [7, 6, 5, 4, 3]
    assert found(camera="canon") == [12, 11, 10, 9, 8, 7]
    assert found(camera="D90 nikon 18-105") == [6, 5, 4, 3, 2, 1]
    assert found(near=near, camera="nikon") == [6, 5, 4, 3]
    assert found(["Anna"], near=near) == [7, 5, 3]
    dates = Dates(date(2020, 1, 4))
    assert found(["Anna"], near=near, camera="nikon", dates=dates) == [5]
    assert found(["Anna", "Ben"], near=near, camera="nikon", dates=dates) == []


@pytest.mark.parametrize("indexed", [False, True])
def test_conditions_hold_for_what_looks_like_a_photo(library: Library, indexed: bool) -> None:
    if indexed:
        build_index(library, SilentProgress())
    near = Near(14, 20, 2.5 * DEGREE_KM)
    asked = filter_of(library, people_meant(library, ["Anna"]), near=near, camera="nikon")
    found = photos_like(library, sha(0), asked, offset=0, limit=9)
    assert days(found) == [3, 5]
    assert [round(photo.distance_km or 0) for photo in found.photos] == [222, 0]
    without_person = photos_like(library, sha(0), replace(asked, persons=()), offset=0, limit=9)
    assert days(without_person) == [3, 4, 5, 6]


def test_a_camera_that_no_photo_names_is_said(library: Library) -> None:
    with pytest.raises(NotFound, match="camera or lens is called Leica"):
        filter_of(library, camera="Leica")
    with pytest.raises(NotFound, match="called Nikon Canon"):
        filter_of(library, camera="Nikon Canon")


def test_a_camera_is_called_in_any_case_of_any_alphabet(library: Library) -> None:
    (number,) = library.database.run(ensure_cameras, {Camera("Optik Süß")}).values()
    assert library.database.run(cameras_called, "SÜSS optik") == (number,)


def test_pages_follow_each_other_and_tell_how_many_there_are(library: Library) -> None:
    pages = [photos_of(library, PhotoFilter(), offset=offset, limit=5) for offset in (0, 5, 10)]
    assert [days(page) for page in pages] == [[12, 11, 10, 9, 8], [7, 6, 5, 4, 3], [2, 1]]
    assert {page.total for page in pages} == {PHOTOS}


def test_a_photo_without_a_file_is_not_shown(library: Library) -> None:
    library.forget_paths(["/11.jpg"])
    assert shown(library)[0] == 11


@pytest.mark.parametrize("indexed", [False, True])
def test_photos_like_one_come_nearest_first_without_itself(library: Library, indexed: bool) -> None:
    if indexed:
        build_index(library, SilentProgress())
    found = photos_like(library, sha(0), PhotoFilter(), offset=0, limit=3)
    assert (days(found), found.total) == ([2, 3, 4], PHOTOS - 1)
    asked = filter_of(library, people_meant(library, ["Anna", "Ben"]))
    of_anna = photos_like(library, sha(0), asked, offset=0, limit=9)
    assert days(of_anna) == [7]
    with pytest.raises(NotFound, match="no such photo"):
        photos_like(library, "00" * 32, PhotoFilter(), offset=0, limit=3)


def test_words_find_the_photos_nearest_to_their_vector(library: Library) -> None:
    (row,) = library.clip_models()
    asked = []

    def encode(words: str) -> tuple[ClipRow, Float32]:
        asked.append(words)
        return row, np.array([-1, 0], np.float32)

    until = PhotoFilter(dates=Dates(None, date(2020, 1, 9)))
    found = photos_of_words(library, encode, "snow", until, offset=1, limit=2)
    assert (asked, days(found), found.total) == (["snow"], [8, 7], 9)


def test_nothing_is_like_a_photo_where_none_was_embedded(database: Database) -> None:
    library = Library(database)
    image = made_image("photo 0", 1)
    with library.writing(SETTINGS):
        library.commit([made_file("/0.jpg", image)], [image])
    with pytest.raises(WrongUsage, match="has an embedding yet"):
        photos_like(library, sha(0), PhotoFilter(), offset=0, limit=3)


def test_nobody_is_meant_by_a_foreign_name_and_each_is_meant_once(library: Library) -> None:
    assert [each.names for each in people_meant(library, ["anna", "Anna"])] == [["Anna"]]
    with pytest.raises(NotFound, match="Nobody is called Zoe"):
        people_meant(library, ["Zoe"])


def add_photos_of_anna(library: Library) -> None:
    """Three thousand, without files."""
    rows(
        library.database,
        """WITH anna AS (SELECT person_id AS id FROM person_names WHERE name = 'Anna'),
            made AS (INSERT INTO images (sha256, width, height, taken, fingerprint, missing_since)
                SELECT encode(sha256(n::text::bytea), 'hex'), 10, 10,
                    timestamp '2000-01-01' + n * interval '1 day', '', now() FROM generate_series(1, 3000) n
                RETURNING id)
            INSERT INTO face_detections (image_id, detector_id, ordinal, x1, y1, x2, y2, kps, det_score,
                    quality, face_short, blur, pose, person_id, assigned_by, assigned_at)
                SELECT made.id, 1, 0, 1, 1, 5, 5, '{}', 0.9, 0.9, 9, 9, '{}', anna.id, 'auto', now()
                FROM made, anna RETURNING id""",
    )


def test_as_many_are_counted_of_dates_as_there_are_wherever_files_are_gone(library: Library) -> None:
    add_photos_of_anna(library)
    dates = Dates(date(2000, 1, 1), date(2020, 1, 10))
    for most, count in ((3, 3), (10, 10), (100, 10), (10_000, 10)):
        for asked in (PhotoFilter(dates=dates), PhotoFilter(dates=Dates(None, date(2020, 1, 10)))):
            assert library.database.run(partial(count_photos, asked=asked, most=most)) == count
    rows(library.database, f"{ADD_FILES} RETURNING 1")
    assert library.database.run(partial(count_photos, asked=PhotoFilter(dates=dates), most=1000)) == 1000
    assert library.database.run(partial(count_photos, asked=PhotoFilter(), most=9000)) == 3000 + PHOTOS


ADD_FILES = """INSERT INTO image_paths (path, size, mtime_ns, sha256, image_id)
    SELECT '/' || sha256, 1, 1, sha256, id FROM images i
    WHERE NOT EXISTS (SELECT FROM image_paths p WHERE p.image_id = i.id)"""
