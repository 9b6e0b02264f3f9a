"""`check --staleness`: when the kept hierarchy is due to be made again, and why."""

import pytest
from tests.fixtures.library_people import add_person, cluster, rows

from facesets.cli.library.check import staleness_lines
from facesets.operations.people.corrections import history
from facesets.operations.people.grouping.staleness import staleness
from facesets.store.postgres.connection import Database
from facesets.store.postgres.library import Library


@pytest.fixture
def library(database: Database) -> Library:
    filled = Library(database)
    for name in ("anna", "ben", "cleo"):
        add_person(filled, name, 8, spread=0.5)
    return filled


def test_without_a_hierarchy_there_is_nothing_to_be_stale(library: Library) -> None:
    assert not staleness(library).exists
    assert not staleness(library).due
    cluster(library)
    assert staleness_lines(staleness(library)) == [
        "There is no kept hierarchy. `facesets cluster --method hdbscan` makes one."
    ]


def test_a_new_hierarchy_is_good_and_one_with_many_faces_added_is_due(library: Library) -> None:
    cluster(library, method="hdbscan")
    fresh = staleness(library)
    assert (fresh.exists, fresh.due, fresh.faces, fresh.added, fresh.drift) == (True, False, 24, 0, 0.0)
    add_person(library, "anna", 4, spread=0.5, seed=1)
    add_person(library, "dora", 3, spread=0.5)
    cluster(library, method="hdbscan")
    grown = staleness(library)
    assert (grown.added, grown.unassigned) == (7, 3)
    assert grown.share_added == pytest.approx(7 / 24, abs=1e-4)
    assert 0 < grown.drift < 0.1
    assert grown.due
    assert grown.reasons == ["7 faces added to 24"]
    assert "--full" in staleness_lines(grown)[-1]
    cluster(library, method="hdbscan", full=True)
    assert not staleness(library).due


def test_faces_that_were_too_many_for_the_hierarchy_are_not_added_since(library: Library) -> None:
    cluster(library, method="hdbscan", max_faces=12)
    assert (staleness(library).faces, staleness(library).added) == (12, 0)


def test_many_added_faces_that_found_no_place_make_it_due(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("facesets.operations.people.grouping.staleness.LEAST_UNASSIGNED", 3)
    cluster(library, method="hdbscan")
    add_person(library, "dora", 3, spread=0.5)
    cluster(library, method="hdbscan")
    assert staleness(library).reasons == ["3 of 3 added faces found no place"]


def test_other_parameters_of_a_run_that_was_taken_back_are_named(library: Library) -> None:
    cluster(library, method="hdbscan")
    cluster(library, method="hdbscan", min_samples=4)
    assert not staleness(library).due
    history.undo(library.database, None, by="anna@home")
    found = staleness(library)
    assert found.changed == ["min-samples: 2 then, 4 now"]
    assert found.due


def test_a_hierarchy_whose_clusters_are_gone_is_due(library: Library) -> None:
    cluster(library, method="hdbscan")
    rows(library.database, "DELETE FROM clusters RETURNING 1")
    found = staleness(library)
    assert not found.exists
    assert found.due
    assert "gone" in staleness_lines(found)[0]
