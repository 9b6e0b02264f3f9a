"""`search` by place and camera, and `show` of one photo, as they are typed."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from facesets.operations.library.tag_file import shipped_categories
from facesets.operations.people.corrections.naming import name
from facesets.store.postgres.connection import Database
from facesets.store.postgres.library import Library
from facesets.store.postgres.photos.tagging import store_categories
from tests.fixtures.library_people import add_faces, add_photo, cluster, heart_of, who_is
from tests.fixtures.made_faces import SETTINGS, made_file, made_image
from tests.fixtures.made_metadata import METADATA, keep
from tests.fixtures.program import Result

Call = Callable[..., Result]


@pytest.fixture
def two(database: Database, facesets: Call) -> Call:
    """Runs commands on a library of a photo from Munich by a Canon, and one from Sydney by a Nikon."""
    sydney = replace(METADATA, latitude=-33.86, longitude=151.21, make="NIKON", model="D90")
    keep(Library(database, SETTINGS), METADATA, sydney)
    return facesets


def test_search_lists_photos_of_a_place_with_their_distance(two: Call) -> None:
    found = two("search", "--near", "-33.9,151.2,20", "--from", "2019-01-01")
    heading, line = found.out.splitlines()
    assert heading.split() == ["taken", "km", "path"]
    assert line.split() == ["2019-07-04", "15:30:00", "4.5", "/1.jpg"]
    by_camera = two("search", "--camera", "canon 80d", "--json")
    assert json.loads(by_camera.out) == {
        "images": [{"path": "/0.jpg", "name": "", "taken": "2019-07-04 15:30:00", "distance_km": None}]
    }
    wrong = two("search", "--camera", "leica", status=2).err
    assert ("Leica" in wrong, "Known cameras: Canon EOS 80D, NIKON D90." in wrong) == (False, True)
    assert "--near LAT,LON" in two("search", status=2).err


def test_photos_of_several_people_show_all_of_them(database: Database, facesets: Call) -> None:
    anna, ben = heart_of("anna"), heart_of("ben")
    library = Library(database, SETTINGS)
    add_faces(library, {"anna": anna, "anna again": anna, "ben": ben, "ben again": ben})
    add_photo(library, "both", [anna, ben])
    cluster(library)
    for who in ("anna", "ben"):
        name(database, who_is(library, who), who.title(), into=False, face=False, by="tester")
    assert facesets("search", "--person", "Anna", "--person", "Ben").out.split() == ["/both.jpg"]
    assert len(facesets("search", "--person", "Ben").out.splitlines()) == 3


def test_show_prints_all_facts_about_a_photo(two: Call) -> None:
    shown = two("show", "/0.jpg").out
    for expected in (
        *("/0.jpg", "2019-07-04 15:30:00.250000", "DateTimeOriginal", "48.137°"),
        *("EF-S 18-135mm", "1/250 s", "pending"),
    ):
        assert expected in shown
    as_json = json.loads(two("show", made_image("photo 0").sha256[:12], "--json").out)
    assert as_json["found"]["metadata"]["iso"] == 400
    assert as_json["found"]["metadata"]["extra"]["Keywords"] == ["beach", "été"]
    assert "/ is a folder. A cache is a file" in two("show", "/", status=2).err
    assert "nowhere.jpg is not in the library" in two("show", "nowhere.jpg", status=2).err


def test_a_search_that_finds_nothing_names_the_stages_that_are_missing(
    database: Database, facesets: Call
) -> None:
    def search(*words: str, status: int = 0) -> str:
        return facesets("search", *words, status=status).err

    image = made_image("of an older version")
    Library(database, SETTINGS).add([made_file("/old.jpg", image)], [image])
    near = search("--near", "48.1,11.5")
    assert "1 photo cannot be found by this yet: run `facesets index --stage metadata`" in near
    assert "index --stage metadata" in search("--camera", "canon", status=2)
    before = search("--tag", "beach", status=2)
    assert ("No photo is tagged yet" in before, "`facesets index --stage scene`" in before) == (True, True)
    database.run(lambda connection: store_categories(connection, shipped_categories()))
    tagged = search("--tag", "beach", "--tag", "emotion:happy", "--words", "cake")
    for command in ("index --stage scene", "index --stage face-tags", "describe"):
        assert f"1 photo cannot be found by this yet: run `facesets {command}`" in tagged
    assert "yet" not in search("--from", "2019-01-01")


def test_search_reports_hidden_results_and_the_condition_without_match(two: Call) -> None:
    def searched(*words: object) -> Result:
        return two("search", "--from", "2019-01-01", *words)

    some = searched("--limit", 1)
    assert len(some.out.splitlines()) == 1
    assert "Showing the first 1 results" in some.err
    assert "Showing the first" not in searched("--limit", 2).err
    nothing = two("search", "--camera", "nikon", "--near", "48.137,11.575", "--json")
    assert json.loads(nothing.out) == {"images": []}
    assert "Some photos match the place and others the camera, but none matches both." in nothing.err


def test_bytes_that_are_not_text_are_refused(two: Call) -> None:
    refused = two("search", "--words", "Zo\udceb", status=2).err
    assert refused == "facesets: Zo\\udceb contains bytes that are not UTF-8 text.\n"


def test_conditions_that_make_no_sense_are_refused(two: Call) -> None:
    for flag in ("camera", "tag", "words"):
        assert f"--{flag} is empty." in two("search", "--from", "2019-01-01", f"--{flag}", " ", status=2).err
    wrong = two("search", "--from", "2020-01-01", "--to", "2019-01-01", status=2).err
    assert "--from 2020-01-01 is after --to 2019-01-01" in wrong
