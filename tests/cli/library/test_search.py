"""`search` by place and camera, and `show` of one photo, as they are typed."""

import json
from dataclasses import replace

import pytest

from facesets.operations.library.tag_file import shipped_categories
from facesets.operations.people.corrections.naming import name
from facesets.store.postgres.connection import Database
from facesets.store.postgres.library import Library
from facesets.store.postgres.photos.tagging import keep_categories
from tests.fixtures.library_people import add_faces, add_photo, cluster, heart_of, who_is
from tests.fixtures.made_faces import SETTINGS, made_file, made_image
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
    wrong = call(library_of_two, "search", "--camera", "leica")
    assert (wrong.status, "Leica" in wrong.err, "by Canon EOS 80D, NIKON D90." in wrong.err) == (
        2,
        False,
        True,
    )
    nothing = call(library_of_two, "search")
    assert (nothing.status, "--near LAT,LON" in nothing.err) == (2, True)


def test_photos_of_several_people_show_all_of_them(database: Database, library_url: str) -> None:
    anna, ben = heart_of("anna"), heart_of("ben")
    library = Library(database, SETTINGS)
    add_faces(library, {"anna": anna, "anna again": anna, "ben": ben, "ben again": ben})
    add_photo(library, "both", [anna, ben])
    cluster(library)
    for who in ("anna", "ben"):
        name(database, who_is(library, who), who.title(), into=False, face=False, by="tester")
    found = call(library_url, "search", "--person", "Anna", "--person", "Ben")
    assert (found.status, found.out.split()) == (0, ["/both.jpg"])
    assert len(call(library_url, "search", "--person", "Ben").out.splitlines()) == 3


def test_show_prints_what_is_known_of_a_photo(library_of_two: str) -> None:
    shown = call(library_of_two, "show", "/0.jpg").out
    for said in (
        "/0.jpg",
        "2019-07-04 15:30:00.250000",
        "DateTimeOriginal",
        "48.137°",
        "EF-S 18-135mm",
        "1/250 s",
        "pending",
    ):
        assert said in shown
    as_json = json.loads(call(library_of_two, "show", made_image("photo 0").sha256[:12], "--json").out)
    assert as_json["found"]["metadata"]["iso"] == 400
    assert as_json["found"]["metadata"]["extra"]["Keywords"] == ["beach", "été"]
    root = call(library_of_two, "show", "/")
    assert (root.status, "/ is a folder. The cache is a file" in root.err) == (2, True)
    unknown = call(library_of_two, "show", "nowhere.jpg")
    assert (unknown.status, "nowhere.jpg is not in the library" in unknown.err) == (2, True)


def test_a_search_that_shows_not_all_says_so(library_of_two: str) -> None:
    some = call(library_of_two, "search", "--from", "2019-01-01", "--limit", 1)
    assert (some.status, len(some.out.splitlines())) == (0, 1)
    assert "More fit than these 1" in some.err
    assert "More fit" not in call(library_of_two, "search", "--from", "2019-01-01", "--limit", 2).err


def test_a_search_that_finds_nothing_names_the_stages_that_are_missing(
    database: Database, library_url: str
) -> None:
    image = made_image("of an older version")
    Library(database, SETTINGS).add([made_file("/old.jpg", image)], [image])
    near = call(library_url, "search", "--near", "48.1,11.5")
    assert "1 photo cannot be found by this yet: `facesets index --stage metadata`" in near.err
    assert "index --stage metadata" in call(library_url, "search", "--camera", "canon").err
    before = call(library_url, "search", "--tag", "beach")
    assert (before.status, "Nothing is tagged yet" in before.err, "tags run" in before.err) == (2, True, True)
    database.run(lambda connection: keep_categories(connection, shipped_categories()))
    tagged = call(library_url, "search", "--tag", "beach", "--tag", "emotion:happy", "--words", "cake")
    for command in ("tags run", "tags run --faces", "describe"):
        assert f"1 photo cannot be found by this yet: `facesets {command}`" in tagged.err
    assert "yet" not in call(library_url, "search", "--from", "2019-01-01").err


def test_a_search_that_finds_nothing_says_which_condition_is_to_blame(library_of_two: str) -> None:
    nothing = call(library_of_two, "search", "--camera", "nikon", "--near", "48.137,11.575", "--json")
    assert (nothing.status, json.loads(nothing.out)) == (0, {"images": []})
    assert "Some photos fit the place, others the camera, none both." in nothing.err
    late = call(library_of_two, "search", "--camera", "nikon", "--from", "2030-01-01")
    assert "No photo fits the dates, whatever else is asked for." in late.err
    assert "taken from 2019-07-04 to 2019-07-04" in late.err


@pytest.mark.parametrize("flag", ["camera", "tag", "words"])
def test_an_empty_condition_is_refused_and_not_left_out(library_of_two: str, flag: str) -> None:
    found = call(library_of_two, "search", "--from", "2019-01-01", f"--{flag}", " ")
    assert (found.status, f"--{flag} is empty." in found.err) == (2, True)


def test_days_in_the_wrong_order_are_refused(library_url: str) -> None:
    found = call(library_url, "search", "--from", "2020-01-01", "--to", "2019-01-01")
    assert (found.status, "--from 2020-01-01 is after --to 2019-01-01" in found.err) == (2, True)
