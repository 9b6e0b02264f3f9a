"""`check` names the photos without any file left, and erases them on request."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.fixtures.filled_library import template_by
from tests.fixtures.library_people import add_person, cluster, face_of, rows, who_is
from tests.fixtures.program import Result, run

from facesets import result
from facesets.errors import Changed
from facesets.operations.library.check import erase_missing, plan_erasing
from facesets.operations.people.corrections import correcting, naming
from facesets.operations.people.lists.listing import people
from facesets.store.postgres.connection import Database
from facesets.store.postgres.library import Library
from facesets.store.stored_crops import file_of

BY = "anna@home"


def fill(database: Database) -> None:
    """Anna and Ben, all photos of whom are missing; a face of Ben's was given to Anna by hand."""
    filled = Library(database)
    for name, images in (("anna", 4), ("ben", 3)):
        add_person(filled, name, images)
    cluster(filled)
    naming.name(database, who_is(filled, "anna-0-0"), "Anna", into=False, face=False, by=BY)
    naming.name(database, who_is(filled, "ben-0-0"), "Ben", into=False, face=False, by=BY)
    correcting.move(database, [face_of(filled, "ben-0-2")], "Anna", by=BY)


template = template_by(fill)


@pytest.fixture
def library(database: Database, tmp_path: Path) -> Library:
    """The photos of Anna are there, and those of Ben are not."""
    for path, *_ in rows(database, "SELECT path FROM image_paths"):
        (tmp_path / path[1:]).touch()
    rows(
        database,
        f"""UPDATE image_paths SET path = '{tmp_path}' || path, size = 0,
            mtime_ns = {(tmp_path / "anna-0-0.jpg").stat().st_mtime_ns} RETURNING 1""",
    )
    for path in tmp_path.glob("ben-*.jpg"):
        path.unlink()
    return Library(database)


@pytest.fixture
def check(library: Library) -> Callable[..., Result]:
    return lambda *arguments: run("check", *arguments, env={"DATABASE_URL": library.database._text})


def left(library: Library) -> dict[str, int]:
    tables = ("images", "face_detections", "face_corrections", "persons")
    return {table: rows(library.database, f"SELECT count(*) FROM {table}")[0][0] for table in tables}


def test_check_names_missing_photos_which_are_no_problem(
    check: Callable[..., Result], tmp_path: Path
) -> None:
    reported = check()
    assert (reported.status, reported.err) == (0, "")
    assert "No problems found in" in reported.out
    assert "Missing: 3 photos." in reported.out
    assert f"{tmp_path}/ben-0-2.jpg: Anna" in reported.out
    missing: list[dict[str, Any]] = json.loads(check("--json").out)["missing"]
    assert [(each["faces"], each["people"]) for each in missing] == [
        (1, ["Ben"]),
        (1, ["Ben"]),
        (1, ["Anna"]),
    ]


def test_erasing_shows_what_it_takes_and_needs_a_yes(check: Callable[..., Result], library: Library) -> None:
    before = left(library)
    shown = check("--erase-missing", "--dry-run")
    assert shown.status == 0
    assert "Will be permanently erased: 3 photos with 3 faces." in shown.out
    assert "Anna: 1 face, 4 left." in shown.out
    assert "Ben: 2 faces, none left; the name stays." in shown.out
    assert f"face {rows(library.database, 'SELECT max(id) FROM face_detections')[0][0]} is Anna" in shown.out
    refused = check("--erase-missing")
    assert refused.status == 2
    assert "3 photos with 3 faces" in refused.err
    assert left(library) == before
    done = check("--erase-missing", "--yes")
    assert done.status == 0
    assert "Erased: 3 photos with 3 faces." in done.out
    assert "is Anna" in done.out
    assert left(library) == {"images": 4, "face_detections": 4, "face_corrections": 3, "persons": 2}
    assert "No missing photo has" in check("--erase-missing", "--yes").out
    assert check("--yes").status == 2


def test_no_photo_is_erased_that_may_be_there(library: Library, tmp_path: Path) -> None:
    plan = plan_erasing(library)
    assert len(plan.photos) == 3
    (tmp_path / "ben-0-0.jpg").write_text("restored, and not indexed yet")
    assert len(plan_erasing(library).photos) == 2
    with pytest.raises(Changed):
        erase_missing(library, plan)
    assert left(library)["images"] == 7
    for path in tmp_path.iterdir():
        path.unlink()
    assert plan_erasing(library).photos == []


def test_no_photo_is_erased_below_a_target_that_is_not_there(library: Library, tmp_path: Path) -> None:
    drive = tmp_path / "drive"
    rows(
        library.database,
        f"""UPDATE image_paths SET path = '{drive}/ben.jpg' WHERE path LIKE '%ben-0-0.jpg' RETURNING 1""",
    )
    with library.recorded_run("index", {"targets": [str(drive)]}, dry_run=False):
        pass
    assert len(plan_erasing(library).photos) == 2
    library.forget_paths([f"{drive}/ben.jpg"])
    assert len(plan_erasing(library).photos) == 3


def test_nothing_is_erased_that_was_not_listed(library: Library, tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    plan = plan_erasing(library)
    stored = pictures / file_of(plan.photos[0].sha256, "face")
    stored.parent.mkdir(parents=True)
    stored.touch()
    with pytest.raises(Changed):
        erase_missing(library, result.Result(plan, corrections=[]), pictures=pictures)
    assert stored.exists()
    assert left(library)["images"] == 7
    assert erase_missing(library, plan, pictures=pictures).erased
    assert not stored.exists()


def test_a_completely_erased_person_is_no_longer_listed(library: Library) -> None:
    add_person(library, "carl", 3)
    cluster(library)
    assert left(library)["persons"] == 3
    library.forget_paths([f"/carl-0-{number}.jpg" for number in range(3)])
    erase_missing(library, plan_erasing(library))
    assert left(library)["persons"] == 2
    listed = people(library.database, status="active", unnamed=False, sort="faces")
    assert [line.names for line in listed] == [["Anna"], ["Ben"]]
