"""What `stats` and `doctor` count."""

import json
from dataclasses import replace

import pytest
from tests.fixtures.library_people import rows
from tests.fixtures.made_faces import SETTINGS, made_file, made_image
from tests.fixtures.program import run

from facesets.operations.library.stats import norm_limits_in_words, stats
from facesets.records import CacheSettings
from facesets.store.postgres.connection import Database
from facesets.store.postgres.library import Library

SERVICE = replace(
    SETTINGS, pack="ml-service/antelopev2", recogniser="antelopev2", recogniser_sha256="cc" * 32
)
DLIB = replace(SETTINGS, pack="open", recogniser="dlib_resnet.onnx", recogniser_sha256="dd" * 32)


def add(database: Database, name: str, faces: int, settings: CacheSettings, *, measured: bool) -> None:
    """An image whose faces have norms, or lack them as those of older versions do."""
    image = made_image(name, faces)
    if not measured:
        image = replace(image, faces=replace(image.faces, norm=None))
    library = Library(database, settings)
    with library.writing(settings):
        library.commit([made_file(f"/{name}.jpg", image)], [image])


@pytest.mark.parametrize(("models", "lacking"), [(SETTINGS, 3), (SERVICE, 0), (DLIB, 0)])
def test_faces_lack_a_norm_only_where_enrich_would_measure_it(
    database: Database, models: CacheSettings, lacking: int
) -> None:
    add(database, "new", 2, models, measured=True)
    add(database, "old", 3, models, measured=False)
    assert stats(Library(database)).faces_without_norm == lacking
    rows(database, "DELETE FROM image_paths WHERE path = '/old.jpg' RETURNING id")
    assert stats(Library(database)).faces_without_norm == 0


@pytest.mark.parametrize("command", ["stats", "doctor"])
def test_the_command_that_measures_faces_is_named_where_some_were_not(
    database: Database, library_url: str, command: str
) -> None:
    add(database, "new", 2, SETTINGS, measured=True)
    healthy = run(command, "--database", library_url).out
    assert "how much" not in healthy
    figure = json.loads(run(command, "--database", library_url, "--json").out)
    if command == "stats":
        assert figure["faces_without_norm"] == 0
    else:
        (finding,) = (each for each in figure["findings"] if each["subject"] == "library")
        assert (finding["level"], finding["state"][:8]) == ("ok", "0 faces ")
    add(database, "old", 3, SETTINGS, measured=False)
    lacking = "3 faces found by an older version lack the measure of how much they show"
    said = run(command, "--database", library_url).out
    if command == "stats":
        assert f"{lacking}: run `facesets enrich`.\n" in said
    else:
        assert f"--  library: {lacking}\n      repair it with: facesets enrich\n" in said


def test_doctor_goes_on_where_the_library_does_not_answer() -> None:
    done = run("doctor", "--database", "postgresql://nobody@127.0.0.1:1/none")
    assert done.status == 1
    assert "!!  database: Cannot reach the database none at 127.0.0.1:1." in done.out
    assert "ok  cv2" in done.out


@pytest.mark.parametrize(
    ("recogniser", "words"),
    [
        ("w600k_mbf.onnx", "norm of 16 to found a person, 14 to join one (measured beforehand"),
        ("w600k_r50.onnx", "judged by its pixels"),
        ("dlib_resnet.onnx", "judged by its pixels"),
    ],
)
def test_the_benchmark_tells_how_much_a_face_has_to_show(
    database: Database, recogniser: str, words: str
) -> None:
    assert norm_limits_in_words(Library(database)) == ""
    models = replace(SETTINGS, recogniser=recogniser, recogniser_sha256="dd" * 32)
    add(database, "new", 2, models, measured=True)
    assert words in norm_limits_in_words(Library(database))
