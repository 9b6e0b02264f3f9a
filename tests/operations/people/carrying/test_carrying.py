"""What humans said, carried from one library to another and back after a reset."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.fixtures.filled_library import template_by
from tests.fixtures.library_people import add_face, add_person, cluster, face_of, heart_of, rows, who_is
from tests.fixtures.made_faces import SETTINGS, made_faces, made_file, made_image
from tests.fixtures.postgres import Server, temporary

from facesets.errors import DamagedFile, NewerFormat, WrongUsage
from facesets.operations.people.carrying.export_people import export_people
from facesets.operations.people.carrying.import_people import import_people
from facesets.operations.people.carrying.people_file import read_people
from facesets.operations.people.corrections import correcting, history, naming
from facesets.operations.people.lists.listing import people, person
from facesets.result import Result
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.library import Library

pytestmark = pytest.mark.slow

BY = "anna@home"
WHO = ("anna", "ben", "cleo")


def fill(database: Database) -> Library:
    filled = Library(database)
    for name in WHO:
        add_person(filled, name, 4)
    cluster(filled)
    return filled


template = template_by(fill)


@pytest.fixture
def other(server: Server, empty_template: str) -> Iterator[Library]:
    """Another library of the same photos."""
    for url in temporary(server, empty_template):
        session = Database(url)
        yield fill(session)
        session.close()


def call(library: Library, label: str, name: str) -> None:
    naming.name(library.database, who_is(library, label), name, into=False, face=False, by=BY)


def carry(source: Library, target: Library, path: Path) -> Result:
    export_people(source.database, path)
    return import_people(target.database, read_people(path), path.name, by=BY)


def said(library: Library) -> tuple[list[tuple[object, ...]], ...]:
    """Everything that was said, by photo."""
    of = """(SELECT p.path FROM image_paths p JOIN face_detections f ON f.image_id = p.image_id
        WHERE f.id = {})"""
    return (
        rows(
            library.database,
            "SELECT array_agg(name ORDER BY name) FROM person_names GROUP BY person_id ORDER BY 1",
        ),
        rows(
            library.database,
            f"""SELECT {of.format("face_id")}, is_person, names FROM said_faces
                JOIN said_people USING (person_id) ORDER BY 1, 2, 3""",
        ),
        rows(
            library.database,
            f"SELECT {of.format('face_a')}, {of.format('face_b')}, same FROM said_of_faces ORDER BY 1, 2",
        ),
        rows(
            library.database,
            """SELECT least(a.names, b.names), greatest(a.names, b.names) FROM said_of_people
                JOIN said_people a ON a.person_id = person_a JOIN said_people b ON b.person_id = person_b
                ORDER BY 1""",
        ),
    )


def say_everything(library: Library) -> None:
    call(library, "anna-0-0", "Anna")
    call(library, "anna-0-0", "Änne")
    call(library, "ben-0-0", "Ben")
    correcting.different(library.database, "Anna", "Ben", faces=False, by=BY)
    naming.set_hidden(library.database, who_is(library, "cleo-0-0"), hidden=True, by=BY)
    correcting.move(library.database, [face_of(library, "ben-0-3")], "nobody", by=BY)
    pair = (str(face_of(library, "anna-0-0")), str(face_of(library, "anna-0-3")))
    correcting.same(library.database, *pair, faces=True, by=BY)


def test_all_that_was_said_arrives_in_another_library_of_the_same_photos(
    library: Library, other: Library, tmp_path: Path
) -> None:
    say_everything(library)
    summary = carry(library, other, tmp_path / "people.json")
    assert said(other) == said(library)
    assert (summary.people, summary.new_people, summary.faces_not_found, summary.skipped) == (3, 0, 0, [])
    assert [person(other.database, "Anna", faces=0).person.faces for _ in "a"] == [4]
    assert who_is(other, "ben-0-3") == ""
    assert person(other.database, who_is(other, "cleo-0-0"), faces=0).person.status == "hidden"


def test_bringing_the_same_file_again_changes_nothing_and_makes_no_step(
    library: Library, other: Library, tmp_path: Path
) -> None:
    say_everything(library)
    carry(library, other, tmp_path / "people.json")
    before = said(other), len(history.log(other.database))
    again = carry(library, other, tmp_path / "people.json")
    assert (said(other), len(history.log(other.database))) == before
    assert (again.step, again.statements, again.names, again.moved) == (None, 0, 0, 0)
    assert again.known > 0


def test_an_import_is_one_step_and_taken_back_as_one(
    library: Library, other: Library, tmp_path: Path
) -> None:
    say_everything(library)
    before = said(other), rows(other.database, "SELECT * FROM persons ORDER BY id")
    assert carry(library, other, tmp_path / "people.json").step is not None
    history.undo(other.database, by=BY)
    assert (said(other), rows(other.database, "SELECT * FROM persons ORDER BY id")) == before


def test_people_come_back_after_everything_was_removed(library: Library, tmp_path: Path) -> None:
    say_everything(library)
    before, anna = said(library), who_is(library, "anna-0-0")
    path = tmp_path / "people.json"
    export_people(library.database, path)

    def lose(connection: Connection) -> None:
        connection.execute("UPDATE face_detections SET person_id = NULL")
        for table in ("persons", "said_people", "said_faces", "said_of_faces", "said_of_people"):
            connection.execute(f"DELETE FROM {table}".encode())

    library.database.run(lose)
    summary = import_people(library.database, read_people(path), path.name, by=BY)
    assert (said(library), who_is(library, "anna-0-0")) == (before, anna)
    assert summary.new_people == 3


def test_what_contradicts_what_was_said_here_is_left_out_and_listed_and_the_rest_arrives(
    library: Library, other: Library, tmp_path: Path
) -> None:
    say_everything(library)
    call(other, "anna-0-0", "Dora")
    call(other, "ben-0-0", "Anna")
    faces = [face_of(other, "cleo-0-0"), face_of(other, "cleo-0-1")]
    summary = carry(library, other, tmp_path / "people.json")
    assert summary.skipped
    assert who_is(other, "anna-0-0") == person(other.database, "Dora", faces=0).person.id
    assert who_is(other, "ben-0-0") == person(other.database, "Anna", faces=0).person.id
    assert rows(
        other.database, f"SELECT count(*) FROM said_faces WHERE face_id IN ({faces[0]}, {faces[1]})"
    ) == [(2,)]
    assert rows(other.database, "SELECT count(*) FROM said_of_people") == [(0,)]
    assert len(people(other.database, status="all", unnamed=False, sort="new")) == 3


def test_a_face_is_found_again_in_a_box_that_differs_a_little_and_in_another_size(
    library: Library, other: Library, tmp_path: Path
) -> None:
    call(library, "anna-0-0", "Anna")
    path = tmp_path / "people.json"
    export_people(library.database, path)
    raw = json.loads(path.read_text())
    for face in raw["faces"]:
        x1, y1, x2, y2 = face["box"]
        shift = 0.1 * (x2 - x1)
        face["box"] = [2 * (x + shift) for x in (x1, y1, x2, y2)]
        face["width"], face["height"], face["found_by"] = 2 * face["width"], 2 * face["height"], "other"
    path.write_text(json.dumps(raw))
    summary = import_people(other.database, read_people(path), path.name, by=BY)
    assert (summary.faces, summary.faces_not_found) == (len(raw["faces"]), 0)
    assert person(other.database, "Anna", faces=0).person.faces == 4


def test_people_of_whom_no_face_is_here_are_told_and_not_made(
    library: Library, other: Library, tmp_path: Path
) -> None:
    add_person(library, "zoe", 3)
    cluster(library)
    call(library, "zoe-0-0", "Zoe")
    summary = carry(library, other, tmp_path / "people.json")
    assert (summary.people_not_found, summary.faces_not_found, summary.step) == (["Zoe"], 3, None)
    assert len(people(other.database, status="all", unnamed=False, sort="new")) == 3


def test_statements_win_over_what_a_run_had_decided(library: Library, other: Library, tmp_path: Path) -> None:
    """Two faces that were said to show two people are one person's where nobody said so yet."""
    one, two = (str(face_of(library, f"anna-0-{i}")) for i in (0, 1))
    correcting.move(library.database, [int(two)], "nobody", by=BY)
    correcting.different(library.database, one, two, faces=True, by=BY)
    assert who_is(other, "anna-0-0") == who_is(other, "anna-0-1")
    carry(library, other, tmp_path / "people.json")
    assert who_is(other, "anna-0-0") != who_is(other, "anna-0-1")


def test_a_dry_run_says_the_same_and_stores_nothing(library: Library, other: Library, tmp_path: Path) -> None:
    say_everything(library)
    path = tmp_path / "people.json"
    export_people(library.database, path)
    before = said(other)
    dry = import_people(other.database, read_people(path), path.name, by=BY, dry_run=True)
    assert said(other) == before
    wet = import_people(other.database, read_people(path), path.name, by=BY)
    assert Result(dry, dry_run=False, step=wet.step) == wet


def test_a_file_that_cannot_be_read_says_why(library: Library, tmp_path: Path) -> None:
    path = tmp_path / "people.json"
    with pytest.raises(WrongUsage, match="There is no file"):
        read_people(path)
    call(library, "anna-0-0", "Anna")
    export_people(library.database, path)
    raw = json.loads(path.read_text())
    for change, error in (
        ({"version": 2}, NewerFormat),
        ({"version": "1"}, DamagedFile),
        ({"format": "facesets/cluster"}, WrongUsage),
        ({"people": []}, DamagedFile),
        ({"faces": [{"image": "x"}]}, DamagedFile),
    ):
        path.write_text(json.dumps(raw | change))
        with pytest.raises(error):
            read_people(path)
    path.write_text("{")
    with pytest.raises(DamagedFile):
        read_people(path)
    with pytest.raises(WrongUsage, match=r"does not end in \.json"):
        export_people(library.database, tmp_path / "photo.jpg")


def test_of_several_faces_of_one_photo_each_finds_its_own(
    library: Library, other: Library, tmp_path: Path
) -> None:
    for each in (library, other):
        image = made_image("group", 2)
        vectors = [heart_of("anna"), heart_of("ben")]
        embedding = [(v / sum(v**2) ** 0.5).astype("float32") for v in vectors]
        faces = replace(made_faces(2), embedding=np.array(embedding))
        with each.writing(SETTINGS):
            each.commit([made_file("/group.jpg", image)], [replace(image, faces=faces)])
        add_face(each, "late", heart_of("anna"))
        cluster(each)
    numbers = rows(
        library.database,
        """SELECT f.id FROM face_detections f JOIN image_paths p USING (image_id)
            WHERE p.path = '/group.jpg' ORDER BY ordinal""",
    )
    correcting.different(library.database, str(numbers[0][0]), str(numbers[1][0]), faces=True, by=BY)
    carry(library, other, tmp_path / "people.json")
    assert said(other)[2] == [("/group.jpg", "/group.jpg", False)]


def test_names_that_nobody_can_have_and_boxes_beyond_any_image_do_no_harm(
    library: Library, other: Library, tmp_path: Path
) -> None:
    say_everything(library)
    path = tmp_path / "people.json"
    export_people(library.database, path)
    raw = json.loads(path.read_text())
    anna = next(person for person in raw["people"] if "Anna" in person["names"])
    anna["names"] = ["A\udcffb", "A\x1b[31m", "x" * 1000, "Anna"]
    path.write_text(json.dumps(raw))
    summary = import_people(other.database, read_people(path), path.name, by=BY)
    assert len(summary.skipped) == 3
    assert person(other.database, "Anna", faces=0).person.faces == 4
    for change in ({"box": [-1e300, 0, 1e300, 1e300]}, {"box": [float("nan")] * 4}):
        path.write_text(json.dumps(raw | {"faces": [face | change for face in raw["faces"]]}))
        with pytest.raises(DamagedFile, match="is damaged"):
            read_people(path)


def test_two_in_a_file_who_are_called_the_same_are_one(
    library: Library, other: Library, tmp_path: Path
) -> None:
    say_everything(library)
    path = tmp_path / "people.json"
    export_people(library.database, path)
    raw = json.loads(path.read_text())
    path.write_text(json.dumps(raw | {"people": [each | {"names": ["Same"]} for each in raw["people"]]}))
    import_people(other.database, read_people(path), path.name, by=BY)
    again = import_people(other.database, read_people(path), path.name, by=BY)
    assert (again.step, again.statements, again.moved) == (None, 0, 0)
