"""Several people and runs change who is who at once."""

import threading
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from tests.fixtures.filled_library import grouped, template_by
from tests.fixtures.library_people import add_person, cluster, face_of, rows, who_is

from facesets.errors import WrongUsage
from facesets.operations.options.people import ClusterLibraryOptions, DualOptions
from facesets.operations.people.corrections import correcting, history, naming
from facesets.operations.people.grouping import cluster_library, dual, dual_unknown
from facesets.operations.people.grouping.matching import Decision
from facesets.operations.people.review.answering import answer
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.library import Library
from facesets.store.postgres.people.steps import one_at_a_time
from facesets.work import Work

BY = "anna@home"


template = template_by(grouped(anna=4, ben=4))


def at_once(library: Library, *works: Callable[[Database], object]) -> list[str]:
    """Begin all in sessions of their own while none may go on; then let them. Returns what was refused."""
    refused: list[str] = []

    def one(work: Callable[[Database], object]) -> None:
        session = Database(library.database._text)
        try:
            work(session)
        except WrongUsage as error:
            refused.append(str(error))
        finally:
            session.close()

    waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    threads = [threading.Thread(target=one, args=(work,)) for work in works]
    with Connection.connect(library.database._text) as first:
        one_at_a_time(first)
        for thread in threads:
            thread.start()
        while rows(library.database, waiting) != [(len(works),)]:
            assert all(thread.is_alive() for thread in threads)
    for thread in threads:
        thread.join()
    return refused


def test_two_who_merge_two_people_into_one_another_at_once_lose_nobody(library: Library) -> None:
    anna, ben = who_is(library, "anna-0-0"), who_is(library, "ben-0-0")
    refused = at_once(
        library,
        lambda session: correcting.merge(session, [anna], ben, drop_names=False, by=BY),
        lambda session: correcting.merge(session, [ben], anna, drop_names=False, by=BY),
    )
    assert len(refused) == 1
    assert "themselves" in refused[0]
    assert who_is(library, "anna-0-0") == who_is(library, "ben-0-0")
    found = rows(library.database, "SELECT status FROM persons ORDER BY status")
    assert found == [("active",), ("merged",)]


def test_of_two_who_take_the_latest_step_back_at_once_one_is_told(library: Library) -> None:
    anna = who_is(library, "anna-0-0")
    naming.name(library.database, anna, "Anna", into=False, face=False, by=BY)
    naming.rename(library.database, anna, "Änne", by=BY)
    refused = at_once(
        library,
        lambda session: history.undo(session, by=BY),
        lambda session: history.undo(session, by=BY),
    )
    assert len(refused) == 1
    assert "taken back already" in refused[0]
    assert rows(library.database, "SELECT name FROM person_names") == [("Anna",)]


def test_a_name_that_another_has_by_now_does_not_come_back(library: Library) -> None:
    anna, ben = who_is(library, "anna-0-0"), who_is(library, "ben-0-0")
    naming.name(library.database, anna, "Anna", into=False, face=False, by=BY)
    renamed = naming.rename(library.database, anna, "Zoe", by=BY)
    later = naming.name(library.database, ben, "anna", into=False, face=False, by=BY)
    with pytest.raises(WrongUsage, match=f"undo {later.step}"):
        history.undo(library.database, renamed.step, by=BY)


def test_a_name_by_sql_that_stands_in_the_way_of_taking_back_is_named(library: Library) -> None:
    anna, ben = who_is(library, "anna-0-0"), who_is(library, "ben-0-0")
    naming.name(library.database, anna, "Anna", into=False, face=False, by=BY)
    renamed = naming.rename(library.database, anna, "Zoe", by=BY)
    with psycopg.connect(library.database._text, autocommit=True) as sql:
        sql.execute("INSERT INTO person_names (person_id, name) VALUES (%s, 'ANNA')", (ben,))
    with pytest.raises(WrongUsage, match="other means"):
        history.undo(library.database, renamed.step, by=BY)


def test_a_name_in_answer_never_goes_to_whom_somebody_is_merged_into_meanwhile(library: Library) -> None:
    naming.name(library.database, who_is(library, "anna-0-0"), "Anna", into=False, face=False, by=BY)
    ben = who_is(library, "ben-0-0")
    question = f"name-{ben.replace('-', '')}"

    def merge(session: Database) -> object:
        return correcting.merge(session, [ben], "Anna", drop_names=False, by=BY)

    def call(session: Database) -> object:
        return answer(session, question, "name", by=BY, name="Zoe")

    refused = at_once(library, merge, call)
    names = rows(library.database, "SELECT name, person_id FROM person_names ORDER BY name")
    if refused:
        assert "is open" in refused[0]
        assert [name for name, _ in names] == ["Anna"]
    else:
        # The answer came first, and then Zoe was merged: that is what both said.
        assert [step.kind for step in history.log(library.database, limit=2)] == ["merge", "name"]


def test_what_was_said_of_people_keeps_the_run_that_made_them(library: Library) -> None:
    anna, ben = who_is(library, "anna-0-0"), who_is(library, "ben-0-0")
    made = min(step.id for step in history.log(library.database))
    said = correcting.different(library.database, anna, ben, faces=False, by=BY)
    with pytest.raises(WrongUsage, match=f"undo {said.step}"):
        history.undo(library.database, made, by=BY)


def test_what_was_done_again_is_told_as_it_was(library: Library) -> None:
    step = naming.name(library.database, who_is(library, "anna-0-0"), "Anna", into=False, face=False, by=BY)
    history.undo(library.database, by=BY)
    again = history.redo(library.database, by=BY)
    assert (again.id, "Anna" in again.what) == (step.step, True)


@pytest.mark.parametrize(("method", "how"), [("components", "decide"), ("auto", "decide_again")])
def test_what_is_said_while_a_run_decides_is_obeyed_by_it(
    library: Library, monkeypatch: pytest.MonkeyPatch, method: str, how: str
) -> None:
    decide = getattr(cluster_library, how)
    anna, ben = who_is(library, "anna-0-0"), who_is(library, "ben-0-0")
    add_person(library, "anna", 2, seed=1)

    def while_deciding(*args: Any, **options: Any) -> Decision:
        decision: Decision = decide(*args, **options)
        face = face_of(library, "anna-1-0")
        correcting.move(library.database, [face], anna, by=BY)
        correcting.move(library.database, [face], "nobody", by=BY)
        correcting.merge(library.database, [anna], ben, drop_names=False, by=BY)
        return decision

    monkeypatch.setattr(cluster_library, how, while_deciding)
    cluster(library, method=method)
    assert who_is(library, "anna-1-0") == ""
    assert who_is(library, "anna-1-1") == ben


def test_who_is_named_while_others_are_grouped_is_in_no_cluster_of_others(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    naming.name(library.database, who_is(library, "anna-0-0"), "Anna", into=False, face=False, by=BY)
    add_person(library, "cleo", 4)
    group = dual_unknown.Others.group
    face = face_of(library, "cleo-0-0")

    def while_grouping(*args: Any) -> Any:
        found = group(*args)
        naming.name(library.database, str(face), "Cleo", into=False, face=True, by=BY)
        return found

    monkeypatch.setattr(dual_unknown.Others, "group", while_grouping)
    done = dual.cluster_dual(
        library,
        ClusterLibraryOptions(),
        DualOptions(dual=True, unknown_method="components", unknown_min_size=2),
        work=Work(by=BY),
    )
    assert done.unknown is not None
    assert done.unknown.clusters == 1
    found = rows(library.database, "SELECT id, person_id FROM face_detections WHERE cluster LIKE 'unknown%'")
    assert len(found) == 3
    assert all(person is None for _, person in found)


def test_a_run_is_taken_back_after_some_of_its_photos_were_deleted(library: Library) -> None:
    made = min(step.id for step in history.log(library.database))
    with psycopg.connect(library.database._text, autocommit=True) as sql:
        sql.execute(
            """DELETE FROM images WHERE id IN (SELECT image_id FROM image_paths
                WHERE path IN ('/anna-0-0.jpg', '/ben-0-0.jpg'))"""
        )
    history.undo(library.database, made, by=BY)
    assert rows(library.database, "SELECT count(person_id), count(*) FROM face_detections") == [(0, 6)]
    history.redo(library.database, by=BY)
    assert rows(library.database, "SELECT count(person_id) FROM face_detections") == [(6,)]
