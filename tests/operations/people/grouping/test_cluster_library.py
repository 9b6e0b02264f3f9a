"""Clustering the library: assigned and retained people, and the effects of SQL by hand."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import psycopg
import pytest
from tests.fixtures.corrections import by_sql, call, undo
from tests.fixtures.filled_library import template_by
from tests.fixtures.library_people import add_face, add_person, add_photo, cluster, heart_of, rows, who_is
from tests.fixtures.made_faces import SETTINGS, made_image
from tests.fixtures.waiting import wait_for

from facesets.clustering import components
from facesets.errors import AlreadyRunning, WrongUsage
from facesets.operations.library.stats import stats
from facesets.operations.options.people import ClusterLibraryOptions
from facesets.operations.people.grouping.cluster_library import cluster_library
from facesets.store.postgres.claims import RunLock
from facesets.store.postgres.connection import Database, opened
from facesets.store.postgres.library import Library
from facesets.work import Stop, Work

pytestmark = pytest.mark.slow

OTHER_MODEL = replace(SETTINGS, recognizer_sha256="dd" * 32, recognizer="other.onnx")


def people(library: Library) -> dict[str, str]:
    """Return the person on every photo; empty if unassigned."""
    found = rows(
        library,
        """SELECT substr(p.path, 2, length(p.path) - 5), coalesce(f.person_id::text, '') FROM image_paths p
            JOIN face_detections f ON f.image_id = p.image_id ORDER BY 1""",
    )
    return dict(found)


def fill(database: Database) -> None:
    for name, images in (("anna", 4), ("ben", 3), ("cleo", 1)):
        add_person(Library(database), name, images)


template = template_by(fill)


def add_twin(library: Library) -> None:
    """Add a face equally similar to Anna and Ben."""
    add_face(library, "twin", heart_of("anna") + heart_of("ben"))


def test_similar_faces_become_people_and_new_ones_join_them_and_a_lone_one_stays(library: Library) -> None:
    summary = cluster(library)
    assert (summary.new_persons, summary.new_faces, summary.alone) == (2, 7, 1)
    assert who_is(library, "cleo-0-0") == ""
    assert len({person for label, person in people(library).items() if label.startswith("anna")}) == 1
    before = people(library)
    again = cluster(library)
    assert (again.kept, again.joined, again.new_persons, again.step) == (7, 0, 0, None)
    assert people(library) == before
    add_person(library, "anna", 2, seed=1)
    add_person(library, "cleo", 1, seed=1)
    third = cluster(library)
    assert (third.joined, third.new_persons, third.new_faces) == (2, 1, 2)
    after = people(library)
    assert after["anna-1-0"] == before["anna-0-0"]
    assert {label: after[label] for label in before if before[label]} == {
        p: b for p, b in before.items() if b
    }


def test_too_small_faces_make_no_person_and_a_second_run_changes_nothing(library: Library) -> None:
    add_person(library, "specks", 6)
    add_person(library, "anna", 1, seed=1)
    by_sql(
        library,
        """UPDATE face_detections f SET face_short = 20 FROM image_paths p
            WHERE p.image_id = f.image_id AND p.path ~ '^/(specks|anna-1)'""",
    )
    summary = cluster(library)
    assert (summary.new_persons, summary.new_faces, summary.alone) == (2, 8, 7)
    given = people(library)
    assert {given[f"specks-0-{number}"] for number in range(6)} == {""}
    assert given["anna-1-0"] == given["anna-0-0"]
    again = cluster(library)
    assert (again.new_persons, again.joined) == (0, 0)
    assert people(library) == given


@pytest.mark.parametrize("method", ["components", "agglomerative"])
def test_a_face_between_two_people_merges_no_one_and_is_reported(library: Library, method: str) -> None:
    cluster(library)
    before = people(library)
    add_twin(library)
    summary = cluster(library, method=method)
    assert [sorted(each.persons) for each in summary.review] == [sorted(set(before.values()) - {""})]
    assert who_is(library, "twin") == ""
    assert rows(library, "SELECT count(*) FROM face_candidates") == [(2,)]


def test_a_dry_run_reports_and_stores_nothing(library: Library) -> None:
    assert cluster(library, dry_run=True).new_persons == 2
    assert set(people(library).values()) == {""}
    assert stats(library).last_runs == {}


@pytest.mark.parametrize(
    ("method", "threshold"),
    [("agglomerative", 0.65), ("agglomerative", None), ("hdbscan", 0.65), ("dbscan", 0.65), ("auto", None)],
)
def test_other_methods_find_the_same_people(library: Library, method: str, threshold: float | None) -> None:
    options = {"method": method, "threshold": threshold, "min_cluster_size": 2, "min_samples": 1}
    summary = cluster(library, **options)
    assert (bool(summary.reasons), summary.new_persons) == (threshold is None or method == "hdbscan", 2)
    given = people(library)
    assert given["anna-0-0"] == given["anna-0-3"] != given["ben-0-0"]
    again = cluster(library, **options)
    assert (again.kept, again.joined, again.new_persons) == (summary.new_faces, 0, 0)
    add_person(library, "anna", 2, seed=1)
    assert cluster(library, **options).joined == 2


def sisters(library: Library, name: str, seed: int) -> None:
    """One photo with two faces that are as similar as one person's often are."""
    noise = np.random.default_rng(seed).standard_normal((2, 512)) * [[0.4], [0.8]]
    add_photo(library, name, list(heart_of("anna") + noise))


@pytest.mark.parametrize(
    ("method", "threshold"), [("agglomerative", 0.6), ("auto", None), ("hdbscan", 0.6), ("dbscan", 0.6)]
)
@pytest.mark.parametrize("known_before", [False, True])
def test_two_faces_in_one_photo_are_two_people_unless_that_is_allowed(
    library: Library, method: str, threshold: float | None, known_before: bool
) -> None:
    twice = """SELECT image_id FROM face_detections WHERE person_id IS NOT NULL
        GROUP BY image_id, person_id HAVING count(*) > 1"""
    if known_before:
        cluster(library)
    for number in range(3):
        sisters(library, f"sisters-{number}", number)
    first = cluster(library, method=method, threshold=threshold)
    assert first.joined + first.new_faces > 0
    assert rows(library, twice) == []
    again = cluster(library, method=method, threshold=threshold)
    assert (again.joined, again.new_persons) == (0, 0)
    by_sql(library, "DELETE FROM persons")
    cluster(library, method=method, threshold=threshold, same_image_ok=True)
    assert rows(library, twice) != []


def test_the_one_of_two_that_is_more_similar_joins(library: Library) -> None:
    cluster(library)
    sisters(library, "sisters", 0)
    cluster(library, method="agglomerative", threshold=0.6)
    joined = """SELECT ordinal FROM face_detections f JOIN image_paths p ON p.image_id = f.image_id
        WHERE p.path = '/sisters.jpg' AND person_id IS NOT NULL"""
    assert rows(library, joined) == [(0,)]


def test_a_stop_while_comparing_stores_nothing_and_is_recorded(library: Library) -> None:
    stop = Stop()
    stop.request()
    summary = cluster_library(library, ClusterLibraryOptions(), work=Work(stop=stop))
    assert summary.stopped
    assert set(people(library).values()) == {""}
    assert rows(library, "SELECT status FROM runs") == [("stopped",)]


def test_only_one_run_at_a_time_and_it_is_recorded(library: Library, library_url: str) -> None:
    with opened(Database(library_url)) as other, RunLock(other, "cluster"), pytest.raises(AlreadyRunning):
        cluster(library)
    cluster(library, method="components")
    recorded = """SELECT command, status, options->>'threshold', summary->>'new_persons', ended_at IS NOT NULL
        FROM runs"""
    assert rows(library, recorded) == [("cluster", "done", "0.65", "2", True)]


def test_faces_that_cannot_be_grouped_are_reported(library: Library, empty_database: Database) -> None:
    with pytest.raises(WrongUsage, match="components"):
        cluster(library, method="components", threshold=None)
    with pytest.raises(WrongUsage, match="`index PHOTOS`"):
        cluster(Library(empty_database))


def test_models_never_mix(library: Library) -> None:
    same_vector = library.load().faces.take(slice(0, 1))
    beside = Library(library.database)
    with beside.writing(OTHER_MODEL):
        beside.commit([], [replace(made_image("anna-0-0", 1), faces=same_vector)])
    summary = cluster(library)
    assert (summary.faces, summary.new_faces) == (8, 7)
    add_twin(library)
    assert len(cluster(library, method="components").review) == 1
    assert cluster(Library(library.database, OTHER_MODEL)).faces == 1
    # Suggestions stay when faces of another model are grouped.
    assert (stats(library).candidates, stats(library).questions) == (1, 1)
    tried = cluster(library, method="components", dry_run=True)
    assert tried.review == cluster(library, method="components").review
    assert stats(library).candidates == 1


def test_stats_count_faces_assigned_by_clustering(library: Library) -> None:
    assert stats(library).clustered == 0
    summary = cluster(library)
    assert stats(library).clustered == summary.new_faces > 0
    by_sql(
        library,
        """UPDATE face_detections SET assigned_by = 'manual'
            WHERE id = (SELECT min(id) FROM face_detections WHERE person_id IS NOT NULL)""",
    )
    assert stats(library).clustered == summary.new_faces - 1
    by_sql(library, "UPDATE face_detections SET person_id = NULL")
    assert stats(library).clustered == 0


def test_after_a_reset_by_sql_clustering_starts_again(library: Library) -> None:
    cluster(library)
    anna = who_is(library, "anna-0-0")
    vectors = library.load().faces.embedding
    by_sql(library, f"INSERT INTO person_names (person_id, name) VALUES ('{anna}', 'Anna')")
    by_sql(library, f"UPDATE face_detections SET person_id = NULL WHERE person_id = '{anna}'")
    by_sql(library, f"DELETE FROM persons WHERE id = '{anna}'")
    assert rows(library, "SELECT FROM person_names") == []
    assert cluster(library).new_faces == 4
    by_sql(library, "UPDATE face_detections SET person_id = NULL; DELETE FROM persons")
    assert set(people(library).values()) == {""}
    assert cluster(library).new_persons == 2
    np.testing.assert_array_equal(library.load().faces.embedding, vectors)


def test_people_deleted_without_the_first_reset_leave_their_faces_without_a_person(library: Library) -> None:
    cluster(library)
    by_sql(
        library,
        """INSERT INTO person_prototypes (person_id, model_id, kind, embedding)
            SELECT id, (SELECT min(id) FROM models), 'centroid', '[1,0]' FROM persons;
        INSERT INTO persons (status, merged_into_id) SELECT 'merged', id FROM persons LIMIT 1;
        DELETE FROM persons""",
    )
    assert set(people(library).values()) == {""}
    assert cluster(library).new_persons == 2


def test_people_deleted_by_hand_while_faces_join_them_get_none(library: Library, library_url: str) -> None:
    cluster(library)
    add_person(library, "anna", 2, seed=1)
    waiting = """SELECT FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock'"""
    with (
        psycopg.connect(library_url) as by_hand,
        psycopg.connect(library_url, autocommit=True) as looking,
        ThreadPoolExecutor(1) as pool,
    ):
        by_hand.execute("DELETE FROM persons")
        running = pool.submit(cluster, library)
        wait_for(lambda: looking.execute(waiting).fetchone() is not None, every_s=0.01)
        by_hand.commit()
        running.result()
    assert set(people(library).values()) == {""}
    assert cluster(library).new_persons == 2


def test_names_are_one_regardless_of_case(library: Library) -> None:
    cluster(library)
    named = "INSERT INTO person_names (person_id, name) SELECT id, '{}' FROM persons LIMIT 1"
    by_sql(library, named.format("Ünal"))
    with pytest.raises(psycopg.errors.UniqueViolation):
        by_sql(library, named.format("üNAL"))


def test_a_run_that_compares_only_nearby_faces_reports_its_recall(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    exact = cluster(library, method="components", dry_run=True)
    monkeypatch.setattr(components, "APPROXIMATE_FROM", 8)
    near = cluster(library, method="components")
    assert (near.new_persons, near.new_faces) == (exact.new_persons, exact.new_faces)
    assert not exact.reasons
    (reason,) = near.reasons
    assert reason.startswith("Approximate search")
    assert "100.00 % are in one cluster, and 100.00 % of faces miss no match (checked on 8 faces)" in reason
    ((recorded,),) = rows(library, "SELECT summary FROM runs ORDER BY id DESC LIMIT 1")
    assert (recorded["links_together"], recorded["faces_whole"]) == (1, 1)
    assert recorded["reasons"] == near.reasons
    add_person(library, "anna", 4, seed=1)
    add_person(library, "dora", 3)
    again = cluster(library, method="components")
    assert (again.joined, again.new_persons, again.alone) == (4, 1, 1)
    assert "found 4 of 4 matches between new faces and known people" in again.reasons[0]


def looks(library: Library, name: str, first: float, second: float, photos: int, seed: int) -> None:
    """Photos of one person who looks between two ways."""
    rng = np.random.default_rng(seed)
    for number in range(photos):
        vector = first * heart_of("one") + second * heart_of("two") + 0.2 * rng.standard_normal(512)
        add_face(library, f"{name}-0-{number}", vector)


@pytest.fixture
def changing_looks(empty_database: Database) -> Library:
    """A library in which one person is two people until photos of the years between are added."""
    library = Library(empty_database)
    looks(library, "early", 1, 0, 6, 0)
    looks(library, "late", 0.2, 1, 4, 1)
    assert cluster(library).new_persons == 2
    return library


def add_years_between(library: Library) -> Any:
    looks(library, "between", 1, 1, 4, 2)
    return cluster(library)


def test_unnamed_people_found_to_be_one_are_merged_and_the_larger_stays(changing_looks: Library) -> None:
    before = people(changing_looks)
    assert before["early-0-0"] != before["late-0-0"]
    summary = add_years_between(changing_looks)
    assert (summary.joined, summary.regrouped, summary.dissolved) == (4, 4, 1)
    assert set(people(changing_looks).values()) == {before["early-0-0"]}
    assert stats(changing_looks).persons == {"active": 1}
    undo(changing_looks)
    assert people(changing_looks) == before | {f"between-0-{number}": "" for number in range(4)}
    assert cluster(changing_looks).dissolved == 1


def test_named_people_keep_their_faces(changing_looks: Library) -> None:
    before = people(changing_looks)
    for label, name in (("early-0-0", "One"), ("late-0-0", "Two")):
        call(changing_looks, label, name)
    summary = add_years_between(changing_looks)
    assert (summary.regrouped, summary.dissolved) == (0, 0)
    assert people(changing_looks).items() >= before.items()


def test_another_size_or_method_compares_unassigned_faces_again(library: Library) -> None:
    assert cluster(library).alone == 1
    assert cluster(library).new_persons == 0
    assert cluster(library, min_size=1).new_persons == 1
    assert "" not in people(library).values()
    again = cluster(library, min_size=1)
    assert (again.alone, again.joined, again.new_persons, again.regrouped) == (0, 0, 0, 0)


def test_a_size_is_for_new_people_and_empties_no_library(library: Library) -> None:
    cluster(library)
    before = people(library)
    add_person(library, "dora", 5)
    huge = cluster(library, min_size=1_000_000)
    assert (huge.dissolved, huge.regrouped, huge.new_persons, huge.alone) == (0, 0, 0, 6)
    assert people(library).items() >= before.items()
    usual = cluster(library)
    assert (usual.new_persons, usual.step is None) == (1, False)
    assert cluster(library).step is None
