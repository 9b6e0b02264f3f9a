"""Corrections carried from one library to another and back after a reset."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.fixtures.corrections import BY, apart, by_sql, call, hide, move, pair, undo
from tests.fixtures.filled_library import template_by
from tests.fixtures.library_people import (
    add_face,
    add_person,
    add_photo,
    cluster,
    face_of,
    heart_of,
    rows,
    who_is,
)
from tests.fixtures.postgres import Server, temporary

from facesets.errors import DamagedFile, NewerFormat, WrongUsage
from facesets.operations.people.corrections import correcting, history
from facesets.operations.people.exchange.export_people import export_people
from facesets.operations.people.exchange.import_people import import_people
from facesets.operations.people.exchange.people_file import read_people
from facesets.operations.people.lists.listing import people, person
from facesets.result import Result
from facesets.store.postgres.connection import Database, opened
from facesets.store.postgres.library import Library

pytestmark = pytest.mark.slow


def fill(database: Database) -> None:
    filled = Library(database)
    for name in ("anna", "ben", "cleo"):
        add_person(filled, name, 4)
    cluster(filled)


template = template_by(fill)


@pytest.fixture
def other(server: Server, empty_template: str) -> Iterator[Library]:
    """Another library of the same photos, in which people have other numbers."""
    for url in temporary(server, empty_template):
        with opened(Database(url)) as session:
            fill(session)
            yield Library(session)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "people.json"


def bring(library: Library, file: Path, *, dry_run: bool = False) -> Result:
    return import_people(library.database, read_people(file), file.name, by=BY, dry_run=dry_run)


def carry(source: Library, target: Library, file: Path) -> Result:
    export_people(source.database, file)
    return bring(target, file)


def exported(library: Library, file: Path) -> Any:
    """Return the content of a file of exported people."""
    export_people(library.database, file)
    return json.loads(file.read_text())


def corrections(library: Library) -> list[list[tuple[object, ...]]]:
    """Return all corrections, by photo."""
    of = """(SELECT p.path FROM image_paths p JOIN face_detections f ON f.image_id = p.image_id
        WHERE f.id = {})"""
    queries = (
        "SELECT array_agg(name ORDER BY name) FROM person_names GROUP BY person_id ORDER BY 1",
        f"""SELECT {of.format("face_id")}, is_person, names FROM face_corrections
            JOIN person_corrections USING (person_id) ORDER BY 1, 2, 3""",
        f"SELECT {of.format('face_a')}, {of.format('face_b')}, same FROM face_pair_corrections ORDER BY 1, 2",
        """SELECT least(a.names, b.names), greatest(a.names, b.names) FROM person_pair_corrections
            JOIN person_corrections a ON a.person_id = person_a
            JOIN person_corrections b ON b.person_id = person_b
            ORDER BY 1""",
    )
    return [rows(library, query) for query in queries]


def correct_everything(library: Library) -> None:
    for label, name in (("anna-0-0", "Anna"), ("anna-0-0", "Änne"), ("ben-0-0", "Ben")):
        call(library, label, name)
    apart(library, "Anna", "Ben")
    hide(library, "cleo-0-0")
    move(library, "ben-0-3", to="nobody")
    pair(library, "anna-0-0", "anna-0-3", same=True)


def test_all_corrections_arrive_in_another_library_of_the_same_photos_as_one_step(
    library: Library, other: Library, file: Path
) -> None:
    correct_everything(library)
    export_people(library.database, file)
    before = corrections(other), rows(other, "SELECT * FROM persons ORDER BY id")
    dry = bring(other, file, dry_run=True)
    assert corrections(other) == before[0]
    summary = bring(other, file)
    assert Result(dry, dry_run=False, step=summary.step) == summary
    assert corrections(other) == corrections(library)
    assert (summary.people, summary.new_people, summary.faces_not_found, summary.skipped) == (3, 0, 0, [])
    assert person(other.database, "Anna", faces=0).person.faces == 4
    assert who_is(other, "ben-0-3") == ""
    assert person(other.database, who_is(other, "cleo-0-0"), faces=0).person.status == "hidden"
    steps = len(history.log(other.database))
    again = bring(other, file)
    assert (corrections(other), len(history.log(other.database))) == (corrections(library), steps)
    assert (again.step, again.statements, again.names, again.moved) == (None, 0, 0, 0)
    assert again.known > 0
    assert undo(other).id == summary.step
    assert (corrections(other), rows(other, "SELECT * FROM persons ORDER BY id")) == before


def test_people_come_back_after_everything_was_removed(library: Library, file: Path) -> None:
    correct_everything(library)
    before, anna = corrections(library), who_is(library, "anna-0-0")
    with pytest.raises(WrongUsage, match=r"does not end in \.json"):
        export_people(library.database, file.with_suffix(".jpg"))
    export_people(library.database, file)
    by_sql(library, "UPDATE face_detections SET person_id = NULL")
    for table in (
        "persons",
        "person_corrections",
        "face_corrections",
        "face_pair_corrections",
        "person_pair_corrections",
    ):
        by_sql(library, f"DELETE FROM {table}")
    assert bring(library, file).new_people == 3
    assert (corrections(library), who_is(library, "anna-0-0")) == (before, anna)


def test_contradictions_of_corrections_here_are_skipped_and_listed_and_the_rest_arrives(
    library: Library, other: Library, file: Path
) -> None:
    correct_everything(library)
    call(other, "anna-0-0", "Dora")
    call(other, "ben-0-0", "Anna")
    assert carry(library, other, file).skipped
    assert who_is(other, "anna-0-0") == person(other.database, "Dora", faces=0).person.id
    assert who_is(other, "ben-0-0") == person(other.database, "Anna", faces=0).person.id
    faces = [face_of(other, f"cleo-0-{number}") for number in range(2)]
    of_cleo = f"SELECT face_id FROM face_corrections WHERE face_id = ANY(ARRAY{faces}) ORDER BY 1"
    assert rows(other, of_cleo) == [(face,) for face in faces]
    assert rows(other, "SELECT count(*) FROM person_pair_corrections") == [(0,)]
    assert len(people(other.database, status="all", unnamed=False, sort="new")) == 3


def test_a_face_is_found_again_in_a_box_that_differs_a_little_and_in_another_size(
    library: Library, other: Library, file: Path
) -> None:
    call(library, "anna-0-0", "Anna")
    raw = exported(library, file)
    for face in raw["faces"]:
        shift = 0.1 * (face["box"][2] - face["box"][0])
        face["box"] = [2 * (x + shift) for x in face["box"]]
        face["width"], face["height"], face["found_by"] = 2 * face["width"], 2 * face["height"], "other"
    file.write_text(json.dumps(raw))
    summary = bring(other, file)
    assert (summary.faces, summary.faces_not_found) == (len(raw["faces"]), 0)
    assert person(other.database, "Anna", faces=0).person.faces == 4


def test_people_without_a_face_here_are_reported_and_not_created(
    library: Library, other: Library, file: Path
) -> None:
    add_person(library, "zoe", 3)
    cluster(library)
    call(library, "zoe-0-0", "Zoe")
    summary = carry(library, other, file)
    assert (summary.people_not_found, summary.faces_not_found, summary.step) == (["Zoe"], 3, None)
    assert len(people(other.database, status="all", unnamed=False, sort="new")) == 3


def test_corrections_win_over_decisions_of_runs(library: Library, other: Library, file: Path) -> None:
    """Two faces confirmed as two people belong to one person in a library without that correction."""
    move(library, "anna-0-1", to="nobody")
    pair(library, "anna-0-0", "anna-0-1", same=False)
    assert who_is(other, "anna-0-0") == who_is(other, "anna-0-1")
    carry(library, other, file)
    assert who_is(other, "anna-0-0") != who_is(other, "anna-0-1")


def test_of_several_faces_of_a_photo_each_finds_its_own(library: Library, other: Library, file: Path) -> None:
    for each in (library, other):
        add_photo(each, "group", [heart_of("anna"), heart_of("ben")])
        add_face(each, "late", heart_of("anna"))
        cluster(each)
    (one,), (two,) = rows(
        library,
        """SELECT f.id::text FROM face_detections f JOIN image_paths p USING (image_id)
            WHERE p.path = '/group.jpg' ORDER BY ordinal""",
    )
    correcting.different(library.database, one, two, faces=True, by=BY)
    carry(library, other, file)
    assert corrections(other)[2] == [("/group.jpg", "/group.jpg", False)]


def test_invalid_names_do_no_harm(library: Library, other: Library, file: Path) -> None:
    correct_everything(library)
    raw = exported(library, file)
    anna = next(person for person in raw["people"] if "Anna" in person["names"])
    anna["names"] = ["A\udcffb", "A\x1b[31m", "x" * 1000, "Anna"]
    file.write_text(json.dumps(raw))
    assert len(bring(other, file).skipped) == 3
    assert person(other.database, "Anna", faces=0).person.faces == 4


def test_two_people_of_a_file_with_the_same_name_are_one(
    library: Library, other: Library, file: Path
) -> None:
    correct_everything(library)
    raw = exported(library, file)
    file.write_text(json.dumps(raw | {"people": [each | {"names": ["Same"]} for each in raw["people"]]}))
    bring(other, file)
    again = bring(other, file)
    assert (again.step, again.statements, again.moved) == (None, 0, 0)


def faces_with(**changed: object) -> Callable[[Any], object]:
    return lambda raw: raw | {"faces": [face | changed for face in raw["faces"]]}


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda raw: raw | {"version": 2}, NewerFormat),
        (lambda raw: raw | {"version": "1"}, DamagedFile),
        (lambda raw: raw | {"format": "facesets/cluster"}, WrongUsage),
        (lambda raw: raw | {"people": []}, DamagedFile),
        (lambda raw: raw | {"faces": [{"image": "x"}]}, DamagedFile),
        (faces_with(box=[-1e300, 0, 1e300, 1e300]), DamagedFile),
        (faces_with(box=[float("nan")] * 4), DamagedFile),
    ],
    ids=["newer", "version", "format", "people", "faces", "a huge box", "no box"],
)
def test_exported_people_that_were_changed_for_the_worse_are_not_read(
    library: Library, file: Path, change: Callable[[Any], object], error: type[Exception]
) -> None:
    call(library, "anna-0-0", "Anna")
    file.write_text(json.dumps(change(exported(library, file))))
    with pytest.raises(error):
        read_people(file)


@pytest.mark.parametrize(
    ("content", "seems"),
    [
        (b"PK\x03\x04" + bytes(60), "an archive, such as a cache or bundle. .*import-cache"),
        (b"root:x:0:0:root:/root:/bin/bash\n", "text. Give a JSON file"),
        (b"\xff\xd8\xff\xe0" + bytes(60), "a picture. Give"),
        (b"SQLite format 3\0" + bytes(60), "an SQLite database. Give"),
        (b"", "an empty file. Give"),
        (b"[1, 2]", "JSON of another kind. Give"),
        (b"<?xml version='1.0'?>", "XML or HTML. Give"),
    ],
)
def test_a_file_of_something_else_is_called_what_it_seems(file: Path, content: bytes, seems: str) -> None:
    file.write_bytes(content)
    with pytest.raises(WrongUsage, match=rf"contains no exported people: it seems to be {seems}"):
        read_people(file)


@pytest.mark.parametrize("content", [b"{", b'{"format": "facesets/people", "version": 1, "peo'])
def test_exported_people_that_were_cut_off_are_damaged(file: Path, content: bytes) -> None:
    with pytest.raises(WrongUsage, match="File not found"):
        read_people(file)
    file.write_bytes(content)
    with pytest.raises(DamagedFile, match="is damaged"):
        read_people(file)


@pytest.mark.parametrize("begins", [b"PK\x03\x04", b"\x80no archive"])
def test_a_cache_is_named_with_the_command_that_takes_it(tmp_path: Path, begins: bytes) -> None:
    cache = tmp_path / "my faces.npz"
    cache.write_bytes(begins + bytes(60))
    with pytest.raises(WrongUsage, match=f"import it with `import-cache '{cache}'`"):
        read_people(cache)
