"""A step keeps how faces were and are however often it changes them, and goes whole."""

import numpy as np
import pytest
from tests.fixtures.library_people import add_person, rows

from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.library import Library
from facesets.store.postgres.people.assigned_faces import assign
from facesets.store.postgres.people.persons import give_faces, make_person, take_faces
from facesets.store.postgres.people.steps import TABLES, JournaledTable, making_step
from facesets.store.postgres.people.undoing import undo_step

FACES = "SELECT id, person_id, assigned_by, assigned_at, cluster FROM face_detections ORDER BY id"
KEPT = """SELECT s.face_id, s.person_before, s.person_after = f.person_id, s.by_before, s.by_after
    FROM step_faces s JOIN face_detections f ON f.id = s.face_id WHERE s.step_id = {} ORDER BY 1"""


@pytest.fixture
def library(database: Database) -> Library:
    library = Library(database)
    add_person(library, "anna", 4)
    return library


def test_faces_moved_twice_by_a_step_return_to_their_person(library: Library) -> None:
    database = library.database
    faces = [int(face) for (face,) in rows(database, "SELECT id FROM face_detections ORDER BY id")]

    def first(connection: Connection) -> None:
        with making_step(connection, "move", "me", "to Anna") as step:
            give_faces(step, faces[:3], make_person(step), "manual")

    def second(connection: Connection) -> int:
        with making_step(connection, "move", "me", "to Ben, by way of nobody") as step:
            take_faces(step, faces[1:])
            ben = make_person(step)
            # The first face is Anna's still, and the others are unassigned: these are given.
            nobody = np.full(4, -1, np.int64)
            given = assign(step, np.array(faces, np.int64), nobody, nobody + 1, [ben], "auto")
            assert given == 3
        return step.id

    database.run(first)
    before = rows(database, FACES)
    anna = before[0][1]
    number = database.run(second)
    assert rows(database, KEPT.format(number)) == [
        (faces[1], anna, True, "manual", "auto"),
        (faces[2], anna, True, "manual", "auto"),
        (faces[3], None, True, None, "auto"),
    ]
    database.run(lambda connection: undo_step(connection, number, "me"))
    assert rows(database, FACES) == before


def test_faces_that_a_step_gives_and_takes_again_are_not_recorded(library: Library) -> None:
    def work(connection: Connection) -> int:
        faces = [int(face) for (face,) in connection.execute("SELECT id FROM face_detections ORDER BY id")]
        with making_step(connection, "move", "me", "there and back") as step:
            give_faces(step, faces, make_person(step), "manual")
            take_faces(step, faces[1:])
        return step.id

    number = library.database.run(work)
    assert len(rows(library.database, KEPT.format(number))) == 1


def test_a_step_records_exactly_the_writes_during_it(library: Library) -> None:
    written = "INSERT INTO clusters (id, model_id) SELECT '{0}', min(id) FROM models"
    changed = "UPDATE face_detections SET cluster = '{0}'"

    def work(connection: Connection) -> int:
        with making_step(connection, "group", "me", "by plain statements") as step:
            for statement in (written, changed, "DELETE FROM persons"):
                connection.execute(statement.format("mine").encode())
        for statement in (written, changed):
            connection.execute(statement.format("by hand").encode())
        return step.id

    before = rows(library.database, FACES)
    names = rows(library.database, "SELECT * FROM person_names ORDER BY id")
    number = library.database.run(work)
    assert rows(library.database, "SELECT DISTINCT cluster FROM face_detections") == [("by hand",)]
    stored = rows(library.database, "SELECT DISTINCT cluster_after FROM step_faces")
    assert stored == [("mine",)]
    assert rows(library.database, "SELECT key FROM step_rows WHERE in_table = 'clusters'") == [("mine",)]
    rows(library.database, changed.format("mine") + " RETURNING id")
    library.database.run(lambda connection: undo_step(connection, number, "me"))
    assert rows(library.database, FACES) == before
    assert rows(library.database, "SELECT * FROM person_names ORDER BY id") == names


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_changes_of_journaled_tables_are_recorded(library: Library, table: JournaledTable) -> None:
    found = rows(
        library.database,
        f"""SELECT string_agg(DISTINCT tgname, ' ' ORDER BY tgname), max(encode(tgargs, 'escape'))
            FROM pg_trigger WHERE tgrelid = '{table.name}'::regclass AND tgname LIKE 'noted\\_on\\_%'""",
    )
    key = "".join(f"{name}\\000" for name, _ in table.key)
    assert found == [("noted_on_delete noted_on_insert noted_on_update", key)]


def test_a_deleted_step_deletes_its_records_of_faces(library: Library) -> None:
    def work(connection: Connection) -> None:
        faces = [int(face) for (face,) in connection.execute("SELECT id FROM face_detections ORDER BY id")]
        for some in (faces[:2], faces[2:]):
            with making_step(connection, "move", "me", "to somebody new") as step:
                give_faces(step, some, make_person(step), "manual")

    library.database.run(work)
    assert rows(library.database, "SELECT count(*) FROM step_faces") == [(4,)]
    rows(library.database, "DELETE FROM steps WHERE id = (SELECT min(id) FROM steps) RETURNING id")
    assert rows(library.database, "SELECT count(*) FROM step_faces") == [(2,)]
