"""`assign`: faces go to similar people, or stay unassigned; and the prototypes of people."""

from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pytest
from tests.fixtures.corrections import BY, by_sql, call, hide, merge, move, pair, redo, undo
from tests.fixtures.filled_library import grouped, template_by
from tests.fixtures.heads import confusing_head, use
from tests.fixtures.library_people import (
    add_face,
    add_person,
    add_photo,
    cluster,
    face_of,
    forget_prototypes,
    heart_of,
    rows,
    who_is,
)
from tests.fixtures.made_faces import SETTINGS, made_file, made_image

from facesets.clustering.vectors import Float64
from facesets.errors import AlreadyRunning, WrongUsage
from facesets.operations.options.people import AssignOptions
from facesets.operations.people.assigning.assigning import assign
from facesets.operations.people.assigning.prototypes import centroids, prototypes
from facesets.operations.people.corrections import history
from facesets.operations.people.training.heads import deactivate
from facesets.result import Result
from facesets.store.postgres.claims import RunLock
from facesets.store.postgres.connection import Database, opened
from facesets.store.postgres.library import Library
from facesets.training.evaluation import ProjectedThresholds
from facesets.work import Stop, Work

template = template_by(grouped(anna=6, ben=4))


def unit(vector: Float64) -> Float64:
    result: Float64 = vector / np.linalg.norm(vector)
    return result


def like(*parts: tuple[str, float], seed: int = 0) -> Float64:
    """A unit vector with these similarities to the hearts of people, about."""
    noise = unit(np.random.default_rng(1000 + seed).standard_normal(512))
    rest = max(0.0, 1 - sum(weight**2 for _, weight in parts))
    return sum((unit(heart_of(name)) * weight for name, weight in parts), noise * np.sqrt(rest))


def run(library: Library, **options: Any) -> Result:
    return assign(library, AssignOptions(**options), work=Work(by=BY))


def people_on(library: Library, name: str) -> list[str]:
    """Return the people on a photo in the order of its faces; empty for unassigned ones."""
    found = rows(
        library,
        f"""SELECT coalesce(f.person_id::text, '') FROM face_detections f
            JOIN image_paths p USING (image_id) WHERE p.path = '/{name}.jpg' ORDER BY f.ordinal""",
    )
    return [person for (person,) in found]


def asked(library: Library) -> list[tuple[Any, ...]]:
    return rows(
        library,
        "SELECT face_id, person_id::text, kind, status FROM face_candidates ORDER BY face_id, person_id",
    )


def test_a_face_joins_a_similar_person_and_a_doubtful_one_becomes_a_suggestion(library: Library) -> None:
    anna, ben = who_is(library, "anna-0-0"), who_is(library, "ben-0-0")
    add_face(library, "sure", like(("anna", 0.8)))
    add_face(library, "doubtful", like(("ben", 0.58), seed=1))
    add_face(library, "stranger", like(("ben", 0.3), seed=2))
    add_face(library, "between", like(("anna", 0.68), ("ben", 0.68)))
    summary = run(library, threshold=0.6)
    assert (summary.faces, summary.people, summary.assigned, summary.review) == (4, 2, 1, 2)
    assert who_is(library, "sure") == anna
    assert [who_is(library, label) for label in ("doubtful", "stranger", "between")] == ["", "", ""]
    questions = (("doubtful", ben), ("between", anna), ("between", ben))
    assert sorted(asked(library)) == sorted(
        (face_of(library, label), who, "near", "pending") for label, who in questions
    )
    by = f"SELECT assigned_by FROM face_detections WHERE id = {face_of(library, 'sure')}"
    assert rows(library, by) == [("auto",)]


def test_questions_that_cluster_measured_stay_until_the_face_has_a_person(library: Library) -> None:
    ben = who_is(library, "ben-0-0")
    add_face(library, "far off", like(("ben", 0.3)))
    add_face(library, "sure", like(("anna", 0.8), seed=1))
    far_off = face_of(library, "far off")
    measured = f"""INSERT INTO face_candidates (face_id, person_id, cosine_similarity, uncertainty)
        VALUES ({far_off}, '{ben}', 0.3, 0.25), ({face_of(library, "sure")}, '{ben}', 0.3, 0.25)"""
    by_sql(library, measured)
    assert run(library).assigned == 1
    assert asked(library) == [(far_off, ben, "near", "pending")]
    assert run(library, review_threshold=0.2).review == 1
    assert rows(library, "SELECT uncertainty FROM face_candidates") == [(0.25,)]


def test_the_given_thresholds_decide(library: Library) -> None:
    add_face(library, "a", like(("anna", 0.58)))
    assert run(library, threshold=0.7, review_threshold=0.65).review == 0
    assert run(library, threshold=0.5, dry_run=True).assigned == 1
    add_face(library, "b", like(("anna", 0.69), ("ben", 0.6)))
    assert run(library, threshold=0.5, margin=0.2, max_faces=2).assigned == 1
    assert run(library, threshold=0.5, margin=0.02).assigned == 1


def test_auto_measures_the_threshold_if_a_face_can_be_assigned_and_reports_it(library: Library) -> None:
    summary = run(library)
    assert (summary.faces, summary.threshold, summary.reason) == (0, 0.6, "")
    add_face(library, "a", like(("anna", 0.8)))
    summary = run(library)
    assert summary.assigned == 1
    assert 0.35 < summary.threshold < 0.5
    assert summary.review_threshold == pytest.approx(summary.threshold - 0.1)
    assert summary.reason


def test_the_threshold_where_too_little_can_be_measured_is_by_the_recognizer(database: Database) -> None:
    library = Library(database)
    image = made_image("a", 1)
    with library.writing(replace(SETTINGS, recognizer="dlib_resnet.onnx")):
        library.commit([made_file("/a.jpg", image)], [image])
    summary = run(library, dry_run=True)
    assert (summary.threshold, summary.review_threshold) == (0.5557, 0.4557)
    assert summary.reason == "measured for the open pack on news photos"
    summary = run(library, dry_run=True, threshold=0.4)
    assert (summary.threshold, summary.review_threshold) == (0.4, 0.3)


def test_it_is_one_step_with_a_dry_run_and_an_exact_undo(library: Library) -> None:
    faces = "SELECT id, person_id, assigned_by, assigned_at FROM face_detections ORDER BY id"
    for number in range(5):
        add_face(library, f"new-{number}", like(("anna", 0.8), seed=number))
    before = rows(library, faces)
    tried = run(library, dry_run=True)
    assert (tried.assigned, tried.step) == (5, None)
    assert rows(library, faces) == before
    assert rows(library, "SELECT count(*) FROM runs WHERE command = 'assign'") == [(0,)]
    summary = run(library)
    assert (summary.assigned, summary.assigned_people) == (5, 1)
    log = history.log(library.database)
    assert (log[0].id, log[0].kind, log[0].faces) == (summary.step, "assign", 5)
    assert rows(library, "SELECT status FROM runs WHERE command = 'assign'") == [("done",)]
    undo(library)
    assert rows(library, faces) == before
    assert run(library).assigned == 5
    assert run(library).assigned == 0


def test_with_a_head_in_use_faces_are_compared_by_its_projections(library: Library) -> None:
    add_face(library, "a", like(("anna", 0.8)))
    use(library, confusing_head(["anna", "ben"]), ProjectedThresholds(0.93, 0.8, 0.99, 0.5, 0.4, 0.0, 0.1))
    by_head = run(library, dry_run=True)
    # To this head she looks like Ben, too.
    assert (by_head.head, by_head.threshold, by_head.assigned) == ("lda-1", 0.93, 0)
    deactivate(library.database)
    plain = run(library)
    assert (plain.head, plain.assigned) == ("", 1)


def test_of_two_faces_on_one_photo_the_more_similar_one_goes_to_a_person(library: Library) -> None:
    anna = who_is(library, "anna-0-0")
    add_photo(library, "twice", [like(("anna", 0.75)), like(("anna", 0.9), seed=1)])
    run(library)
    assert people_on(library, "twice") == ["", anna]
    assert asked(library) == []
    assert run(library).assigned == 0
    assert run(library, same_image_ok=True).assigned == 1
    assert people_on(library, "twice") == [anna, anna]


def test_a_face_denied_for_a_person_is_never_assigned_to_them(library: Library) -> None:
    anna = who_is(library, "anna-0-0")
    add_face(library, "a", like(("anna", 0.9)))
    run(library)
    assert who_is(library, "a") == anna
    move(library, "a", to="nobody")
    assert run(library).assigned == 0
    assert run(library, threshold=0.95).review == 0


def test_a_rejected_question_never_comes_back(library: Library) -> None:
    add_face(library, "a", like(("anna", 0.58)))
    assert run(library, threshold=0.6).review == 1
    by_sql(library, "UPDATE face_candidates SET status = 'rejected'")
    assert run(library, threshold=0.6).review == 0
    assert run(library, threshold=0.5).assigned == 0
    cluster(library)
    assert run(library, threshold=0.5).assigned == 0


def test_corrections_of_pairs_of_faces_are_followed(library: Library) -> None:
    anna, ben = who_is(library, "anna-0-0"), who_is(library, "ben-0-0")
    for number, label in enumerate(("a", "b", "c")):
        add_face(library, label, like(("anna", 0.9), seed=number))
    add_face(library, "unlike", like(("cleo", 0.9)))
    pair(library, "a", "anna-0-0", same=False)
    pair(library, "b", "c", same=False)
    pair(library, "unlike", "b", same=True)
    run(library)
    assert who_is(library, "a") == ""
    assert sorted([who_is(library, "b"), who_is(library, "c")]) == ["", anna]
    assert who_is(library, "unlike") == who_is(library, "b")
    assert ben not in {who_is(library, label) for label in ("a", "b", "c", "unlike")}


def test_faces_like_a_hidden_person_go_there_and_ask_nothing(library: Library) -> None:
    anna = who_is(library, "anna-0-0")
    hide(library, anna)
    add_face(library, "poster", like(("anna", 0.8)))
    add_face(library, "maybe", like(("anna", 0.55), seed=1))
    assert run(library).review == 0
    assert who_is(library, "poster") == anna


def test_confirmed_faces_return_to_their_person_after_a_reset(library: Library) -> None:
    anna = who_is(library, "anna-0-0")
    call(library, anna, "Anna")
    by_sql(library, "UPDATE face_detections SET person_id = NULL")
    summary = run(library)
    assert (summary.restored, summary.assigned) == (3, 3)
    assert [who_is(library, f"anna-0-{number}") for number in range(6)] == [anna] * 6


def test_only_requested_faces_are_compared(library: Library) -> None:
    add_photo(library, "old", [like(("anna", 0.8))], taken="2001-05-01T10:00:00")
    add_photo(library, "late", [like(("anna", 0.8), seed=1)], taken="2020-05-01T10:00:00")
    later = date(2100, 1, 1)
    assert run(library, since=later).faces == 0
    assert run(library, taken_since=date(2010, 1, 1), dry_run=True).faces == 1
    assert run(library, max_faces=1).faces == 1
    assert run(library).faces == 1


def test_a_stopped_run_changes_nothing_and_reports_that(library: Library) -> None:
    add_face(library, "a", like(("anna", 0.8)))
    stop = Stop()
    stop.request()
    summary = assign(library, AssignOptions(), work=Work(stop=stop, by=BY))
    assert (summary.stopped, summary.assigned, who_is(library, "a")) == (True, 0, "")
    assert rows(library, "SELECT status FROM runs WHERE command = 'assign'") == [("stopped",)]
    assert run(library).assigned == 1


def test_two_runs_at_once_are_refused(library: Library, library_url: str) -> None:
    refused = pytest.raises(AlreadyRunning, match="assign")
    with opened(Database(library_url)) as other, RunLock(other, "assign"), refused:
        run(library)


def test_without_faces_advice_is_given_and_without_people_nothing_happens(
    empty_database: Database,
) -> None:
    library = Library(empty_database)
    for what in (run, lambda library: centroids(library.database)):
        with pytest.raises(WrongUsage, match="no faces"):
            what(library)
    assert prototypes(library.database).prototypes == []
    add_person(library, "anna", 2)
    summary = run(library)
    assert (summary.faces, summary.people, summary.assigned, summary.review) == (2, 0, 0, 0)


def exemplars(database: Database, who: str) -> list[int]:
    return [line.face for line in prototypes(database, who).prototypes if line.face is not None]


def test_they_are_listed_with_face_quality_and_how_many_faces_made_them(library: Library) -> None:
    anna = who_is(library, "anna-0-0")
    lines = prototypes(library.database, anna).prototypes
    assert [line.kind for line in lines] == ["exemplar"] * 3 + ["centroid"]
    assert [line.faces for line in lines[:3]] == [1, 1, 1]
    assert lines[0].quality is not None
    assert lines[3].face is None
    assert {line.person for line in lines} == {anna}
    assert len(prototypes(library.database).prototypes) == 8


def test_a_pinned_face_comes_first_and_a_dropped_one_never(library: Library) -> None:
    database, anna = library.database, who_is(library, "anna-0-0")
    first = exemplars(database, anna)
    other = min({face_of(library, f"anna-0-{n}") for n in range(6)} - set(first))
    found = prototypes(database, anna, pin=[other], drop=[first[0]], by=BY)
    now = exemplars(database, anna)
    assert now[0] == other
    assert first[0] not in now
    assert [line.pinned for line in found.prototypes] == [True, False, False, False]
    assert (found.did, found.step) == (
        f"1 reference face pinned and 1 reference face dropped for {anna[:8]}",
        history.log(database)[0].id,
    )


def test_pinning_is_a_step_that_can_be_undone_and_redone(library: Library) -> None:
    database, anna = library.database, who_is(library, "anna-0-0")
    before = exemplars(database, anna)
    prototypes(database, drop=before[:1], by=BY)
    dropped = exemplars(database, anna)
    undo(library)
    assert exemplars(database, anna) == before
    redo(library)
    assert exemplars(database, anna) == dropped
    prototypes(database, pin=before[:1], by=BY)
    assert exemplars(database, anna)[0] == before[0]


def test_contradictory_requests_are_refused(library: Library) -> None:
    database, anna = library.database, who_is(library, "anna-0-0")
    of_ben = face_of(library, "ben-0-0")
    add_face(library, "nobody", heart_of("cleo"))
    with pytest.raises(WrongUsage, match=f"Face {of_ben} does not belong to {anna[:8]}"):
        prototypes(database, anna, pin=[of_ben], by=BY)
    with pytest.raises(WrongUsage, match="is both pinned and dropped"):
        prototypes(database, pin=[of_ben], drop=[of_ben], by=BY)
    with pytest.raises(WrongUsage, match="is unassigned"):
        prototypes(database, pin=[face_of(library, "nobody")], by=BY)
    with pytest.raises(WrongUsage, match="Face not found: 999999"):
        prototypes(database, drop=[999999], by=BY)
    assert rows(database, "SELECT count(*) FROM prototype_corrections") == [(0,)]


def test_a_merge_hands_pinned_faces_over_and_undo_gives_them_back(library: Library) -> None:
    database, anna, ben = library.database, who_is(library, "anna-0-0"), who_is(library, "ben-0-0")
    theirs = {face_of(library, f"ben-0-{n}") for n in range(4)}
    face = min(theirs - set(exemplars(database, ben)))
    prototypes(database, pin=[face], by=BY)
    before = exemplars(database, ben)
    merge(library, ben, into=anna)
    assert face in exemplars(database, anna)
    undo(library)
    assert exemplars(database, ben) == before
    assert face not in exemplars(database, anna)


def test_a_pinned_face_that_moves_away_stops_being_an_exemplar(library: Library) -> None:
    prototypes(library.database, pin=[face_of(library, "anna-0-5")], by=BY)
    move(library, "anna-0-5", to="ben-0-0")
    assert face_of(library, "anna-0-5") not in exemplars(library.database, who_is(library, "anna-0-0"))


def test_centroids_are_recomputed_exactly_and_the_drift_is_reported(library: Library) -> None:
    database, anna = library.database, who_is(library, "anna-0-0")
    forget_prototypes(library)
    assert (centroids(database).changed, centroids(database).changed) == (2, 0)
    best = face_of(library, "anna-0-4")
    by_sql(
        library,
        f"""UPDATE face_detections SET quality = CASE id WHEN {best} THEN 1 ELSE 0.1 END
            WHERE person_id = '{anna}'""",
    )
    summary = centroids(database)
    assert (summary.people, summary.prototypes, summary.changed) == (2, 6, 1)
