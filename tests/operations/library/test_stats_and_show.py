"""Counts of `stats` and `doctor`, and all data of one photo, by its path or its hash."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.fixtures.library_people import rows
from tests.fixtures.made_faces import SETTINGS, made_file, made_image
from tests.fixtures.made_metadata import METADATA, keep
from tests.fixtures.program import run

from facesets.errors import NotFound, WrongUsage
from facesets.operations.library.show_photo import means_photo, show_photo
from facesets.operations.library.stats import norm_limits_in_words, stats
from facesets.operations.people.corrections.naming import name
from facesets.records import CacheSettings, Finding
from facesets.store.postgres.connection import Database
from facesets.store.postgres.library import Library

SERVICE = replace(
    SETTINGS, pack="ml-service/antelopev2", recognizer="antelopev2", recognizer_sha256="cc" * 32
)
DLIB = replace(SETTINGS, pack="open", recognizer="dlib_resnet.onnx", recognizer_sha256="dd" * 32)


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
    assert "a quality measure" not in healthy
    figure = json.loads(run(command, "--database", library_url, "--json").out)
    if command == "stats":
        assert figure["faces_without_norm"] == 0
    else:
        (finding,) = (each for each in figure["findings"] if each["subject"] == "library")
        assert (finding["level"], finding["state"][:8]) == ("ok", "0 faces ")
    add(database, "old", 3, SETTINGS, measured=False)
    lacking = "3 faces from an older version have no norm (a quality measure)"
    reported = run(command, "--database", library_url).out
    if command == "stats":
        assert f"{lacking}: run `facesets enrich`.\n" in reported
    else:
        assert f"--  library: {lacking}\n      to fix it: facesets enrich\n" in reported


@pytest.mark.parametrize(
    ("recognizer", "words"),
    [
        ("w600k_mbf.onnx", "norm of a face: 16 to create a person, 14 to join one (published value"),
        ("w600k_r50.onnx", "judged by size"),
        ("dlib_resnet.onnx", "judged by size"),
    ],
)
def test_the_required_face_quality_is_reported(database: Database, recognizer: str, words: str) -> None:
    assert norm_limits_in_words(Library(database)) == ""
    models = replace(SETTINGS, recognizer=recognizer, recognizer_sha256="dd" * 32)
    add(database, "new", 2, models, measured=True)
    assert words in norm_limits_in_words(Library(database))


@pytest.fixture
def library(database: Database) -> Library:
    """Two photos, of one of which the time is not known."""
    filled = Library(database, SETTINGS)
    keep(filled, METADATA, replace(METADATA, taken=np.datetime64("NaT", "us")))
    return filled


def test_all_data_of_a_photo_is_shown(library: Library) -> None:
    ((face,),) = rows(library.database, "SELECT id FROM face_detections WHERE image_id = 1")
    name(library.database, str(face), "Anna", into=True, face=True, by="tester")
    library.store_findings([made_image("photo 0").with_finding("scene", Finding("v9", reason="too dark"))])
    shown = show_photo(library, "/0.jpg")
    assert [(each.path, each.size) for each in shown.paths] == [("/0.jpg", 1000)]
    assert (shown.width, shown.height, shown.taken) == (640, 480, "2019-07-04 15:30:00")
    metadata = shown.found["metadata"]
    assert metadata["taken"] == "2019-07-04 15:30:00.250000"
    assert (metadata["taken_from"], metadata["latitude"], metadata["make"]) == (
        "DateTimeOriginal",
        48.137,
        "Canon",
    )
    assert (metadata["refused"], metadata["extra"]["Flash"]) == ({"DateTime": "0000:00:00 is no date"}, 16)
    stages = {each.stage: (each.status, each.version, each.reason) for each in shown.stages}
    assert list(stages)[:3] == ["metadata", "detection", "bodies"]
    assert stages["metadata"] == ("completed", "1", "")
    assert stages["detection"] == ("completed", f"{SETTINGS.pack}, {SETTINGS.det_size}", "")
    assert stages["scene"] == ("failed", "v9", "too dark")
    assert stages["attributes"] == ("pending", "", "")
    assert [(each.face, each.name, each.assigned_by) for each in shown.faces] == [(face, "Anna", "manual")]
    ((norm,),) = rows(library.database, "SELECT norm FROM face_detections WHERE image_id = 1")
    assert [each.norm for each in shown.faces] == [round(norm, 2)]
    rows(library.database, "UPDATE face_detections SET norm = 'NaN' RETURNING id")
    assert [each.norm for each in show_photo(library, "/0.jpg").faces] == [None]
    assert show_photo(library, "/1.jpg").found["metadata"]["taken"] == ""


def test_a_photo_is_found_by_its_hash_and_by_its_content_elsewhere(library: Library, tmp_path: Path) -> None:
    sha256 = made_image("photo 0").sha256
    assert means_photo(sha256[:8])
    for text in (sha256, sha256[:8]):
        assert show_photo(library, text).sha256 == sha256
    elsewhere = tmp_path / "moved.jpg"
    elsewhere.write_bytes(b"photo 0")
    assert show_photo(library, str(elsewhere)).sha256 == sha256


def test_unknown_photos_are_reported(library: Library, tmp_path: Path) -> None:
    other = tmp_path / "other.jpg"
    other.write_bytes(b"another")
    with pytest.raises(NotFound, match="not in the library"):
        show_photo(library, str(other))
    library.database.run(
        lambda connection: connection.execute(
            "INSERT INTO image_paths (path, size, mtime_ns, sha256, reason)"
            " VALUES ('/broken.jpg', 0, 1, '', 'the file is empty')"
        )
    )
    with pytest.raises(
        NotFound, match=r"broken.jpg is not in the library because it could not be read: .*the file is empty"
    ):
        show_photo(library, "/broken.jpg")
    with pytest.raises(NotFound, match="cannot be read"):
        show_photo(library, str(tmp_path / "gone.jpg"))
    with pytest.raises(NotFound, match="begins with 00000000"):
        show_photo(library, "00000000")
    library.database.run(
        lambda connection: connection.execute("UPDATE images SET sha256 = 'abcdabcd' || repeat(id::text, 56)")
    )
    with pytest.raises(WrongUsage, match="Several photos"):
        show_photo(library, "abcdabcd")
    assert not means_photo("faces.npz")
    assert not means_photo("out")
