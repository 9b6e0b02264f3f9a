"""Corrections of people hold in every command, run, upkeep and reset, and concurrently."""

import threading
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import pytest
from tests.fixtures.corrections import BY, apart, by_sql, call, hide, merge, move, pair, undo
from tests.fixtures.filled_library import grouped, template_by
from tests.fixtures.library_people import add_person, cluster, face_of, rows, who_is

from facesets.errors import WrongUsage
from facesets.operations.options.people import ClusterLibraryOptions, DualOptions
from facesets.operations.options.upkeep import MaintainOptions, Task
from facesets.operations.people.assigning.prototypes import prototypes
from facesets.operations.people.corrections import history, naming
from facesets.operations.people.corrections.absorbing import absorb
from facesets.operations.people.grouping import cluster_library, dual, dual_unknown
from facesets.operations.people.grouping.matching import JoinDecision
from facesets.operations.people.review.answering import answer
from facesets.operations.people.upkeep.tasks import maintain
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.library import Library
from facesets.store.postgres.people.steps import making_step, one_at_a_time
from facesets.work import Work

template = template_by(grouped(anna=6, ben=4, cleo=3))

Deed = Callable[[Library], object]


def upkeep(library: Library, *tasks: Task) -> None:
    maintain(library, tasks, MaintainOptions(), work=Work(by=BY))


def people_of(library: Library, labels: Sequence[str]) -> list[str]:
    return [who_is(library, label) for label in labels]


def test_a_face_denied_for_a_person_does_not_follow_a_face_of_theirs(library: Library) -> None:
    move(library, "anna-0-0", to="nobody")
    with pytest.raises(WrongUsage, match="is not"):
        pair(library, "anna-0-0", "anna-0-1", same=True)
    assert who_is(library, "anna-0-0") == ""


def test_faces_confirmed_as_one_person_move_together(library: Library) -> None:
    two = ("anna-0-0", "anna-0-1")
    pair(library, *two, same=True)
    move(library, "anna-0-0", to="ben-0-0")
    assert people_of(library, two) == [who_is(library, "ben-0-0")] * 2
    first, second = (face_of(library, label) for label in two)
    with pytest.raises(WrongUsage, match=f"faces {first} and {second} show one person; face {first} is"):
        move(library, "anna-0-1", to="nobody")
    move(library, *two, to="nobody")
    assert people_of(library, two) == ["", ""]
    cluster(library)
    assert who_is(library, "anna-0-0") == who_is(library, "anna-0-1") != who_is(library, "ben-0-0")


def merge_and_keep_apart(library: Library) -> None:
    merge(library, "anna-0-0", into="ben-0-0")
    apart(library, "ben-0-0", "cleo-0-0")


def take_in(library: Library) -> None:
    """As upkeep does, merge a person with a face that a user confirmed into another."""
    cleo, ben = (UUID(who_is(library, label)) for label in ("cleo-0-0", "ben-0-0"))
    move(library, "cleo-0-0", to=str(cleo))

    def work(connection: Connection) -> None:
        with making_step(connection, "maintain", BY, "one person") as step:
            assert absorb(step, cleo, ben)

    library.database.run(work)


@pytest.mark.parametrize(
    ("say", "labels"),
    [
        (merge_and_keep_apart, ("anna-0-0", "ben-0-0", "cleo-0-0")),
        (lambda library: move(library, "anna-0-0", to="ben-0-0"), ("anna-0-0",)),
        (take_in, ("cleo-0-0",)),
    ],
    ids=["people who are one or two", "a face", "whoever took in somebody"],
)
def test_corrections_of_unnamed_people_hold_after_a_reset_by_sql(
    library: Library, say: Deed, labels: Sequence[str]
) -> None:
    ben = who_is(library, "ben-0-0")
    say(library)
    before = people_of(library, labels)
    assert ben in before
    by_sql(library, "DELETE FROM persons")
    cluster(library, method="components")
    assert people_of(library, labels) == before


def test_a_merge_leaves_how_faces_were_assigned_as_it_was(library: Library) -> None:
    face = face_of(library, "anna-0-0")
    by_sql(library, f"UPDATE face_detections SET assigned_by = 'imported' WHERE id = {face}")
    call(library, "ben-0-0", "Ben")
    merge(library, "anna-0-0", into="Ben")
    found = rows(library, f"SELECT assigned_by <> 'auto' FROM face_detections WHERE id = {face}")
    assert found == [(True,)]


def test_faces_confirmed_as_one_person_stay_together_when_one_is_denied(library: Library) -> None:
    pair(library, "anna-0-0", "anna-0-1", same=True)
    anna = who_is(library, "anna-0-2")
    by_sql(
        library,
        f"""INSERT INTO face_corrections VALUES ({face_of(library, "anna-0-0")}, '{anna}', false);
            UPDATE face_detections SET person_id = NULL
            WHERE id IN ({face_of(library, "anna-0-0")}, {face_of(library, "anna-0-1")})""",
    )
    cluster(library)
    assert who_is(library, "anna-0-0") == who_is(library, "anna-0-1") != anna


def test_a_face_denied_for_one_of_several_merged_people_is_unassigned(library: Library) -> None:
    anna, ben, cleo = people_of(library, ("anna-0-0", "ben-0-0", "cleo-0-0"))
    by_sql(library, f"INSERT INTO face_corrections VALUES ({face_of(library, 'ben-0-0')}, '{anna}', false)")
    merge(library, anna, ben, into=cleo)
    assert people_of(library, ("anna-0-0", "ben-0-0", "ben-0-1")) == [cleo, "", cleo]


def test_a_face_denied_for_a_merged_person_is_unassigned(library: Library) -> None:
    anna, ben = people_of(library, ("anna-0-0", "ben-0-0"))
    move(library, "ben-0-3", to="nobody")
    # As a run gives it to another person.
    by_sql(
        library,
        f"""UPDATE face_detections SET person_id = '{anna}', assigned_by = 'auto'
            WHERE id = {face_of(library, "ben-0-3")}""",
    )
    merge(library, ben, into=anna)
    assert people_of(library, ("ben-0-0", "ben-0-3")) == [anna, ""]


def test_a_best_face_denied_for_another_person_is_unassigned_by_their_merge(library: Library) -> None:
    anna, ben = people_of(library, ("anna-0-0", "ben-0-0"))
    labels = ("ben-0-0", "ben-0-1")
    for to in (anna, "nobody"):
        move(library, *labels, to=to)
    cluster(library)
    assert people_of(library, labels) == [ben, ben]
    merge(library, anna, into=ben)
    assert people_of(library, labels) == ["", ""]
    reported = rows(library, "SELECT face_id, is_person FROM face_corrections")
    assert {(face_of(library, each), False) for each in labels} <= set(reported)


def test_upkeep_does_not_merge_a_person_that_a_user_made(library: Library) -> None:
    call(library, "anna-0-0", "Anna")
    move(library, "anna-0-0", to="new")
    now = who_is(library, "anna-0-0")
    upkeep(library, "weekly")
    assert who_is(library, "anna-0-0") == now != who_is(library, "anna-0-1")


def test_upkeep_after_a_reset_brings_named_people_back_first(library: Library) -> None:
    call(library, "anna-0-0", "Anna")
    labels = [f"anna-0-{i}" for i in range(6)]
    before = people_of(library, labels)
    # As if she had been two people once who were merged.
    by_sql(
        library,
        f"""INSERT INTO clusters (id, model_id) SELECT 'clu_2', id FROM models;
            UPDATE face_detections SET cluster = 'clu_2' WHERE id = {face_of(library, labels[5])};
            UPDATE face_detections SET person_id = NULL; DELETE FROM persons""",
    )
    upkeep(library, "associate")
    cluster(library, method="components")
    assert people_of(library, labels) == before


def test_a_person_with_a_pinned_face_outlives_runs_and_upkeep(library: Library) -> None:
    ben, face = who_is(library, "ben-0-0"), face_of(library, "ben-0-0")
    prototypes(library.database, pin=[face], by=BY)
    by_sql(library, f"UPDATE face_detections SET person_id = NULL WHERE person_id = '{ben}'")
    upkeep(library, "empty")
    move(library, "ben-0-0", to=ben)
    assert rows(library, "SELECT face_id FROM prototype_corrections") == [(face,)]
    assert who_is(library, "ben-0-0") == ben


def test_faces_confirmed_as_one_person_do_not_go_to_two_by_upkeep(library: Library) -> None:
    for name in ("dora", "emil"):
        add_person(library, name, 3)
    labels = ("dora-0-0", "emil-0-0")
    pair(library, *labels, same=True)
    for name in ("dora", "emil"):
        by_sql(
            library,
            f"""INSERT INTO clusters (id, model_id)
                    SELECT unnest(ARRAY['{name}_0', '{name}_1']), id FROM models;
                UPDATE face_detections f SET cluster = '{name}_' || (p.path <> '/{name}-0-0.jpg')::int
                FROM image_paths p WHERE p.image_id = f.image_id AND p.path LIKE '/{name}-%'""",
        )
    upkeep(library, "associate")
    one, other = people_of(library, labels)
    assert one == other
    assert undo(library).kind == "maintain"


def test_hidden_people_stay_hidden_when_must_links_are_applied(library: Library) -> None:
    anna, ben = people_of(library, ("anna-0-0", "ben-0-0"))
    call(library, anna, "Anna")
    hide(library, ben)
    by_sql(
        library,
        f"""INSERT INTO face_pair_corrections (face_a, face_b, same) SELECT min(id), max(id), true
            FROM face_detections WHERE assigned_by = 'auto' AND person_id IN ('{anna}', '{ben}')""",
    )
    upkeep(library, "must-links")
    assert who_is(library, "ben-0-0") == ben


def at_once(library: Library, *works: Callable[[Library], object]) -> list[str]:
    """Start all in sessions of their own while all are blocked; then release them. Returns the refusals."""
    refused: list[str] = []

    def one(work: Callable[[Library], object]) -> None:
        session = Database(library.database.conninfo)
        try:
            work(Library(session))
        except WrongUsage as error:
            refused.append(str(error))
        finally:
            session.close()

    waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    threads = [threading.Thread(target=one, args=(work,)) for work in works]
    with Connection.connect(library.database.conninfo) as first:
        one_at_a_time(first)
        for thread in threads:
            thread.start()
        while rows(library, waiting) != [(len(works),)]:
            assert all(thread.is_alive() for thread in threads)
    for thread in threads:
        thread.join()
    return refused


def test_two_concurrent_opposite_merges_lose_no_person(library: Library) -> None:
    anna, ben = people_of(library, ("anna-0-0", "ben-0-0"))
    (refused,) = at_once(
        library,
        lambda session: merge(session, anna, into=ben),
        lambda session: merge(session, ben, into=anna),
    )
    assert "themselves" in refused
    assert who_is(library, "anna-0-0") == who_is(library, "ben-0-0")
    found = rows(library, "SELECT status FROM persons ORDER BY status")
    assert found == [("active",), ("active",), ("merged",)]


def test_one_of_two_concurrent_undos_of_a_step_is_refused(library: Library) -> None:
    call(library, "anna-0-0", "Anna")
    naming.rename(library.database, "Anna", "Änne", by=BY)
    (refused,) = at_once(library, undo, undo)
    assert "already undone" in refused
    assert rows(library, "SELECT name FROM person_names") == [("Anna",)]


def test_a_name_in_answer_never_goes_to_a_person_merged_into_meanwhile(library: Library) -> None:
    call(library, "anna-0-0", "Anna")
    ben = who_is(library, "ben-0-0")
    question = f"name-{ben.replace('-', '')}"
    refused = at_once(
        library,
        lambda session: merge(session, ben, into="Anna"),
        lambda session: answer(session.database, question, "name", by=BY, name="Zoe"),
    )
    if refused:
        assert "not open" in refused[0]
        assert rows(library, "SELECT name FROM person_names") == [("Anna",)]
    else:
        # The answer came first, and then Zoe was merged, as both requests intended.
        assert [step.kind for step in history.log(library.database, limit=2)] == ["merge", "name"]


@pytest.mark.parametrize(("method", "how"), [("components", "decide"), ("auto", "decide_again")])
def test_corrections_during_a_run_are_followed_by_it(
    library: Library, monkeypatch: pytest.MonkeyPatch, method: str, how: str
) -> None:
    decide = getattr(cluster_library, how)
    anna, ben = people_of(library, ("anna-0-0", "ben-0-0"))
    add_person(library, "anna", 2, seed=1)

    def while_deciding(*args: Any, **options: Any) -> JoinDecision:
        decision: JoinDecision = decide(*args, **options)
        for to in (anna, "nobody"):
            move(library, "anna-1-0", to=to)
        merge(library, anna, into=ben)
        return decision

    monkeypatch.setattr(cluster_library, how, while_deciding)
    cluster(library, method=method)
    assert people_of(library, ("anna-1-0", "anna-1-1")) == ["", ben]


def test_faces_named_during_grouping_are_in_no_cluster_of_others(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    call(library, "anna-0-0", "Anna")
    add_person(library, "dora", 4)
    group = dual_unknown.Others.group
    face = face_of(library, "dora-0-0")

    def while_grouping(*args: Any) -> Any:
        found = group(*args)
        naming.name(library.database, str(face), "Dora", into=False, face=True, by=BY)
        return found

    monkeypatch.setattr(dual_unknown.Others, "group", while_grouping)
    chosen = DualOptions(dual=True, unknown_method="components", unknown_min_size=2)
    done = dual.cluster_dual(library, ClusterLibraryOptions(), chosen, work=Work(by=BY))
    assert done.unknown is not None
    assert done.unknown.clusters == 1
    found = rows(library, "SELECT id, person_id FROM face_detections WHERE cluster LIKE 'unknown%'")
    assert len(found) == 3
    assert all(person is None for _, person in found)
