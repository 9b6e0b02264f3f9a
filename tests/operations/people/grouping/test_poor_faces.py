"""Faces too unclear to identify a person: they make no person, in any run."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pytest
from tests.fixtures.corrections import by_sql, call, undo
from tests.fixtures.library_people import cluster, face_of, heart_of, rows, who_is
from tests.fixtures.made_faces import SETTINGS, made_faces, made_file, made_image

from facesets.clustering.poor_faces import Clarity
from facesets.operations.options.people import AssignOptions, ClusterLibraryOptions, DualOptions
from facesets.operations.people.assigning.assigning import assign
from facesets.operations.people.grouping.dual import cluster_dual
from facesets.operations.people.review.explaining import explain
from facesets.operations.people.review.finding import find_people_suggestions
from facesets.operations.people.review.questions import next_questions
from facesets.records import CacheSettings, Float64
from facesets.result import Result
from facesets.store.postgres.library import Library
from facesets.store.postgres.people.face_details import quality_of_faces
from facesets.work import Work

MBF = replace(SETTINGS, recognizer="w600k_mbf.onnx", recognizer_sha256="dd" * 32)
"""A model with measured limits: 16 for founding, 14 for joining."""
UNKNOWN = replace(SETTINGS, recognizer="unknown.onnx", recognizer_sha256="ee" * 32)


def add(
    library: Library, who: str, images: int, norm: float, *, seed: int = 0, models: CacheSettings = MBF
) -> None:
    """Images of one face each, at `/WHO-SEED-NUMBER.jpg`; faces of smudges are as similar as one person's."""
    rng = np.random.default_rng(seed)
    vectors = {
        f"{who}-{seed}-{number}": (heart_of(who) + rng.standard_normal(512) * 0.3, norm)
        for number in range(images)
    }
    add_all(library, vectors, models)


def add_all(library: Library, vectors: Mapping[str, tuple[Float64, float]], models: CacheSettings) -> None:
    """Images of one face each, with vectors and norms."""
    files, found = [], []
    for label, (vector, norm) in vectors.items():
        face = replace(
            made_faces(1),
            box=np.array([[10, 10, 210, 210]], np.float32),
            face_short=np.full(1, 200, np.float32),
            embedding=(vector / np.linalg.norm(vector)).astype(np.float32)[None],
            norm=np.full(1, norm, np.float32),
        )
        image = replace(made_image(label, 1), faces=face)
        files.append(made_file(f"/{label}.jpg", image))
        found.append(image)
    with library.writing(models):
        library.commit(files, found)


def given(library: Library, threshold: float | str = 0.5) -> Result:
    return assign(library, AssignOptions(threshold=threshold), work=Work())  # type: ignore[arg-type]


def all_people(library: Library) -> list[tuple[object, ...]]:
    return rows(library, "SELECT id, person_id, cluster FROM face_detections ORDER BY id")


def test_smudges_make_no_person_join_no_person_and_give_no_suggestion(library: Library) -> None:
    add(library, "anna", 4, 23)
    add(library, "smudge", 9, 10)
    first = cluster(library)
    assert first.new_persons == 1
    call(library, "anna-0-0", "Anna")
    assert not any(who_is(library, f"smudge-0-{i}") for i in range(9))
    # Further unclear faces of Anna stay unassigned, at any similarity.
    add(library, "anna", 3, 13.9, seed=1)
    before = all_people(library)
    for _ in range(3):
        cluster(library)
        assert given(library).assigned == 0
    assert all_people(library) == before
    assert next_questions(library.database) == []
    verdict = explain(library.database, face_of(library, "anna-1-0")).verdict
    too_low = "Its quality is too low to recognise the person (norm 13.9, at least 14 needed)"
    assert verdict.startswith(too_low)


def test_a_somewhat_unclear_face_joins_but_makes_no_person(library: Library) -> None:
    add(library, "anna", 5, 23)
    add(library, "anna", 1, 15, seed=1)
    add(library, "smudge", 6, 15)
    assert cluster(library).new_persons == 1
    assert who_is(library, "anna-1-0") == who_is(library, "anna-0-0") != ""
    assert who_is(library, "smudge-0-0") == ""


def test_a_small_face_with_a_long_vector_makes_a_person(library: Library) -> None:
    add(library, "anna", 2, 19)
    by_sql(library, "UPDATE face_detections SET face_short = 20")
    assert cluster(library).new_persons == 1


@pytest.mark.parametrize("method", ["hdbscan", "components"])
def test_other_methods_make_no_person_of_unclear_faces(library: Library, method: str) -> None:
    add(library, "anna", 5, 23)
    add(library, "bert", 5, 23)
    add(library, "smudge", 9, 10)
    assert cluster(library, method=method).new_persons == 2


def test_people_made_of_smudges_are_dissolved_once_known_but_not_those_of_a_human(library: Library) -> None:
    add(library, "anna", 4, float("nan"))
    add(library, "smudge", 5, float("nan"))
    add(library, "shadow", 5, float("nan"))
    assert cluster(library).new_persons == 3
    call(library, "shadow-0-0", "Grandfather in the dark")
    by_sql(
        library,
        """UPDATE face_detections f SET norm = CASE WHEN p.path LIKE '/anna%' THEN 23 ELSE 11 END
            FROM image_paths p WHERE p.image_id = f.image_id""",
    )
    smudge = who_is(library, "smudge-0-0")
    before = all_people(library)
    dissolved = cluster(library)
    assert (dissolved.dissolved, dissolved.regrouped) == (1, 5)
    assert "1 unnamed person was dissolved" in dissolved.reasons[0]
    assert who_is(library, "smudge-0-0") == ""
    assert who_is(library, "shadow-0-0") != "" != who_is(library, "anna-0-0")
    after = all_people(library)
    assert cluster(library).step is None
    assert given(library).assigned == 0
    assert all_people(library) == after
    # A step like any other.
    undo(library)
    assert all_people(library) == before
    assert who_is(library, "smudge-0-0") == smudge


def test_limits_of_an_unknown_recognizer_are_measured_and_hold_for_a_tenth_more(library: Library) -> None:
    vectors = np.random.default_rng(5).standard_normal((520, 512))
    norms = np.where(np.arange(520) % 2, 23, 21)
    strangers = {f"p{number}": pair for number, pair in enumerate(zip(vectors, norms.tolist(), strict=True))}
    add_all(library, strangers, UNKNOWN)
    add(library, "smudge", 25, 9, models=UNKNOWN)
    assert cluster(library).new_persons == 0
    measured = rows(library, "SELECT norm_founding, norm_joining, norm_faces FROM models")
    assert [round(each, 1) for each in measured[0]] == [14.5, 12.6, 545]
    add(library, "anna", 4, 30, models=UNKNOWN)
    assert cluster(library).new_persons == 1
    assert rows(library, "SELECT norm_founding, norm_joining, norm_faces FROM models") == measured
    assert cluster(library).step is None


def test_reference_faces_are_used_as_soon_as_a_person_is_known(library: Library) -> None:
    add(library, "anna", 4, float("nan"))
    cluster(library)
    given(library)
    exemplars = "SELECT face_id FROM person_prototypes WHERE face_id IS NOT NULL ORDER BY id"
    worst = rows(library, exemplars)[0][0]
    by_sql(library, f"UPDATE face_detections SET norm = CASE id WHEN {worst} THEN 12 ELSE 23 END")
    given(library)
    chosen = rows(library, exemplars)
    assert len(chosen) == 3
    assert (worst,) not in chosen


def test_faces_that_go_while_a_run_looks_at_them_show_nothing(library: Library) -> None:
    add(library, "anna", 3, 23)
    gone = rows(
        library, "DELETE FROM face_detections WHERE id = (SELECT max(id) FROM face_detections) RETURNING id"
    )[0][0]
    stored = [face for (face,) in rows(library, "SELECT id FROM face_detections ORDER BY id")]
    detector = library.database.run(library.require_detector)
    clarity = library.database.run(quality_of_faces, detector, np.array([*stored, gone]))
    assert clarity.tolist() == [Clarity.ENOUGH, Clarity.ENOUGH, Clarity.NOTHING]


def test_a_person_of_smudges_gets_no_new_faces(library: Library) -> None:
    add(library, "shadow", 5, float("nan"))
    cluster(library)
    call(library, "shadow-0-0", "Shadow")
    by_sql(library, "UPDATE face_detections SET norm = 11")
    add(library, "shadow", 4, 20, seed=1)
    assert given(library).assigned == 0
    # People not named by a user do not count yet.
    assert who_is(library, "shadow-1-0") == ""
    cluster(library)
    assert who_is(library, "shadow-0-0") != who_is(library, "shadow-1-0") != ""
    everything = all_people(library)
    assert cluster(library).step is None
    assert all_people(library) == everything


@pytest.mark.parametrize("run", [cluster, given])
def test_suggestions_about_faces_found_unclear_are_dropped(
    library: Library, run: Callable[[Library], object]
) -> None:
    add(library, "anna", 5, 23)
    cluster(library)
    call(library, "anna-0-0", "Anna")
    add(library, "anna", 1, float("nan"), seed=1)
    given(library, 0.99)
    assert [each.kind for each in next_questions(library.database)] == ["near"]
    by_sql(library, "UPDATE face_detections SET norm = 11 WHERE norm = 'NaN'")
    run(library)
    assert next_questions(library.database) == []


def test_an_old_cluster_of_smudges_makes_no_suggestion(library: Library) -> None:
    add(library, "anna", 5, 23)
    cluster(library)
    call(library, "anna-0-0", "Anna")
    add(library, "anna", 6, 23, seed=1)
    dual = DualOptions(person_threshold=0.999, unknown_method="components")
    asked = "SELECT DISTINCT kind FROM person_candidates WHERE status = 'pending'"
    cluster_dual(library, ClusterLibraryOptions(), dual, work=Work())
    assert rows(library, asked) == [("cluster",)]
    by_sql(library, "UPDATE face_detections SET norm = 11 WHERE person_id IS NULL")
    cluster_dual(library, ClusterLibraryOptions(), replace(dual, dual_max_faces=100), work=Work())
    assert rows(library, asked) == []
    find_people_suggestions(library.database, library.database.run(library.require_detector))
    assert rows(library, asked) == []
