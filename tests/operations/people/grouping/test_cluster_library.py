"""Clustering the library: who is given away, who is kept, and what SQL by hand does to it."""

import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import psycopg
import pytest
from tests.fixtures.filled_library import template_by
from tests.fixtures.library_people import add_face, add_person, add_photo, cluster, heart_of
from tests.fixtures.made_faces import SETTINGS, made_image
from tests.fixtures.postgres import Server
from tests.fixtures.waiting import wait_for

from facesets.clustering import components
from facesets.errors import AlreadyRunning, WrongUsage
from facesets.operations.library.stats import stats
from facesets.operations.options.people import ClusterLibraryOptions
from facesets.operations.people.corrections import history, naming
from facesets.operations.people.grouping.cluster_library import cluster_library
from facesets.store.postgres.claims import RunLock
from facesets.store.postgres.connection import Database, opened
from facesets.store.postgres.library import Library
from facesets.work import Stop, Work

pytestmark = pytest.mark.slow


def people(database: Database) -> dict[str, str | None]:
    """The person at every path."""
    rows = database.run(
        lambda connection: connection.execute(
            """SELECT p.path, f.person_id::text FROM image_paths p
                JOIN face_detections f ON f.image_id = p.image_id ORDER BY 1"""
        ).fetchall()
    )
    return dict(rows)


def fill(database: Database) -> None:
    filled = Library(database)
    add_person(filled, "anna", 4)
    add_person(filled, "ben", 3)
    add_person(filled, "cleo", 1)


template = template_by(fill)


def test_similar_faces_become_people_and_a_lone_face_stays_alone(library: Library) -> None:
    summary = cluster(library)
    assert (summary.new_persons, summary.new_faces, summary.alone) == (2, 7, 1)
    given = people(library.database)
    assert given["/cleo-0-0.jpg"] is None
    assert len({person for path, person in given.items() if path.startswith("/anna")}) == 1


def test_again_changes_nothing_and_new_faces_join_the_person_they_are_similar_to(library: Library) -> None:
    cluster(library)
    before = people(library.database)
    again = cluster(library)
    assert (again.kept, again.joined, again.new_persons) == (7, 0, 0)
    assert people(library.database) == before
    add_person(library, "anna", 2, seed=1)
    add_person(library, "cleo", 1, seed=1)
    third = cluster(library)
    assert (third.joined, third.new_persons, third.new_faces) == (2, 1, 2)
    after = people(library.database)
    assert after["/anna-1-0.jpg"] == before["/anna-0-0.jpg"]
    assert {path: after[path] for path in before if before[path]} == {p: b for p, b in before.items() if b}


def test_nobody_is_made_of_faces_that_are_too_small_and_a_second_run_changes_nothing(
    library: Library,
) -> None:
    add_person(library, "specks", 6)
    small = "UPDATE face_detections SET face_short = 20 WHERE image_id IN (SELECT image_id FROM image_paths"
    library.database.run(lambda connection: connection.execute(f"{small} WHERE path LIKE '/specks%')"))
    add_person(library, "anna", 1, seed=1)
    library.database.run(lambda connection: connection.execute(f"{small} WHERE path = '/anna-1-0.jpg')"))
    summary = cluster(library)
    assert (summary.new_persons, summary.new_faces, summary.alone) == (2, 8, 7)
    given = people(library.database)
    assert {given[f"/specks-0-{number}.jpg"] for number in range(6)} == {None}
    assert given["/anna-1-0.jpg"] == given["/anna-0-0.jpg"]
    again = cluster(library)
    assert (again.new_persons, again.joined) == (0, 0)
    assert people(library.database) == given


@pytest.mark.parametrize("method", ["components", "agglomerative"])
def test_a_face_between_two_people_merges_nobody_and_is_reported(library: Library, method: str) -> None:
    cluster(library)
    before = people(library.database)
    anna, ben = (np.random.default_rng(sum(name)).standard_normal(512) for name in (b"anna", b"ben"))
    add_face(library, "twin", anna + ben)
    summary = cluster(library, method=method)
    assert len(summary.review) == 1
    assert sorted(summary.review[0].persons) == sorted({p for p in before.values() if p})
    assert people(library.database)["/twin.jpg"] is None
    candidates = library.database.run(
        lambda connection: connection.execute("SELECT count(*) FROM face_candidates").fetchone()
    )
    assert candidates == (2,)


def test_min_size_1_gives_every_face_a_person(library: Library) -> None:
    assert cluster(library, min_size=1).alone == 0
    assert None not in people(library.database).values()


def test_a_dry_run_tells_and_stores_nothing(library: Library) -> None:
    assert cluster(library, dry_run=True).new_persons == 2
    assert set(people(library.database).values()) == {None}
    assert stats(library).last_runs == {}


@pytest.mark.parametrize(
    ("method", "threshold"),
    [("agglomerative", 0.65), ("agglomerative", None), ("hdbscan", 0.65), ("dbscan", 0.65), ("auto", None)],
)
def test_other_methods_find_the_same_people(library: Library, method: str, threshold: float | None) -> None:
    options = {"method": method, "threshold": threshold, "min_cluster_size": 2, "min_samples": 1}
    summary = cluster(library, **options)
    assert bool(summary.reasons) == (threshold is None or method == "hdbscan")
    assert summary.new_persons == 2
    given = people(library.database)
    assert given["/anna-0-0.jpg"] == given["/anna-0-3.jpg"] != given["/ben-0-0.jpg"]
    again = cluster(library, **options)
    assert (again.kept, again.joined, again.new_persons) == (summary.new_faces, 0, 0)
    add_person(library, "anna", 2, seed=1)
    assert cluster(library, **options).joined == 2


def test_a_threshold_is_measured_only_where_the_method_can(library: Library) -> None:
    with pytest.raises(WrongUsage, match="components"):
        cluster(library, method="components", threshold=None)


def sisters(library: Library, name: str, seed: int) -> None:
    """One photo with two faces that are as similar as one person's often are."""
    heart = np.random.default_rng(sum(b"anna")).standard_normal(512)
    noise = np.random.default_rng(seed).standard_normal((2, 512)) * [[0.4], [0.8]]
    add_photo(library, name, list(heart + noise))


def pairs_together(database: Database) -> int:
    """Photos of which one person has two faces."""
    row = database.run(
        lambda connection: connection.execute(
            """SELECT count(*) FROM (SELECT FROM face_detections WHERE person_id IS NOT NULL
                GROUP BY image_id, person_id HAVING count(*) > 1) AS twice"""
        ).fetchone()
    )
    assert row is not None
    return int(row[0])


@pytest.mark.parametrize(
    ("method", "threshold"), [("agglomerative", 0.6), ("auto", None), ("hdbscan", 0.6), ("dbscan", 0.6)]
)
@pytest.mark.parametrize("known_before", [False, True])
def test_two_faces_in_one_photo_are_two_people_unless_that_is_allowed(
    library: Library, method: str, threshold: float | None, known_before: bool
) -> None:
    if known_before:
        cluster(library)
    for number in range(3):
        sisters(library, f"sisters-{number}", number)
    first = cluster(library, method=method, threshold=threshold)
    assert first.joined + first.new_faces > 0
    assert pairs_together(library.database) == 0
    again = cluster(library, method=method, threshold=threshold)
    assert (again.joined, again.new_persons) == (0, 0)
    library.database.run(lambda c: c.execute("DELETE FROM persons"))
    cluster(library, method=method, threshold=threshold, same_image_ok=True)
    assert pairs_together(library.database) > 0


def test_the_one_of_two_that_is_more_similar_joins(library: Library) -> None:
    cluster(library)
    sisters(library, "sisters", 0)
    cluster(library, method="agglomerative", threshold=0.6)
    rows = library.database.run(
        lambda connection: connection.execute(
            """SELECT ordinal FROM face_detections f JOIN image_paths p ON p.image_id = f.image_id
                WHERE p.path = '/sisters.jpg' AND person_id IS NOT NULL"""
        ).fetchall()
    )
    assert rows == [(0,)]


def test_a_stop_while_comparing_stores_nothing_and_is_recorded(library: Library) -> None:
    stop = Stop()
    stop.request()
    summary = cluster_library(library, ClusterLibraryOptions(), work=Work(stop=stop))
    assert summary.stopped
    assert set(people(library.database).values()) == {None}
    row = library.database.run(lambda c: c.execute("SELECT status FROM runs").fetchone())
    assert row == ("stopped",)


def test_only_one_run_at_a_time(library: Library, library_url: str) -> None:
    with opened(Database(library_url)) as other, RunLock(other, "cluster"), pytest.raises(AlreadyRunning):
        cluster(library)
    assert cluster(library).new_persons == 2


def test_runs_are_recorded(library: Library) -> None:
    cluster(library, method="components")
    row = library.database.run(
        lambda connection: connection.execute(
            """SELECT command, status, options->>'threshold', summary->>'new_persons', ended_at IS NOT NULL
                FROM runs"""
        ).fetchone()
    )
    assert row == ("cluster", "done", "0.65", "2", True)


def test_an_empty_library_is_a_sentence(empty_database: Database) -> None:
    with pytest.raises(WrongUsage, match="`index PHOTOS`"):
        cluster(Library(empty_database))


def test_models_never_mix(library: Library) -> None:
    other = replace(SETTINGS, recogniser_sha256="dd" * 32, recogniser="other.onnx")
    image = made_image("anna-0-0", 1)
    same_vector = library.load().faces.take(slice(0, 1))
    beside = Library(library.database)
    with beside.writing(other):
        beside.commit([], [replace(image, faces=same_vector)])
    summary = cluster(library)
    assert (summary.faces, summary.new_faces) == (8, 7)
    assert cluster(Library(library.database, other)).faces == 1


def test_undecided_faces_of_another_model_stay_undecided(library: Library) -> None:
    cluster(library)
    anna, ben = (np.random.default_rng(sum(name)).standard_normal(512) for name in (b"anna", b"ben"))
    add_face(library, "twin", anna + ben)
    assert len(cluster(library, method="components").review) == 1
    other = replace(SETTINGS, recogniser_sha256="dd" * 32, recogniser="other.onnx")
    beside = Library(library.database)
    with beside.writing(other):
        beside.commit([], [made_image("anna-0-0", 1)])
    cluster(Library(library.database, other))
    assert (stats(library).candidates, stats(library).questions) == (1, 1)
    assert (
        cluster(library, method="components", dry_run=True).review
        == cluster(library, method="components").review
    )
    assert stats(library).candidates == 1


def test_stats_tell_whom_clustering_gave_a_person(library: Library, library_url: str) -> None:
    assert stats(library).clustered == 0
    summary = cluster(library)
    assert stats(library).clustered == summary.new_faces > 0
    with psycopg.connect(library_url) as connection:
        connection.execute(
            """UPDATE face_detections SET assigned_by = 'manual'
                WHERE id = (SELECT min(id) FROM face_detections WHERE person_id IS NOT NULL)"""
        )
    assert stats(library).clustered == summary.new_faces - 1
    with psycopg.connect(library_url) as connection:
        connection.execute("UPDATE face_detections SET person_id = NULL")
    assert stats(library).clustered == 0


@pytest.fixture
def psql(server: Server, library_url: str) -> "object":
    """The real psql on the library."""

    def run(statement: str) -> None:
        line = [server.psql(), "-X", "-v", "ON_ERROR_STOP=1", "-d", library_url, "-c", statement]
        subprocess.run(line, check=True, capture_output=True)

    return run


def test_the_documented_resets_work_verbatim_and_clustering_starts_anew(
    library: Library, library_url: str, psql: "object"
) -> None:
    assert callable(psql)
    cluster(library)
    before = people(library.database)
    anna = before["/anna-0-0.jpg"]
    vectors = library.load().faces.embedding
    with psycopg.connect(library_url) as connection:
        connection.execute("INSERT INTO person_names (person_id, name) VALUES (%s, 'Anna')", (anna,))
    psql(f"UPDATE face_detections SET person_id = NULL WHERE person_id = '{anna}';")
    psql(f"DELETE FROM persons WHERE id = '{anna}';")
    with psycopg.connect(library_url) as connection:
        assert connection.execute("SELECT count(*) FROM person_names").fetchone() == (0,)
    assert cluster(library).new_faces == 4
    psql("UPDATE face_detections SET person_id = NULL;")
    psql("DELETE FROM persons;                                                  -- also clears person_names")
    assert set(people(library.database).values()) == {None}
    assert cluster(library).new_persons == 2
    np.testing.assert_array_equal(library.load().faces.embedding, vectors)


def test_people_deleted_without_the_first_reset_leave_their_faces_without_a_person(
    library: Library, library_url: str, psql: "object"
) -> None:
    assert callable(psql)
    cluster(library)
    with psycopg.connect(library_url) as connection:
        connection.execute(
            """INSERT INTO person_prototypes (person_id, model_id, kind, embedding)
                SELECT id, (SELECT min(id) FROM models), 'centroid', '[1,0]' FROM persons"""
        )
        connection.execute(
            """INSERT INTO persons (status, merged_into_id) SELECT 'merged', id FROM persons LIMIT 1"""
        )
    psql("DELETE FROM persons;")
    assert set(people(library.database).values()) == {None}
    assert cluster(library).new_persons == 2


def test_people_deleted_by_hand_just_while_faces_join_them_get_none(
    library: Library, library_url: str
) -> None:
    cluster(library)
    add_person(library, "anna", 2, seed=1)
    with psycopg.connect(library_url) as by_hand, ThreadPoolExecutor(1) as pool:
        by_hand.execute("DELETE FROM persons")
        running = pool.submit(cluster, library)
        wait_for_somebody_waiting(library_url)
        by_hand.commit()
        running.result()
    assert set(people(library.database).values()) == {None}
    assert cluster(library).new_persons == 2


def wait_for_somebody_waiting(url: str) -> None:
    """Return once a session of this database waits for another's transaction."""
    waiting = """SELECT FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock'"""
    with psycopg.connect(url, autocommit=True) as looking:
        wait_for(lambda: looking.execute(waiting).fetchone() is not None, every_s=0.01)


def test_names_are_one_regardless_of_case(library: Library, library_url: str) -> None:
    cluster(library)
    with psycopg.connect(library_url) as connection:
        connection.execute(
            "INSERT INTO person_names (person_id, name) SELECT id, 'Ünal' FROM persons LIMIT 1"
        )
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute(
                "INSERT INTO person_names (person_id, name) SELECT id, 'üNAL' FROM persons LIMIT 1"
            )


def test_where_nearby_faces_only_are_compared_the_run_says_what_that_missed(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    exact = cluster(library, method="components", dry_run=True)
    monkeypatch.setattr(components, "APPROXIMATE_FROM", 8)
    near = cluster(library, method="components")
    assert (near.new_persons, near.new_faces) == (exact.new_persons, exact.new_faces)
    assert not exact.reasons
    (reason,) = near.reasons
    assert "nearby ones only" in reason
    assert "100.00 % are together, and 100.00 % of faces lack nobody (checked on 8 faces)" in reason
    ((recorded,),) = library.database.run(
        lambda connection: connection.execute("SELECT summary FROM runs ORDER BY id DESC LIMIT 1").fetchall()
    )
    assert (recorded["links_together"], recorded["faces_whole"]) == (1, 1)
    assert recorded["reasons"] == near.reasons
    add_person(library, "anna", 4, seed=1)
    add_person(library, "dora", 3)
    again = cluster(library, method="components")
    assert (again.joined, again.new_persons, again.alone) == (4, 1, 1)
    assert ": 4 of 4 likenesses to known people were found" in again.reasons[0]


def looks(library: Library, name: str, first: float, second: float, photos: int, seed: int) -> None:
    """Photos of one person who looks between two ways."""
    one, two = heart_of("one"), heart_of("two")
    rng = np.random.default_rng(seed)
    for number in range(photos):
        vector = first * one + second * two + 0.2 * rng.standard_normal(512)
        add_face(library, f"{name}-{number}", vector)


def test_unnamed_people_who_prove_to_be_one_are_joined_as_one_step_and_the_larger_stays(
    empty_database: Database,
) -> None:
    library = Library(empty_database)
    looks(library, "early", 1, 0, 6, 0)
    looks(library, "late", 0.2, 1, 4, 1)
    assert cluster(library).new_persons == 2
    before = people(empty_database)
    assert before["/early-0.jpg"] != before["/late-0.jpg"]
    looks(library, "between", 1, 1, 4, 2)
    summary = cluster(library)
    assert (summary.joined, summary.regrouped, summary.dissolved) == (4, 4, 1)
    assert set(people(empty_database).values()) == {before["/early-0.jpg"]}
    assert stats(library).persons == {"active": 1}
    history.undo(empty_database, by="anna@home")
    assert people(empty_database) == before | {f"/between-{number}.jpg": None for number in range(4)}
    assert cluster(library).dissolved == 1


def test_people_who_have_a_name_stay_who_they_are(empty_database: Database) -> None:
    library = Library(empty_database)
    looks(library, "early", 1, 0, 6, 0)
    looks(library, "late", 0.2, 1, 4, 1)
    cluster(library)
    before = people(empty_database)
    for number, label in enumerate(("early-0", "late-0")):
        naming.name(
            empty_database,
            str(before[f"/{label}.jpg"]),
            f"No {number}",
            into=False,
            face=False,
            by="anna@home",
        )
    looks(library, "between", 1, 1, 4, 2)
    summary = cluster(library)
    assert (summary.regrouped, summary.dissolved) == (0, 0)
    after = people(empty_database)
    assert {path: after[path] for path in before} == before


def test_another_size_or_method_looks_at_faces_again_that_were_left_alone(library: Library) -> None:
    assert cluster(library).alone == 1
    assert cluster(library).new_persons == 0
    assert cluster(library, min_size=1).new_persons == 1
    again = cluster(library, min_size=1)
    assert (again.alone, again.joined, again.new_persons, again.regrouped) == (0, 0, 0, 0)


def test_a_size_is_for_new_people_and_empties_no_library(library: Library) -> None:
    cluster(library)
    before = people(library.database)
    add_person(library, "dora", 5)
    huge = cluster(library, min_size=1_000_000)
    assert (huge.dissolved, huge.regrouped, huge.new_persons, huge.alone) == (0, 0, 0, 6)
    after = people(library.database)
    assert {path: after[path] for path in before} == before
    usual = cluster(library)
    assert (usual.new_persons, usual.step is None) == (1, False)
    assert cluster(library).step is None
