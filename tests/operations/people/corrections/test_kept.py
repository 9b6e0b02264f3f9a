"""What a human said is kept whatever runs and upkeep come after it."""

from collections.abc import Sequence
from uuid import UUID

import psycopg
import pytest
from tests.fixtures.filled_library import template_by
from tests.fixtures.library_people import add_person, cluster, face_of, rows, who_is

from facesets.errors import WrongUsage
from facesets.operations.options.upkeep import MaintainOptions, Task
from facesets.operations.people.assigning.prototypes import prototypes
from facesets.operations.people.corrections import correcting, history, naming
from facesets.operations.people.corrections.absorbing import absorb
from facesets.operations.people.upkeep.tasks import maintain
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.library import Library
from facesets.store.postgres.people.steps import making_step
from facesets.work import Work

BY = "anna@home"


def fill(database: Database) -> None:
    filled = Library(database)
    for name, images in (("anna", 6), ("ben", 4)):
        add_person(filled, name, images)
    cluster(filled)
    naming.name(database, who_is(filled, "anna-0-0"), "Anna", into=False, face=False, by=BY)


template = template_by(fill)


def upkeep(library: Library, *tasks: Task) -> None:
    maintain(library, tasks, MaintainOptions(), work=Work(by=BY))


def by_sql(library: Library, statements: str) -> None:
    with psycopg.connect(library.database._text, autocommit=True) as sql:
        sql.execute(statements.encode())


def whose(library: Library, labels: Sequence[str]) -> list[str]:
    return [who_is(library, label) for label in labels]


def test_upkeep_does_not_merge_who_a_human_made_of_somebodys_faces(library: Library) -> None:
    twin = face_of(library, "anna-0-0")
    correcting.move(library.database, [twin], "new", by=BY)
    now = who_is(library, "anna-0-0")
    upkeep(library, "weekly")
    assert who_is(library, "anna-0-0") == now != who_is(library, "anna-0-1")


def test_upkeep_after_a_reset_brings_named_people_back_first(library: Library) -> None:
    labels = [f"anna-0-{i}" for i in range(6)]
    before = whose(library, labels)
    # As where she was two people once, whom somebody merged.
    face = face_of(library, labels[5])
    by_sql(
        library,
        f"""INSERT INTO clusters (id, model_id) SELECT 'clu_2', id FROM models;
            UPDATE face_detections SET cluster = 'clu_2' WHERE id = {face}""",
    )
    by_sql(library, "UPDATE face_detections SET person_id = NULL; DELETE FROM persons")
    upkeep(library, "associate")
    cluster(library, method="components")
    assert whose(library, labels) == before


def test_who_has_an_exemplar_fixed_by_a_human_outlives_runs_and_upkeep(library: Library) -> None:
    ben, face = who_is(library, "ben-0-0"), face_of(library, "ben-0-0")
    prototypes(library.database, pin=[face], by=BY)
    by_sql(library, f"UPDATE face_detections SET person_id = NULL WHERE person_id = '{ben}'")
    upkeep(library, "empty")
    correcting.move(library.database, [face], ben, by=BY)
    assert [row[0] for row in rows(library.database, "SELECT face_id FROM said_exemplars")] == [face]
    assert who_is(library, "ben-0-0") == ben


def test_faces_said_to_be_one_person_do_not_go_to_two_by_upkeep(library: Library) -> None:
    for name in ("cleo", "dora"):
        add_person(library, name, 3)
    labels = ("cleo-0-0", "dora-0-0")
    faces = [face_of(library, label) for label in labels]
    correcting.same(library.database, str(faces[0]), str(faces[1]), faces=True, by=BY)
    for number, name in enumerate(("cleo", "dora"), 1):
        theirs = ", ".join(str(face_of(library, f"{name}-0-{i}")) for i in range(3))
        for part, some in ((0, theirs.split(", ")[0]), (1, ", ".join(theirs.split(", ")[1:]))):
            by_sql(
                library,
                f"""INSERT INTO clusters (id, model_id) SELECT 'c_{number}_{part}', id FROM models;
                    UPDATE face_detections SET cluster = 'c_{number}_{part}' WHERE id IN ({some})""",
            )
    upkeep(library, "associate")
    one, other = whose(library, labels)
    assert one == other
    assert history.undo(library.database, by=BY).kind == "maintain"


def test_a_merge_is_not_taken_back_under_what_was_said_of_its_faces_since(library: Library) -> None:
    anna, ben = who_is(library, "anna-0-0"), who_is(library, "ben-0-0")
    merged = correcting.merge(library.database, [ben], anna, drop_names=False, by=BY)
    pair = [str(face_of(library, label)) for label in ("anna-0-5", "ben-0-3")]
    said = correcting.same(library.database, *pair, faces=True, by=BY)
    with pytest.raises(WrongUsage, match=f"people undo {said.step}"):
        history.undo(library.database, merged.step, by=BY)
    history.undo(library.database, said.step, by=BY)
    history.undo(library.database, merged.step, by=BY)
    assert who_is(library, "ben-0-0") == ben


def test_faces_do_not_come_back_to_somebody_who_was_merged_since(library: Library) -> None:
    add_person(library, "cleo", 3)
    cluster(library)
    ben, cleo, face = who_is(library, "ben-0-0"), who_is(library, "cleo-0-0"), face_of(library, "ben-0-3")
    moved = correcting.move(library.database, [face], cleo, by=BY)
    merged = correcting.merge(library.database, [ben], "Anna", drop_names=False, by=BY)
    with pytest.raises(WrongUsage, match=f"people undo {merged.step}"):
        history.undo(library.database, moved.step, by=BY)
    assert who_is(library, "ben-0-3") == cleo


def test_redo_is_of_what_was_taken_back_last_though_its_photos_are_gone(library: Library) -> None:
    anna = who_is(library, "anna-0-0")
    renamed = naming.rename(library.database, anna, "Zoe", by=BY)
    history.undo(library.database, renamed.step, by=BY)
    said = correcting.different(
        library.database,
        str(face_of(library, "anna-0-0")),
        str(face_of(library, "ben-0-0")),
        faces=True,
        by=BY,
    )
    by_sql(
        library,
        f"DELETE FROM images i USING face_detections f WHERE f.image_id = i.id AND f.person_id = '{anna}'",
    )
    assert history.undo(library.database, by=BY).id == said.step
    assert history.redo(library.database, by=BY).id == said.step
    assert rows(library.database, "SELECT name FROM person_names") == [("Anna",)]


def test_who_was_hidden_stays_so_when_must_links_are_carried_through(library: Library) -> None:
    for name in ("cleo", "dora"):
        add_person(library, name, 6)
    cluster(library)
    cleo, dora = who_is(library, "cleo-0-0"), who_is(library, "dora-0-0")
    naming.name(library.database, dora, "Dora", into=False, face=False, by=BY)
    naming.set_hidden(library.database, cleo, hidden=True, by=BY)
    by_sql(
        library,
        f"""INSERT INTO said_of_faces (face_a, face_b, same)
            SELECT min(id), max(id), true FROM face_detections
            WHERE assigned_by = 'auto' AND person_id IN ('{cleo}', '{dora}')""",
    )
    upkeep(library, "must-links")
    assert who_is(library, "cleo-0-0") == cleo


def test_who_took_in_somebody_a_human_spoke_of_comes_back_after_a_reset(library: Library) -> None:
    for name in ("cleo", "dora"):
        add_person(library, name, 3)
    cluster(library)
    cleo, dora = who_is(library, "cleo-0-0"), who_is(library, "dora-0-0")
    correcting.move(library.database, [face_of(library, "cleo-0-0")], cleo, by=BY)
    library.database.run(lambda connection: _absorb(connection, UUID(cleo), UUID(dora)))
    by_sql(library, "DELETE FROM persons")
    cluster(library, method="components")
    assert who_is(library, "cleo-0-0") == dora


def _absorb(connection: Connection, person: UUID, target: UUID) -> None:
    with making_step(connection, "maintain", BY, "one person") as step:
        assert absorb(step, person, target)
