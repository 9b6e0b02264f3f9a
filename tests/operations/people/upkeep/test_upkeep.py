"""Upkeep of the library: clusters become people, statements are carried through, all undoable."""

from typing import Any

import numpy as np
import pytest
from tests.fixtures.corrections import BY, apart, by_sql, call, move, state, undo
from tests.fixtures.filled_library import template_by
from tests.fixtures.library_people import (
    add_face,
    add_person,
    cluster,
    cluster_of,
    face_of,
    heart_of,
    rows,
    who_is,
)

from facesets.errors import WrongUsage
from facesets.operations.library.check import check
from facesets.operations.options.upkeep import MaintainOptions, Task
from facesets.operations.people.upkeep.tasks import maintain
from facesets.result import Result
from facesets.store.postgres.connection import Database
from facesets.store.postgres.library import Library
from facesets.work import Work

pytestmark = pytest.mark.slow


def fill(database: Database) -> None:
    filled = Library(database)
    for name, images in (("anna", 6), ("ben", 4)):
        add_person(filled, name, images)


template = template_by(fill)


def put(library: Library, cluster_id: str, *labels: str) -> None:
    """Put faces into a cluster, as a run that makes no people does."""
    faces = ", ".join(str(face_of(library, label)) for label in labels)
    by_sql(
        library,
        f"""INSERT INTO clusters (id, model_id) SELECT '{cluster_id}', id FROM models;
            UPDATE face_detections SET cluster = '{cluster_id}' WHERE id IN ({faces})""",
    )


def upkeep(library: Library, task: Task, **options: Any) -> Result:
    (done,) = maintain(library, [task], MaintainOptions(**options), work=Work(by=BY))
    return done


def taken_back(library: Library, before: list[list[tuple[Any, ...]]]) -> bool:
    undo(library)
    return state(library) == before


def test_clusters_of_one_person_become_a_person_and_can_be_undone(library: Library) -> None:
    put(library, "unknown_cluster_1", "anna-0-0", "anna-0-1", "anna-0-2")
    put(library, "unknown_cluster_2", "anna-0-3", "anna-0-4")
    put(library, "unknown_cluster_3", "ben-0-0", "ben-0-1")
    before = state(library)
    done = upkeep(library, "associate", dry_run=True)
    assert (done.figures["made"], done.step, state(library)) == (1, None, before)
    done = upkeep(library, "associate")
    assert (done.figures["made"], done.figures["joined"], done.figures["merged"]) == (1, 0, 0)
    anna = {who_is(library, f"anna-0-{i}") for i in range(5)}
    assert len(anna - {""}) == len(anna) == 1
    assert who_is(library, "ben-0-0") == ""
    assert upkeep(library, "associate").step is None, "a second time changes nothing"
    assert taken_back(library, before)


def test_a_cluster_joins_the_person_it_is_and_people_without_a_name_the_named_one(library: Library) -> None:
    cluster(library)
    anna = who_is(library, "anna-0-0")
    move(library, "anna-0-5", to="new")
    other = who_is(library, "anna-0-5")
    call(library, other, "Anna")
    add_person(library, "anna", 2, seed=1)
    put(library, "unknown_cluster_7", "anna-1-0", "anna-1-1")
    before = state(library)
    done = upkeep(library, "associate", same_image_ok=True)
    assert (done.figures["merged"], done.figures["joined"]) == (1, 1)
    assert {who_is(library, label) for label in ("anna-0-0", "anna-0-5", "anna-1-1")} == {other}
    merged = rows(library, f"SELECT status, merged_into_id::text FROM persons WHERE id = '{anna}'")
    assert merged == [("merged", other)]
    assert taken_back(library, before)


def test_named_people_are_never_merged_and_corrections_keep_others_apart(library: Library) -> None:
    cluster(library)
    anna = who_is(library, "anna-0-0")
    move(library, "anna-0-5", to="new")
    twin = who_is(library, "anna-0-5")
    apart(library, anna, twin)
    assert upkeep(library, "associate").step is None
    undo(library)
    for who, name in ((anna, "Anna"), (twin, "Twin")):
        call(library, who, name)
    done = upkeep(library, "associate")
    assert (done.step, done.figures["named_alike"]) == (None, 1)
    assert "may be the same person" in done.lines[0]


def test_people_on_one_photo_are_two_unless_it_is_a_mirror(library: Library) -> None:
    put(library, "a", "anna-0-0", "anna-0-1")
    put(library, "b", "anna-0-2", "anna-0-3")
    first, moved = face_of(library, "anna-0-0"), face_of(library, "anna-0-2")
    by_sql(
        library,
        f"""UPDATE face_detections f SET image_id = o.image_id, x1 = 500, x2 = 600
            FROM face_detections o WHERE o.id = {first} AND f.id = {moved}""",
    )
    assert upkeep(library, "associate", dry_run=True).figures["made"] == 0
    assert upkeep(library, "associate", dry_run=True, same_image_ok=True).figures["made"] == 1


def test_similar_clusters_become_one_but_not_verified_ones(library: Library) -> None:
    put(library, "small", "anna-0-0", "anna-0-1")
    put(library, "large", "anna-0-2", "anna-0-3", "anna-0-4")
    put(library, "other", "ben-0-0", "ben-0-1")
    before = state(library)
    assert upkeep(library, "merge-similar").figures["merged"] == 1
    found = dict(rows(library, "SELECT cluster, count(*) FROM face_detections GROUP BY 1"))
    assert (found["large"], found["other"]) == (5, 2)
    assert "small" not in found
    assert taken_back(library, before)
    by_sql(library, "UPDATE clusters SET verified_at = now() WHERE id = 'small'")
    assert upkeep(library, "merge-similar").step is None


def test_faces_confirmed_as_one_person_go_to_one_also_through_others(library: Library) -> None:
    cluster(library)
    add_face(library, "far", heart_of("zoe"))
    add_face(library, "farther", heart_of("yan"))
    far, farther, anna = (face_of(library, label) for label in ("far", "farther", "anna-0-0"))
    # By hand, for the command gives them to her at once.
    by_sql(
        library,
        f"""INSERT INTO face_pair_corrections (face_a, face_b, same) VALUES
            ({min(far, anna)}, {max(far, anna)}, true), ({min(far, farther)}, {max(far, farther)}, true)""",
    )
    before = state(library)
    assert len(upkeep(library, "violations").lines) == 1, "those of nobody break nothing"
    assert upkeep(library, "must-links").figures == {"faces": 2, "merged": 0}
    assert who_is(library, "farther") == who_is(library, "anna-0-0")
    by = rows(library, f"SELECT assigned_by FROM face_detections WHERE id = {far}")
    assert by == [("constrained",)]
    assert upkeep(library, "violations").did == "No conflicts with your corrections."
    assert taken_back(library, before)


def test_faces_left_over_for_long_become_clusters_of_their_own(library: Library) -> None:
    add_face(library, "lonely", heart_of("zoe"))
    assert upkeep(library, "unassigned").figures["singles"] == 0
    by_sql(library, "UPDATE face_detections SET created_at = now() - interval '100 days'")
    put(library, "kept", *(f"anna-0-{i}" for i in range(6)), *(f"ben-0-{i}" for i in range(4)))
    before = state(library)
    assert upkeep(library, "unassigned", older_than=101).figures["singles"] == 0
    assert upkeep(library, "unassigned").figures["singles"] == 1
    assert cluster_of(library, "lonely") == f"single_{face_of(library, 'lonely')}"
    assert taken_back(library, before)


def test_empty_people_and_clusters_are_deleted_unless_corrected(library: Library) -> None:
    put(library, "full", "anna-0-0")
    cluster(library)
    by_sql(
        library,
        """INSERT INTO clusters (id, model_id) SELECT 'void', id FROM models;
        INSERT INTO persons DEFAULT VALUES""",
    )
    call(library, "ben-0-0", "Ben")
    by_sql(library, "UPDATE face_detections SET person_id = NULL")
    before = state(library)
    done = upkeep(library, "empty")
    assert done.figures == {"clusters": 1, "people": 2}
    assert rows(library, "SELECT name FROM person_names") == [("Ben",)]
    assert taken_back(library, before)


def test_health_counts_and_recommends_actions(library: Library) -> None:
    sick = upkeep(library, "health")
    assert sick.figures["total_faces"] == sick.figures["unassigned_pool_size"] == 10
    assert "No face is assigned yet" in sick.lines[0]
    cluster(library)
    by_sql(library, "INSERT INTO clusters (id, model_id) SELECT 'void', id FROM models")
    done = upkeep(library, "health")
    assert any(line.startswith("1 cluster is empty") for line in done.lines), done.lines
    upkeep(library, "empty")
    done = upkeep(library, "health")
    assert (done.figures["total_clusters"], done.figures["avg_cluster_size"]) == (2, 5.0)
    assert (done.figures["min_cluster_size"], done.figures["max_cluster_size"]) == (4, 6)


def test_halves_of_people_join_and_no_two_people_do(empty_database: Database) -> None:
    rng = np.random.default_rng(5)
    library = Library(empty_database)
    with pytest.raises(WrongUsage, match="There are no faces"):
        upkeep(library, "associate")
    names = [f"person{i}" for i in range(12)]
    for name in names:
        for part in range(2):
            shift = rng.standard_normal(512) * 0.3
            for i in range(3):
                vector = heart_of(name * 3) + shift + rng.standard_normal(512) * 0.3
                add_face(library, f"{name}-{part}-{i}", vector)
            put(library, f"{name}{part}", *(f"{name}-{part}-{i}" for i in range(3)))
    upkeep(library, "associate")
    people = [{who_is(library, f"{name}-{part}-0") for part in range(2)} for name in names]
    assert all(len(each) == 1 for each in people)
    assert len(set.union(*people)) == len(names)


def test_a_week_s_upkeep_does_all_tasks_in_order_and_finds_nothing_the_second_time(library: Library) -> None:
    cluster(library)
    call(library, "ben-0-0", "Ben")
    put(library, "unknown_cluster_1", "anna-0-0", "anna-0-1")

    def week() -> list[Result]:
        return maintain(library, ["weekly", "staleness"], MaintainOptions(), work=Work(by=BY))

    assert [each.task for each in week()] == [
        "centroids",
        "empty",
        "statistics",
        "must-links",
        "violations",
        "medoids",
        "merge-similar",
        "unassigned",
        "associate",
        "staleness",
    ]
    assert {each.step for each in week()} == {None}
    runs = rows(library, "SELECT status FROM runs WHERE command = 'maintain'")
    assert runs == [("done",), ("done",)]


def test_check_puts_right_what_sql_broke_of_people_as_a_step(library: Library) -> None:
    cluster(library)
    anna, ben = who_is(library, "anna-0-0"), who_is(library, "ben-0-0")
    call(library, anna, "Anna")
    (known,), (other,), *_ = rows(library, "SELECT face_id FROM face_corrections ORDER BY 1")
    call(library, ben, "Ben")
    stray = face_of(library, "ben-0-3")
    move(library, "ben-0-3", to="nobody")
    assert check(library, fix=False).problems == []
    by_sql(
        library,
        f"""UPDATE face_detections SET person_id = '{ben}' WHERE id IN ({known}, {stray});
            UPDATE face_detections SET cluster = 'made' WHERE id = {other}""",
    )
    before = state(library)
    listed = upkeep(library, "violations").lines
    assert {f"face {known} is Anna", f"face {stray} is not Ben"} <= set(listed)
    assert [(problem.what, problem.count) for problem in check(library, fix=True, by=BY).problems] == [
        ("faces assigned to another person than you confirmed", 1),
        ("faces assigned to a person that you denied", 1),
        ("faces of clusters without a row", 1),
    ]
    assert check(library, fix=False).problems == []
    owner = rows(library, f"SELECT person_id::text FROM face_detections WHERE id = {known}")
    assert owner == [(anna,)]
    assert who_is(library, "ben-0-3") == ""
    assert taken_back(library, before)
