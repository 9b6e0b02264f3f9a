"""From cache to library and back, bit for bit; and a library repaired after changes by hand."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.fixtures.library_people import rows
from tests.fixtures.made_faces import SETTINGS, made_file, made_image
from tests.fixtures.program import run

from facesets.file_records import FileRecord
from facesets.operations.library.check import check
from facesets.operations.library.stats import stats
from facesets.operations.library.transfer import transfer
from facesets.records import ImageRecord
from facesets.result import Result
from facesets.store.npz.cache import Cache
from facesets.store.postgres.connection import Database
from facesets.store.postgres.library import Library
from facesets.work import Work


def images_of_cache() -> list[ImageRecord]:
    return [made_image("a", 2, "2020-02-03T04:05:06"), made_image("b", 0), made_image("c", 3)]


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    """A cache with copies, an unreadable file and an image without faces."""
    images = images_of_cache()
    files = [made_file(f"/{i}.jpg", image) for i, image in enumerate(images)]
    files += [made_file("/copy.jpg", images[0]), FileRecord("/torn.jpg", 1, 2, "ee" * 32, "damaged")]
    filled = Cache(tmp_path / "c.npz")
    with filled.writing(SETTINGS):
        filled.commit(files, images)
    return filled


def test_a_cache_goes_into_the_library_and_out_again_unchanged(
    cache: Cache, database: Database, tmp_path: Path
) -> None:
    library = Library(database, SETTINGS)
    summary = transfer(cache, library, work=Work())
    assert (summary.images, summary.faces, summary.paths) == (3, 5, 4)
    again = transfer(cache, library, work=Work())
    assert (again.images, again.known) == (0, 3)
    totals = stats(library)
    assert (totals.images, totals.paths, totals.aliases, totals.unreadable) == (3, 5, 1, 1)
    assert (totals.faces, totals.assigned, totals.unassigned) == (5, 0, 5)
    back = Cache(tmp_path / "back.npz")
    with back.writing(SETTINGS):
        transfer(library, back, work=Work())
    expected, found = cache.load(), back.load()
    assert found.images.paths == expected.images.paths
    np.testing.assert_array_equal(found.images.taken, expected.images.taken)
    for name, column in expected.faces.columns().items():
        np.testing.assert_array_equal(found.faces.columns()[name], column)
    assert back.files() == cache.files()


def test_a_dry_run_counts_the_same_without_missing_files_and_writes_nothing(
    cache: Cache, database: Database
) -> None:
    with cache.writing(SETTINGS):
        cache.commit([FileRecord("/copy.jpg", -1, -1, "", "not there any more")], [])
    library = Library(database, SETTINGS)
    rehearsed = transfer(cache, library, dry_run=True, work=Work())
    assert stats(library).images == 0
    assert library.settings == SETTINGS
    done = transfer(cache, library, work=Work())
    assert Result(done, dry_run=True) == rehearsed
    assert (done.paths, done.unreadable) == (3, 1)
    assert sorted(library.files()) == ["/0.jpg", "/1.jpg", "/2.jpg", "/torn.jpg"]


def test_importing_an_older_cache_keeps_newer_data_of_the_library(
    cache: Cache, database: Database, library_url: str, tmp_path: Path
) -> None:
    library = Library(database, SETTINGS)
    newer = made_image("newer", 1)
    since = [
        made_file("/0.jpg", newer, mtime_ns=9),
        made_file("/torn.jpg", newer, mtime_ns=9),
        FileRecord("/1.jpg", 1, 9, "dd" * 32, "damaged"),
    ]
    library.add(since, [newer])
    result = run("import-cache", tmp_path / "c.npz", "--database", library_url, "--json")
    summary = json.loads(result.out)
    assert (summary["images"], summary["paths"], summary["unreadable"]) == (3, 2, 0)
    found = library.files()
    assert [found[record.path] for record in since] == since
    assert found["/2.jpg"] == cache.files()["/2.jpg"]


GIVEN = """WITH made AS (INSERT INTO persons DEFAULT VALUES RETURNING id)
    UPDATE face_detections SET person_id = made.id FROM made WHERE {} RETURNING 1"""


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM face_embeddings WHERE face_id = (SELECT min(id) FROM face_detections)",
        "UPDATE face_embeddings SET embedding = '[1,2,3]'",
        "DELETE FROM face_scans",
        "UPDATE image_paths SET image_id = NULL WHERE path = '/mnt/away/0.jpg'",
        "UPDATE face_detections SET ordinal = 0",
    ],
)
def test_check_repairs_manual_changes_and_faces_keep_their_people(
    cache: Cache, database: Database, damage: str
) -> None:
    library = Library(database, SETTINGS)
    transfer(cache, library, work=Work())
    rows(database, "UPDATE image_paths SET path = '/mnt/away' || path RETURNING 1")
    assert check(library, fix=False).problems == []
    before = library.load()
    rows(database, GIVEN.format("true"))
    rows(database, f"{damage} RETURNING 1")
    assert check(library, fix=False).problems
    repaired = check(library, fix=True)
    assert "/mnt/away/0.jpg" in repaired.to_index
    images = images_of_cache()
    library.add([made_file(f"/mnt/away/{i}.jpg", image) for i, image in enumerate(images)], images)
    assert check(library, fix=False).problems == []
    assert stats(library).assigned == 5
    np.testing.assert_array_equal(library.load().faces.embedding, before.faces.embedding)


def test_a_face_found_again_slightly_displaced_is_the_same_face(database: Database) -> None:
    library = Library(database, SETTINGS)
    image = made_image("a", 2)
    library.commit([made_file("/a.jpg", image)], [image])
    rows(database, GIVEN.format("ordinal = 1"))
    order = np.array([1, 0])
    moved = replace(image.faces.take(order), box=image.faces.box[order] + np.float32(0.5))
    library.commit([], [replace(image, faces=moved)])
    assert rows(database, "SELECT ordinal FROM face_detections WHERE person_id IS NOT NULL") == [(0,)]
