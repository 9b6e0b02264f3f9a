"""Metadata of files is stored whole and found: the time of images, places on all Earth."""

import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from tests.fixtures.library_people import rows
from tests.fixtures.made_faces import SETTINGS, made_file, made_image
from tests.fixtures.made_metadata import METADATA, keep, with_metadata

from facesets.imaging.metadata.record import PhotoMetadata
from facesets.places import EARTH_KM, FARTHEST_KM, Near
from facesets.store.postgres.connection import Database
from facesets.store.postgres.library import Library
from facesets.store.postgres.photos.filter import PhotoFilter
from facesets.store.postgres.photos.metadata import metadata_of_image
from facesets.store.postgres.photos.search import count_photos, find_photos


@pytest.fixture
def library(database: Database) -> Library:
    return Library(database, SETTINGS)


def stored(library: Library, number: int = 1) -> PhotoMetadata | None:
    return library.database.run(lambda connection: metadata_of_image(connection, number))


def test_every_field_comes_back_as_it_was(library: Library) -> None:
    keep(library, METADATA)
    assert stored(library) == METADATA
    assert rows(library.database, "SELECT taken::text FROM images") == [("2019-07-04 15:30:00",)]


def test_unknown_metadata_stays_unknown(library: Library) -> None:
    keep(library, PhotoMetadata())
    found = stored(library)
    assert found is not None
    assert np.isnat(found.taken)
    assert replace(found, taken=METADATA.taken) == PhotoMetadata(taken=METADATA.taken)
    assert rows(library.database, "SELECT count(*) FROM cameras") == [(0,)]
    assert rows(library.database, "SELECT count(*) FROM photo_extra") == [(0,)]


def test_later_metadata_replaces_earlier_metadata(library: Library) -> None:
    keep(library, METADATA, PhotoMetadata(make="Nikon"))
    library.store_findings([with_metadata(made_image("photo 0"), PhotoMetadata(model="X"))])
    first, second = stored(library, 1), stored(library, 2)
    assert first is not None
    assert second is not None
    assert (first.make, first.model, first.extra, first.latitude) == ("", "X", {}, None)
    assert second.make == "Nikon"
    assert rows(library.database, "SELECT taken FROM images WHERE id = 1") == [(None,)]


def test_photos_of_one_camera_share_its_row(library: Library) -> None:
    keep(library, *[METADATA] * 5, replace(METADATA, lens="other"))
    assert rows(library.database, "SELECT count(*) FROM cameras") == [(2,)]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"make": "a\0b\ud800"}, {"make": "ab?"}),
        ({"lens": "l" * 70_000}, {"lens": "l" * 200}),
        ({"iso": 2**40}, {"iso": None}),
        ({"latitude": 5.0, "longitude": None}, {"latitude": None, "longitude": None}),
        ({"exposure_s": 1e300}, {"exposure_s": 1e300}),
        ({"refused": {"iso": "no \0 number"}}, {"refused": {"iso": "no  number"}}),
        (
            {"extra": {"a\0": ["\udcff", math.nan, {"b": math.inf}], "c": "😀"}},
            {"extra": {"a": ["?", None, {"b": None}], "c": "😀"}},
        ),
    ],
)
def test_metadata_that_the_database_rejects_loses_no_photo(
    library: Library, given: dict[str, object], expected: dict[str, object]
) -> None:
    keep(library, replace(METADATA, **given))  # type: ignore[arg-type]
    assert stored(library) == replace(METADATA, **expected)  # type: ignore[arg-type]


def test_reading_a_picture_again_leaves_the_time_of_the_metadata(library: Library) -> None:
    keep(library, METADATA)
    again = made_image("photo 0", 1, "2001-01-01T00:00:00")
    library.commit([made_file("/0.jpg", again)], [again])
    assert rows(library.database, "SELECT taken::text FROM images") == [("2019-07-04 15:30:00",)]


def test_photos_with_an_unchanged_time_are_not_noted_as_changed(library: Library) -> None:
    keep(library, METADATA)
    counted = "SELECT changed_in::text FROM changes_without_step ORDER BY 1"
    before = rows(library.database, counted)
    library.store_findings([with_metadata(made_image("photo 0"), METADATA)])
    assert rows(library.database, counted) == before


def test_a_known_photo_that_is_added_again_keeps_its_metadata(library: Library) -> None:
    read = with_metadata(made_image("photo", 1), METADATA)
    library.add([made_file("/0.jpg", read)], [read])
    # As where another file of it has no date in its name, or the time of its last change does not count.
    again = with_metadata(made_image("photo", 1), replace(METADATA, taken=np.datetime64("NaT", "us")))
    library.add([made_file("/1.jpg", again)], [again])
    assert stored(library) == METADATA
    assert rows(library.database, "SELECT taken::text FROM images") == [("2019-07-04 15:30:00",)]


SPECIAL = [(90, 0), (-90, 120), (89.99, 179), (0, 180), (0, -180), (-17.8, 179.99), (-17.8, -179.99), (0, 0)]


@pytest.fixture
def places(database: Database) -> np.ndarray:
    """Degrees of the photos of a library: all over Earth, some around the poles and the date line."""
    rng = np.random.default_rng(4)
    anywhere = np.column_stack([np.degrees(np.arcsin(rng.uniform(-1, 1, 120))), rng.uniform(-180, 180, 120)])
    polar = np.column_stack([rng.uniform(88, 90, 40) * rng.choice([-1, 1], 40), rng.uniform(-180, 180, 40)])
    line = np.column_stack([rng.uniform(-60, 60, 40), rng.uniform(175, 180, 40) * rng.choice([-1, 1], 40)])
    found = np.concatenate([anywhere, polar, line, np.array(SPECIAL)])
    reported = [replace(METADATA, latitude=float(lat), longitude=float(lon)) for lat, lon in found]
    keep(Library(database, SETTINGS), *reported, replace(METADATA, latitude=None, longitude=None))
    return found


def exact(places: np.ndarray, near: Near) -> np.ndarray:
    """The distances of places from one by the angle between unit vectors."""

    def unit(latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
        across = np.cos(latitude)
        return np.stack([across * np.cos(longitude), across * np.sin(longitude), np.sin(latitude)], axis=-1)

    these = unit(*np.radians(places).T)
    this = unit(np.radians(np.array(near.latitude)), np.radians(np.array(near.longitude)))
    found: np.ndarray = np.arctan2(np.linalg.norm(np.cross(these, this), axis=1), these @ this) * EARTH_KM
    return found


@pytest.mark.parametrize("km", [0.5, 30, 600, 5000, 10_500, FARTHEST_KM])
def test_they_are_those_within_the_distance(database: Database, places: np.ndarray, km: float) -> None:
    for latitude, longitude in [*SPECIAL, (48.1, 11.6), (-17.8, 179.5), (88.9, -100), (-89.2, 20), (84, 180)]:
        near = Near(latitude, longitude, km)
        distances = exact(places, near)
        found = database.run(partial(find_photos, photo_filter=PhotoFilter(near=near), offset=0, limit=500))
        by_path = {int(photo.paths[0][1:-4]): photo.distance_km for photo in found}
        assert set(by_path) == set(np.flatnonzero(distances <= km).tolist())
        for number, distance in by_path.items():
            assert distance == pytest.approx(distances[number], abs=1e-3)
        assert database.run(partial(count_photos, photo_filter=PhotoFilter(near=near))) == len(found)
