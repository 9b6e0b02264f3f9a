"""A library of schema 0003, with people and steps, upgrades with all corrections, and undoes them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.fixtures.library_people import cluster, rows

from facesets.errors import WrongUsage
from facesets.operations.options.people import AssignOptions
from facesets.operations.people.assigning.assigning import assign
from facesets.operations.people.corrections import history, naming
from facesets.operations.people.forgetting.forget import forget
from facesets.operations.people.lists.listing import person
from facesets.store.postgres.connection import Database, opened
from facesets.store.postgres.integrity import find_problems
from facesets.store.postgres.library import Library
from facesets.store.postgres.migrate import migrate, shipped_migrations
from facesets.work import Work

pytestmark = pytest.mark.usefixtures("networks_once")

MADE = Path(__file__).parents[1] / "fixtures" / "schema_0003"
BY = "anna@home"
State = dict[str, list[list[Any]]]

STATE = {
    "faces": "SELECT id, person_id::text, assigned_by, cluster FROM face_detections ORDER BY id",
    "persons": "SELECT id::text, status, merged_into_id::text FROM persons ORDER BY id",
    "names": "SELECT person_id::text, name FROM person_names ORDER BY name",
    "person_corrections": "SELECT person_id::text, names, status FROM person_corrections ORDER BY person_id",
    "face_corrections": "SELECT face_id, person_id::text, is_person FROM face_corrections ORDER BY 1, 2",
    "face_pair_corrections": "SELECT face_a, face_b, same FROM face_pair_corrections ORDER BY face_a, face_b",
    "person_pair_corrections": """SELECT person_a::text, person_b::text FROM person_pair_corrections
        ORDER BY 1""",
    "prototype_corrections": "SELECT face_id, person_id::text, pinned FROM prototype_corrections ORDER BY 1",
}


THEN = {
    "person_corrections": "said_people",
    "face_corrections": "said_faces",
    "face_pair_corrections": "said_of_faces",
    "person_pair_corrections": "said_of_people",
    "prototype_corrections": "said_exemplars",
}
"""Former names of tables."""


def state(database: Database, *, then: bool = False) -> State:
    """Return assignments and corrections; by current names of tables, or former ones."""
    table = THEN if then else {}
    queries = {name: query.replace(name, table.get(name, name)) for name, query in STATE.items()}
    return {name: [list(row) for row in rows(database, query)] for name, query in queries.items()}


def faces_of(found: State) -> set[int]:
    return {row[0] for row in found["faces"]}


def without_forgotten(before: State, faces: set[int]) -> State:
    """Return an earlier state without the person whose faces were forgotten since."""
    gone = {row[1] for row in before["faces"] if row[0] not in faces}
    kept = {name: [row for row in table if gone.isdisjoint(map(str, row))] for name, table in before.items()}
    return kept | {"faces": only(before, faces)["faces"]}


def only(found: State, faces: set[int]) -> State:
    """Return a state without photos that came later."""
    return found | {"faces": [row for row in found["faces"] if row[0] in faces]}


@pytest.fixture
def library(empty_url: str) -> Iterator[Library]:
    """That library, upgraded, with unchanged assignments."""
    with opened(Database(empty_url)) as database:
        migrate(database, shipped_migrations()[:3])
        content = (MADE / "library.sql").read_bytes()
        database.run(lambda connection: connection.execute(content))
        before = state(database, then=True)
        migrate(database, shipped_migrations())
        assert state(database) == before
        yield Library(database)


def test_names_and_corrections_hold(library: Library) -> None:
    assert library.database.run(find_problems) == []
    assert person(library.database, "anna änderung", faces=0).person.faces == 8
    last = state(library.database)
    # People with corrections keep every face.
    cluster(library, method="components", threshold=0.5)
    assign(library, AssignOptions(), work=Work(by=BY))
    spoken_of = {row[0] for row in last["person_corrections"]}
    now = {row[0]: row[1] for row in state(library.database)["faces"]}
    assert all(now[row[0]] == row[1] for row in last["faces"] if row[1] in spoken_of)
    with pytest.raises(WrongUsage, match="Cleo"):
        naming.rename(library.database, "Benjamin", "Cleo", by=BY)


def test_every_old_step_is_undone_and_redone(library: Library) -> None:
    database = library.database
    states = json.loads((MADE / "states.json").read_text("utf-8"))
    last = state(database)
    naming.rename(database, "Benjamin", "Benno", by=BY)
    assert history.undo(database, by=BY).kind == "rename"
    steps = {step.id: step for step in history.log(database, limit=100)}
    undone = []
    for recorded in reversed(states):
        if any(steps[number].undoes or steps[number].forgotten for number in recorded["steps"]):
            continue
        for number in reversed(recorded["steps"]):
            assert history.undo(database, number, by=BY).id == number
            undone.append(number)
        now = state(database)
        before: State = recorded["before"]
        assert only(now, faces_of(before)) == without_forgotten(before, faces_of(now)), recorded["steps"]
    assert len(undone) > 15
    for _ in undone:
        history.redo(database, by=BY)
    assert state(database) == last


def test_a_forgotten_person_is_removed_from_old_steps(library: Library) -> None:
    database = library.database
    before = state(database)
    forget(database, "Cleo", (), work=Work(by=BY))
    [cleo] = {row[0] for row in before["names"]} - {row[0] for row in state(database)["names"]}
    for table in ("steps", "step_rows", "step_persons", "step_faces", "face_corrections"):
        assert rows(database, f"SELECT 1 FROM {table} t WHERE t::text LIKE '%{cleo}%'") == [], table
    for table in ("steps", "step_rows", "person_corrections"):
        assert rows(database, f"SELECT 1 FROM {table} t WHERE t::text ~* 'cleo|dora'") == [], table
    assert library.database.run(find_problems) == []
