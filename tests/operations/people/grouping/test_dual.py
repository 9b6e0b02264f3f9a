"""`cluster --dual`: faces go to known people, the others into unnamed clusters."""

from collections.abc import Callable
from typing import Any

import pytest
from tests.fixtures.corrections import BY, by_sql, call, hide, redo, undo
from tests.fixtures.filled_library import template_by
from tests.fixtures.heads import confusing_head, use
from tests.fixtures.library_people import add_like, add_person, cluster, cluster_of, face_of, rows, who_is

from facesets.errors import WrongUsage
from facesets.operations.options.people import ClusterLibraryOptions, DualOptions
from facesets.operations.people.corrections import cluster_corrections, history
from facesets.operations.people.grouping.dual import cluster_dual
from facesets.operations.people.lists.listing import person
from facesets.result import Result
from facesets.store.postgres.connection import Database
from facesets.store.postgres.library import Library
from facesets.training.evaluation import ProjectedThresholds
from facesets.words.people import cluster_lines
from facesets.work import SilentProgress, Stop, Work


def run(library: Library, *, dry_run: bool = False, **dual: Any) -> Result:
    """Run `cluster --dual`."""
    return cluster_dual(
        library, ClusterLibraryOptions(dry_run=dry_run), DualOptions(dual=True, **dual), work=Work(by=BY)
    )


def state(library: Library) -> list[list[tuple[Any, ...]]]:
    """Return people and clusters of faces, and suggestions."""
    return [
        rows(library, query)
        for query in (
            "SELECT id, person_id, assigned_by, cluster FROM face_detections ORDER BY id",
            "SELECT to_jsonb(c)::text FROM clusters c ORDER BY id",
            """SELECT kind, person_id, cluster_id, cosine_similarity, faces, uncertainty, status
                FROM person_candidates ORDER BY person_id, cluster_id""",
        )
    ]


def fill(database: Database) -> None:
    """Anna has a name; of Ben, Cleo and Dora there are 6, 5 and 4 unassigned faces, and one stray."""
    library = Library(database)
    add_person(library, "anna", 6, spread=0.3)
    cluster(library)
    call(library, "anna-0-0", "Anna")
    add_person(library, "anna", 3, spread=0.3, seed=1)
    for name, faces in (("ben", 6), ("cleo", 5), ("dora", 4), ("stray", 1)):
        add_person(library, name, faces, spread=0.3)


template = template_by(fill)


@pytest.mark.parametrize("method", ["hdbscan", "dbscan", "agglomerative", "components"])
def test_faces_go_to_known_people_and_others_into_numbered_clusters(library: Library, method: str) -> None:
    summary = run(library, unknown_method=method)
    assert (summary.known.faces, summary.known.assigned, summary.known.people) == (19, 3, 1)
    assert summary.known.share == pytest.approx(3 / 19, abs=1e-4)
    found = summary.unknown
    assert (found.faces, found.clusters, found.new, found.noise) == (16, 3, 3, 1)
    anna = who_is(library, "anna-0-0")
    assert who_is(library, "anna-1-2") == anna
    assert cluster_of(library, "anna-1-2") == f"person_{anna}"
    others = [f"{name}-0-0" for name in ("ben", "cleo", "dora", "stray")]
    clusters = [cluster_of(library, label) for label in others]
    assert clusters == [*(f"unknown_cluster_{number}" for number in (1, 2, 3)), None]
    assert {who_is(library, label) for label in others} == {""}


def test_a_second_run_changes_nothing_and_new_faces_join_clusters_that_keep_ids(library: Library) -> None:
    run(library)
    before = state(library)
    again = run(library)
    assert state(library) == before
    assert again.step is None
    # A run of few faces takes none out of its cluster, and no question away.
    few = run(library, dual_max_faces=2)
    assert (few.unknown.faces, few.unknown.noise, state(library)) == (2, 2, before)
    add_person(library, "cleo", 4, spread=0.3, seed=1)
    add_person(library, "emil", 3, spread=0.3)
    summary = run(library)
    assert (summary.unknown.clusters, summary.unknown.new) == (4, 1)
    assert cluster_of(library, "cleo-1-0") == cluster_of(library, "cleo-0-0") == "unknown_cluster_2"
    assert cluster_of(library, "emil-0-0") == "unknown_cluster_4"


def test_only_the_best_faces_take_part_if_the_number_is_limited(library: Library) -> None:
    by_sql(
        library,
        """UPDATE face_detections SET quality = CASE WHEN image_id IN
                (SELECT image_id FROM image_paths WHERE path LIKE '/cleo-%') THEN 1 ELSE 0.5 END""",
    )
    summary = run(library, dual_max_faces=5, unknown_method="components")
    assert (summary.known.faces, summary.known.assigned) == (5, 0)
    assert (summary.unknown.faces, summary.unknown.clusters) == (5, 1)
    assert cluster_of(library, "cleo-0-0") == "unknown_cluster_1"
    assert cluster_of(library, "ben-0-0") is None


@pytest.mark.parametrize("placing", [run, lambda library: cluster(library, method="hdbscan")])
def test_undoing_a_run_restores_the_notes_about_unassigned_faces(
    library: Library, placing: Callable[[Library], Result]
) -> None:
    noted = "SELECT face_id, since FROM unassigned_faces ORDER BY face_id"
    cluster(library, min_size=9)
    before = rows(library, noted)
    assert len(before) == 16
    placing(library)
    assert len(rows(library, noted)) == 1
    for again in (undo, redo, undo):
        again(library)
    assert rows(library, noted) == before


def test_questions_about_clusters_of_another_run_stay(library: Library) -> None:
    by_sql(
        library,
        f"""INSERT INTO clusters (id, model_id) SELECT 'clu_1', min(id) FROM models;
            UPDATE face_detections SET cluster = 'clu_1' WHERE id = {face_of(library, "stray-0-0")};
            INSERT INTO person_candidates
                (kind, person_id, cluster_id, cosine_similarity, faces, uncertainty, evidence)
            VALUES ('cluster', '{who_is(library, "anna-0-0")}', 'clu_1', 0.4, 1, 0.5, '{{}}')""",
    )
    # The first faces are as good, and come first.
    run(library, dual_max_faces=3)
    assert cluster_of(library, "stray-0-0") == "clu_1"
    asked = rows(library, "SELECT cluster_id FROM person_candidates WHERE cluster_id = 'clu_1'")
    assert asked == [("clu_1",)]


def test_a_number_is_never_used_twice(library: Library) -> None:
    run(library)
    call(library, "unknown_cluster_1", "Ben")
    add_person(library, "emil", 8, spread=0.3)
    run(library)
    assert cluster_of(library, "emil-0-0") == "unknown_cluster_4"
    assert who_is(library, "ben-0-0") == who_is(library, "ben-0-5") != ""
    # Plain `cluster` makes people of them.
    cluster(library)
    assert who_is(library, "cleo-0-0") == who_is(library, "cleo-0-4") != ""
    assert cluster_of(library, "cleo-0-0") == "unknown_cluster_2"


def test_each_cluster_is_asked_about_with_the_person_it_is_nearest_to(library: Library) -> None:
    summary = run(library)
    anna = who_is(library, "anna-0-0")
    asked = rows(
        library,
        """SELECT cluster_id, person_id::text, faces, cosine_similarity, uncertainty, status
            FROM person_candidates WHERE kind = 'cluster' ORDER BY cluster_id""",
    )
    assert [row[:3] for row in asked] == [
        ("unknown_cluster_1", anna, 6),
        ("unknown_cluster_2", anna, 5),
        ("unknown_cluster_3", anna, 4),
    ]
    assert all(-0.3 < row[3] < 0.3 and 0 <= row[4] <= 1 and row[5] == "pending" for row in asked)
    assert summary.unknown.questions == 3
    by_sql(library, "UPDATE person_candidates SET status = 'rejected' WHERE cluster_id = 'unknown_cluster_2'")
    assert run(library).unknown.questions == 2
    hide(library, anna)
    assert run(library).unknown.questions == 0


def test_with_a_head_in_use_cluster_suggestions_follow_its_projections(library: Library) -> None:
    use(
        library,
        confusing_head(["anna", "ben"]),
        ProjectedThresholds(0.95, 0.8, 0.99, 0.02, max_cosine_distance=0.4, middle=0.0, spread=0.1),
    )
    summary = run(library, unknown_method="agglomerative")
    assert (summary.step is None, summary.known.threshold) == (False, 0.99)
    ben = cluster_of(library, "ben-0-0")
    found = rows(
        library,
        f"""SELECT cosine_similarity > 0.6, uncertainty > 0.4 FROM person_candidates
            WHERE kind = 'cluster' AND cluster_id = '{ben}'""",
    )
    assert found == [(True, True)]
    near = person(library.database, str(ben), faces=1).cluster
    assert near is not None
    assert near.nearest[0].cosine_similarity > 0.6


def test_a_cluster_can_be_named_merged_into_a_person_or_denied_for_one(library: Library) -> None:
    run(library)
    anna = who_is(library, "anna-0-0")
    named = call(library, "unknown_cluster_3", "Dora")
    assert (named.name, named.faces) == ("Dora", 4)
    verified = rows(library, "SELECT verified_by FROM clusters WHERE id = 'unknown_cluster_3'")
    assert verified == [(BY,)]
    cluster_corrections.different(library.database, "unknown_cluster_2", "Anna", faces=False, by=BY)

    def give(group: str) -> Result:
        return cluster_corrections.merge(library.database, [group], "Anna", drop_names=False, by=BY)

    assert give("unknown_cluster_1").faces == 15
    assert who_is(library, "ben-0-3") == anna
    assert rows(library, "SELECT count(*) FROM face_corrections WHERE NOT is_person") == [(5,)]
    with pytest.raises(WrongUsage, match="unknown_cluster_2 is not Anna"):
        give("unknown_cluster_2")
    run(library, person_threshold=0.0)
    assert who_is(library, "cleo-0-0") != anna


def test_both_phases_are_one_step_with_a_dry_run_and_one_undo(library: Library) -> None:
    before = state(library)
    tried = run(library, dry_run=True)
    assert (tried.step, state(library)) == (None, before)
    done = run(library)
    assert Result(tried.known, seconds=0) == Result(done.known, seconds=0)
    assert done.unknown.largest == "unknown_cluster_1"
    assert Result(tried.unknown, seconds=0) == Result(done.unknown, seconds=0, largest="")
    (step,) = history.log(library.database, None, limit=1)
    assert (step.id, step.what) == (done.step, "3 faces assigned, the others in 3 clusters")
    after = state(library)[:2]
    assert undo(library).id == done.step
    assert state(library)[:2] == before[:2]
    redo(library)
    assert state(library)[:2] == after
    again = run(library, dry_run=True)
    assert (again.unknown.clusters, again.unknown.new) == (3, 0)


def test_a_stop_while_the_others_are_grouped_stores_nothing(library: Library) -> None:
    before, stop = state(library), Stop()

    class Stopping(SilentProgress):
        def begin(self, what: str, *_total: object, **_unit: object) -> None:
            if what == "Reading faces":
                stop.request()

    work = Work(progress=Stopping(), stop=stop, by=BY)
    summary = cluster_dual(library, ClusterLibraryOptions(), DualOptions(dual=True), work=work)
    assert (summary.stopped, summary.step, summary.unknown) == (True, None, None)
    assert summary.known.assigned == 3
    assert state(library) == before


def test_a_cluster_is_shown_with_people_more_similar_than_strangers(library: Library) -> None:
    add_like(library, "annika", "anna", 0.5, 7)
    run(library)
    alike = person(library.database, str(cluster_of(library, "annika-0-0")), faces=0).cluster
    assert alike is not None
    assert [each.name for each in alike.nearest] == ["Anna"]
    assert "Anna" in cluster_lines(alike)[-1]
    ben = str(cluster_of(library, "ben-0-0"))
    shown = person(library.database, ben, faces=20)
    assert (shown.person.id, shown.person.faces, shown.person.photos, len(shown.shown)) == (ben, 6, 6, 6)
    assert shown.cluster is not None
    assert shown.cluster.medoid in {face.id for face in shown.shown}
    assert shown.cluster.nearest == []
    assert cluster_lines(shown.cluster)[0] == "verified   -"
