"""`search` by place and camera, and `show` of one photo, as they are typed."""

import json
from dataclasses import replace

import pytest

from facesets.store.postgres.connection import Database
from facesets.store.postgres.library import Library
from tests.fixtures.made_faces import SETTINGS, made_image
from tests.fixtures.made_metadata import METADATA, keep
from tests.fixtures.program import Result, run


@pytest.fixture
def library_of_two(database: Database, library_url: str) -> str:
    """A photo from Munich by a Canon, and one from Sydney by a Nikon."""
    sydney = replace(METADATA, latitude=-33.86, longitude=151.21, make="NIKON", model="D90")
    keep(Library(database, SETTINGS), METADATA, sydney)
    return library_url


def call(library_url: str, *arguments: object) -> Result:
    return run(*arguments, env={"DATABASE_URL": library_url})


def test_search_lists_photos_of_a_place_with_their_distance(library_of_two: str) -> None:
    found = call(library_of_two, "search", "--near", "-33.9,151.2,20", "--from", "2019-01-01")
    lines = found.out.splitlines()
    assert lines[0].split() == ["taken", "km", "path"]
    assert lines[1].split() == ["2019-07-04", "15:30:00", "4.5", "/1.jpg"]
    assert len(lines) == 2
    by_camera = call(library_of_two, "search", "--camera", "canon 80d", "--json")
    assert json.loads(by_camera.out) == {
        "images": [{"path": "/0.jpg", "name": "", "taken": "2019-07-04 15:30:00", "distance_km": None}]
    }
    nothing = call(library_of_two, "search")
    assert (nothing.status, "--near LAT,LON" in nothing.err) == (2, True)


def test_show_prints_what_is_known_of_a_photo(library_of_two: str) -> None:
    shown = call(library_of_two, "show", "/0.jpg").out
    for said in (
        "/0.jpg",
        "2019-07-04 15:30:00.250000",
        "DateTimeOriginal",
        "48.137°",
        "EF-S 18-135mm",
        "pending",
    ):
        assert said in shown
    as_json = json.loads(call(library_of_two, "show", made_image("photo 0").sha256[:12], "--json").out)
    assert as_json["found"]["metadata"]["iso"] == 400
    assert as_json["found"]["metadata"]["extra"]["Keywords"] == ["beach", "été"]
    unknown = call(library_of_two, "show", "nowhere.jpg")
    assert (unknown.status, "nowhere.jpg is not in the library" in unknown.err) == (2, True)
