"""`cluster --method hdbscan` on the library: its hierarchy is saved, and gets stale as faces are placed."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.fixtures.corrections import by_sql, redo, undo
from tests.fixtures.filled_library import template_by
from tests.fixtures.library_people import (
    add_face,
    add_person,
    add_photo,
    cluster,
    cluster_of,
    heart_of,
    like,
    rows,
    who_is,
)

from facesets.cli.library.check import staleness_lines
from facesets.clustering import hdbscan
from facesets.errors import DamagedFile
from facesets.formats.hierarchy import packed, unpacked
from facesets.operations.people.grouping.staleness import staleness
from facesets.result import Result
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.library import Library
from facesets.store.postgres.people.clusters import Centers, fresh_centers
from facesets.store.postgres.people.hierarchies import run_in_force

pytestmark = pytest.mark.slow

NAMES = ("anna", "ben", "cleo", "dora")


def fill(database: Database) -> None:
    filled = Library(database)
    for name in NAMES:
        add_person(filled, name, 6, spread=0.5)


template = template_by(fill)


def by_hierarchy(library: Library, **options: Any) -> Result:
    """Run `cluster --method hdbscan`."""
    return cluster(library, method="hdbscan", **options)


STATE = """SELECT f.id, f.person_id, f.cluster, f.assigned_by FROM face_detections f ORDER BY f.id"""
CLUSTERS = "SELECT to_jsonb(c)::text FROM clusters c ORDER BY c.id"
RUNS = "SELECT count(*) FROM hdbscan_runs"


def everything(library: Library) -> tuple[object, ...]:
    """Return people and clusters of faces, and the hierarchy in force."""
    model = rows(library, "SELECT min(model_id) FROM detectors")[0][0]
    run = library.database.run(lambda connection: run_in_force(connection, int(model)))
    return rows(library, STATE), rows(library, CLUSTERS), None if run is None else run.id


def test_a_run_keeps_its_hierarchy_and_what_is_known_of_each_cluster_and_face(library: Library) -> None:
    summary = by_hierarchy(library)
    assert (summary.new_persons, summary.new_faces) == (4, 24)
    ((faces, made, noise, parameters),) = rows(
        library, "SELECT faces, clusters, noise, parameters FROM hdbscan_runs"
    )
    assert (faces, made, noise) == (24, 4, 0)
    assert (parameters["min_cluster_size"], parameters["min_samples"]) == (3, 2)
    clusters = rows(
        library,
        "SELECT id, birth_lambda, persistence, stability, epsilon, hdbscan_run_id IS NULL FROM clusters",
    )
    assert len(clusters) == 4
    for name, birth, lived, stability, epsilon, loose in clusters:
        assert (name[:4], len(name), loose) == ("clu_", 16, False)
        assert lived > 0
        assert 0 < stability <= 1
        assert epsilon == pytest.approx(1 / birth, rel=1e-5)
    known = rows(library, "SELECT lambda, outlier_score FROM hdbscan_faces")
    assert len(known) == 24
    assert all(density > 0 and 0 <= outlier <= 1 for density, outlier in known)
    assert len({cluster_of(library, f"anna-0-{i}") for i in range(6)}) == 1
    # No vector of a face is in it.
    stored = bytes(rows(library, "SELECT arrays FROM hdbscan_runs")[0][0])
    result, face_id = unpacked(stored)
    assert len(face_id) == len(result.labels) == 24
    assert all(array.size <= 24 for array in result.to_arrays().values())


def test_new_faces_are_placed_in_the_hierarchy_and_dissimilar_ones_are_left(library: Library) -> None:
    by_hierarchy(library)
    anna, of_anna = who_is(library, "anna-0-0"), cluster_of(library, "anna-0-0")
    add_person(library, "anna", 2, spread=0.5, seed=1)
    stranger = np.random.default_rng(5).standard_normal(512)
    add_face(library, "stranger", stranger)
    # Within the epsilon of her cluster, as all are without others between; but not similar to her.
    add_face(library, "odd", heart_of("anna") * 0.4 + stranger)
    summary = by_hierarchy(library)
    assert summary.reasons == [
        "Saved hierarchy: 2 faces placed in the hierarchy, 0 by the nearest centroid, 2 not placed."
    ]
    assert {who_is(library, f"anna-1-{i}") for i in range(2)} == {anna}
    assert {cluster_of(library, f"anna-1-{i}") for i in range(2)} == {of_anna}
    assert cluster_of(library, "odd") is None
    assert who_is(library, "stranger") == ""
    assert cluster_of(library, "stranger") is None
    unassigned = rows(
        library,
        """SELECT p.path FROM unassigned_faces u JOIN face_detections f ON f.id = u.face_id
            JOIN image_paths p ON p.image_id = f.image_id WHERE u.since <= now() ORDER BY 1""",
    )
    assert unassigned == [("/odd.jpg",), ("/stranger.jpg",)]
    before = everything(library)
    again = by_hierarchy(library)
    assert (again.joined, again.new_persons, everything(library)) == (0, 0, before)
    assert rows(library, RUNS) == [(1,)]


def test_other_parameters_or_full_make_a_new_hierarchy_in_which_clusters_keep_ids(library: Library) -> None:
    by_hierarchy(library)
    ids = {name: cluster_of(library, f"{name}-0-0") for name in NAMES}
    people = {name: who_is(library, f"{name}-0-0") for name in NAMES}
    add_person(library, "anna", 3, spread=0.5, seed=1)
    add_person(library, "emil", 4, spread=0.5)
    assert by_hierarchy(library, full=True).new_persons == 1
    assert rows(library, RUNS) == [(2,)]
    assert {name: cluster_of(library, f"{name}-0-0") for name in NAMES} == ids
    assert {name: who_is(library, f"{name}-0-0") for name in NAMES} == people
    by_hierarchy(library, min_samples=1)
    assert rows(library, "SELECT max(r.id) = max(c.hdbscan_run_id) FROM hdbscan_runs r, clusters c") == [
        (True,)
    ]
    by_hierarchy(library, min_samples=2)
    assert rows(library, "SELECT count(*) <= 3 FROM hdbscan_runs") == [(True,)]


def test_undo_of_a_run_restores_the_hierarchy_before(library: Library) -> None:
    states = [everything(library)]
    by_hierarchy(library)
    states.append(everything(library))
    add_person(library, "anna", 2, spread=0.5, seed=1)
    states[1] = everything(library)
    by_hierarchy(library)
    states.append(everything(library))
    by_hierarchy(library, full=True, min_cluster_size=4)
    assert everything(library) != states[-1]
    for state in reversed(states[1:]):
        undo(library)
        assert everything(library) == state
    undo(library)
    assert everything(library)[1:] == ([], None)
    redo(library)
    assert everything(library) == states[1]


def test_one_of_two_faces_in_a_photo_is_placed_in_a_saved_cluster(library: Library) -> None:
    by_hierarchy(library)
    rng = np.random.default_rng(1)
    vectors = [heart_of("anna") + rng.standard_normal(512) * spread for spread in (0.3, 0.8)]
    add_photo(library, "twice", vectors)
    summary = by_hierarchy(library)
    assert (summary.joined, summary.alone) == (1, 1)
    inside = (
        "SELECT ordinal FROM face_detections WHERE cluster = '{}' AND image_id = (SELECT max(id) FROM images)"
    )
    assert rows(library, inside.format(cluster_of(library, "anna-0-0"))) == [(0,)]
    assert by_hierarchy(library).joined == 0
    allowed = by_hierarchy(library, same_image_ok=True)
    assert (allowed.joined, "New hierarchy" in allowed.reasons[0]) == (1, True)


def lobe(rng: np.random.Generator, share: float) -> NDArray[np.float64]:
    """A face of a person with this similarity to Anna."""
    return like("anna", "betty", share) + rng.standard_normal(512) * 0.02


def labels_of(library: Library, names: Sequence[str]) -> set[str | None]:
    return {cluster_of(library, name) for name in names}


def test_a_photo_that_shows_a_person_twice_splits_no_person(empty_database: Database) -> None:
    library, rng = Library(empty_database), np.random.default_rng(2)
    for name in NAMES[1:]:
        add_person(library, name, 6, spread=0.5)
    for number in range(8):
        add_face(library, f"young-{number}", lobe(rng, 1.0))
        add_face(library, f"old-{number}", lobe(rng, 0.9))
    add_photo(library, "mirror", [lobe(rng, 1.0), lobe(rng, 0.9)])
    by_hierarchy(library, min_cluster_size=5)
    annas = labels_of(library, [f"{age}-{number}" for age in ("young", "old") for number in range(8)])
    assert len(annas - {None}) == len(annas) == 1
    latest = "SELECT cluster FROM face_detections ORDER BY id DESC LIMIT 2"
    assert {cluster for (cluster,) in rows(library, latest)} == {None, *annas}


def test_people_who_share_many_photos_are_distinguished(empty_database: Database) -> None:
    library, rng = Library(empty_database), np.random.default_rng(3)
    for name in NAMES[1:]:
        add_person(library, name, 6, spread=0.5)
    for number in range(8):
        add_photo(library, f"both-{number}", [lobe(rng, 1.0), lobe(rng, 0.9)])
    assert by_hierarchy(library, min_cluster_size=5, same_image_ok=True).new_persons == 4
    rows(empty_database, "DELETE FROM persons RETURNING id")
    assert by_hierarchy(library, min_cluster_size=5).new_persons == 5
    twice = """SELECT count(*) FROM (SELECT FROM face_detections WHERE person_id IS NOT NULL
        GROUP BY image_id, person_id HAVING count(*) > 1) AS twice"""
    assert rows(empty_database, twice) == [(0,)]


def test_only_the_best_faces_make_the_hierarchy_and_the_others_are_placed_in_it(library: Library) -> None:
    by_sql(
        library,
        """UPDATE face_detections f SET quality = 0.9 FROM image_paths p
            WHERE p.image_id = f.image_id AND p.path ~ '-[0-3].jpg'""",
    )
    by_hierarchy(library, max_faces=16)
    # None of the others counts as added since.
    assert (staleness(library).faces, staleness(library).added) == (16, 0)
    assert rows(library, "SELECT count(*) FROM face_detections WHERE cluster IS NOT NULL")[0][0] >= 22


@pytest.mark.parametrize("method", ["hdbscan", "components"])
def test_faces_of_low_quality_or_another_month_are_left_out(library: Library, method: str) -> None:
    by_sql(
        library,
        """UPDATE face_detections f SET quality = 0.9 FROM image_paths p
            WHERE p.image_id = f.image_id AND p.path ~ 'anna|ben'""",
    )
    by_sql(
        library,
        """UPDATE images i SET taken = CASE WHEN p.path ~ 'anna|cleo' THEN timestamp '2024-05-31 23:59' END
            FROM image_paths p WHERE p.image_id = i.id""",
    )
    spread = {"threshold": 0.5}
    best = cluster(library, method=method, min_quality=0.8, dry_run=True, **spread)
    assert (best.new_persons, best.left_out) == (2, 12)
    may = cluster(library, method=method, time_bucket="2024-05", dry_run=True, **spread)
    assert (may.new_persons, may.left_out) == (2, 12)
    assert cluster(library, method=method, **spread).new_persons == 4


def test_prediction_goes_on_after_faces_of_the_run_were_deleted(library: Library) -> None:
    by_hierarchy(library)
    by_sql(library, "DELETE FROM images WHERE id IN (SELECT id FROM images LIMIT 3)")
    add_person(library, "dora", 2, spread=0.5, seed=1)
    by_hierarchy(library)
    assert who_is(library, "dora-1-0") == who_is(library, "dora-0-5")


def test_other_methods_make_clusters_too_and_joining_faces_get_the_persons(library: Library) -> None:
    cluster(library, threshold=0.5)
    assert len({cluster_of(library, f"{name}-0-0") for name in NAMES}) == 4
    add_person(library, "anna", 1, spread=0.5, seed=1)
    cluster(library, threshold=0.5)
    assert cluster_of(library, "anna-1-0") == cluster_of(library, "anna-0-0") is not None


def test_centres_are_made_again_when_the_faces_of_a_cluster_changed(library: Library) -> None:
    by_hierarchy(library)

    def centers() -> Centers:
        def work(connection: Connection) -> Centers:
            detector = library.detector(connection)
            assert detector is not None
            return fresh_centers(connection, detector)

        return library.database.run(work)

    first = centers()
    assert sorted(first.faces.tolist()) == [6] * 4
    assert np.allclose(np.linalg.norm(first.centroid, axis=1), 1, atol=1e-5)
    one = cluster_of(library, "anna-0-0")
    place = first.ids.index(str(one))
    by_sql(library, "DELETE FROM images WHERE id = (SELECT min(id) FROM images)")
    second = centers()
    assert second.faces[place] == 5
    assert not np.allclose(second.centroid[place], first.centroid[place], atol=1e-4)
    others = np.arange(4) != place
    assert np.array_equal(second.centroid[others], first.centroid[others])


def test_a_new_hierarchy_is_good_and_one_with_many_faces_added_is_due(library: Library) -> None:
    assert not staleness(library).due
    cluster(library, threshold=0.5)
    assert staleness_lines(staleness(library)) == [
        "There is no saved hierarchy. Build one with `facesets cluster --method hdbscan`."
    ]
    by_hierarchy(library)
    fresh = staleness(library)
    assert (fresh.exists, fresh.due, fresh.faces, fresh.added, fresh.drift) == (True, False, 24, 0, 0.0)
    add_person(library, "anna", 4, spread=0.5, seed=1)
    add_person(library, "emil", 3, spread=0.5)
    by_hierarchy(library)
    grown = staleness(library)
    assert (grown.added, grown.unassigned, grown.due) == (7, 3, True)
    assert grown.share_added == pytest.approx(7 / 24, abs=1e-4)
    assert 0 < grown.drift < 0.1
    assert grown.reasons == ["7 faces added to 24"]
    assert "--full" in staleness_lines(grown)[-1]
    by_hierarchy(library, full=True)
    assert not staleness(library).due


def test_faces_that_found_no_place_make_it_due(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("facesets.operations.people.grouping.staleness.MIN_UNASSIGNED", 3)
    by_hierarchy(library)
    add_person(library, "emil", 3, spread=0.5)
    by_hierarchy(library)
    assert staleness(library).reasons == ["3 of 3 added faces could not be placed"]


def test_parameters_of_an_undone_run_and_removed_clusters_make_it_due(library: Library) -> None:
    by_hierarchy(library)
    by_hierarchy(library, min_samples=4)
    assert not staleness(library).due
    undo(library)
    found = staleness(library)
    assert (found.changed, found.due) == (["min-samples: 2 before, 4 now"], True)
    by_sql(library, "DELETE FROM clusters")
    found = staleness(library)
    assert (found.exists, found.due) == (False, True)
    assert "missing" in staleness_lines(found)[0]


def test_a_damaged_hierarchy_is_reported_and_full_makes_another(library: Library) -> None:
    by_hierarchy(library)
    by_sql(library, "UPDATE hdbscan_runs SET arrays = 'nonsense'")
    with pytest.raises(DamagedFile, match=r"cannot be read.*full"):
        by_hierarchy(library)
    assert by_hierarchy(library, full=True).kept == 24


def test_packing_a_hierarchy_is_lossless() -> None:
    vectors = np.random.default_rng(0).standard_normal((40, 8))
    result = hdbscan(vectors, min_cluster_size=3, min_samples=2)
    face_id = np.arange(40, dtype=np.int64) * 7
    back, faces = unpacked(packed(result, face_id))
    assert np.array_equal(back.labels, result.labels)
    assert np.array_equal(faces, face_id)
    assert packed(back, faces) == packed(result, face_id)
    with pytest.raises(DamagedFile):
        unpacked(packed(result, face_id)[:-40])
    with pytest.raises(DamagedFile):
        unpacked(packed(replace(result), face_id[:-1]))
