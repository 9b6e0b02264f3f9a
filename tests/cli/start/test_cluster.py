"""`facesets cluster` and `check --staleness` on the library, as a user types them."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from facesets.store.postgres.connection import Database
from facesets.store.postgres.library import Library
from tests.fixtures.library_people import add_person, cluster, rows, who_is
from tests.fixtures.program import Result

Call = Callable[..., Result]


@pytest.fixture
def library(database: Database) -> Library:
    filled = Library(database)
    add_person(filled, "anna", 6, spread=0.3)
    cluster(filled)
    for name, faces in (("anna", 2), ("ben", 5), ("cleo", 3)):
        add_person(filled, name, faces, spread=0.3, seed=1)
    return filled


def test_both_phases_are_reported_and_both_names_of_a_variable_work(library: Library, facesets: Call) -> None:
    def threshold(**environment: str) -> float:
        out = facesets("cluster", "--dual", "--dry-run", "--json", **environment).out
        found: float = json.loads(out)["known"]["threshold"]
        return found

    either = {"FACE_PERSON_MATCH_THRESHOLD": "0.8"}
    assert (threshold(), threshold(**either)) == (0.7, 0.8)
    assert threshold(**either, FACESETS_CLUSTER_PERSON_THRESHOLD="0.75") == 0.75
    environment = {"FACE_UNKNOWN_MIN_CLUSTER_SIZE": "4", "FACE_UNKNOWN_CLUSTERING_METHOD": "dbscan"}
    output = facesets("cluster", "--dual", "-v", **environment)
    known, unknown, largest, step = output.out.splitlines()
    assert known == "Known people: 2 of 10 faces (20.0%) assigned to 1 person."
    assert unknown == (
        "Other faces: 8 faces in 1 cluster (1 new), 3 of them unclustered (37.5%); 1 suggestion to review."
    )
    assert "Known people: threshold 0.70, " in output.err
    assert "To see it, run `facesets people show unknown_cluster_1 --sheet cluster.png`" in largest
    assert re.fullmatch(r"Undo both with `facesets people undo` \(change \d+\)\.", step)
    assert "unknown_cluster_1" in facesets("people", "show", "unknown_cluster_1").out
    facesets("people", "name", "unknown_cluster_1", "Ben")
    assert who_is(library, "ben-1-0") == who_is(library, "ben-1-4") != ""


def test_the_library_hierarchy_has_its_own_sizes_and_reports_when_it_is_due(
    library: Library, facesets: Call
) -> None:
    def sizes() -> list[tuple[int, int]]:
        made = rows(library.database, "SELECT parameters FROM hdbscan_runs ORDER BY id")
        return [(each["min_cluster_size"], each["min_samples"]) for (each,) in made]

    assert "There is no saved hierarchy" in facesets("check", "--staleness").out
    made = facesets("cluster", "--method", "hdbscan", "-v").err
    assert "New hierarchy of 16 faces: 3 clusters, 0 unclustered." in made
    assert sizes() == [(3, 2)]
    fits = facesets("check", "--staleness").out
    assert re.search(r"16 faces, built \d{4}-\d\d-\d\d \d\d:\d\d: 0 added since", fits)
    assert "It is up to date." in fits
    add_person(library, "dora", 4, spread=0.3)
    assert "Saved hierarchy" in facesets("cluster", "--method", "hdbscan", "-v").err
    due = json.loads(facesets("check", "--staleness", "--json").out)
    assert (due["due"], due["added"], due["unassigned"]) == (True, 4, 4)
    facesets("cluster", "--method", "hdbscan", "--full", "--min-samples", "3")
    assert sizes()[-1] == (3, 3)


@pytest.mark.slow
@pytest.mark.usefixtures("library")
def test_workers_find_the_people_that_one_process_finds(facesets: Call, tmp_path: Path) -> None:
    alone = facesets("cluster", "--dry-run")
    workers = facesets("cluster", "--dry-run", "--engine", "local", "--shards", tmp_path / "shards")
    assert workers.out == alone.out
    assert not list((tmp_path / "shards").iterdir())


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("cluster --dual out", "--dual applies to the library"),
        ("cluster --time-bucket 2024-13", "--time-bucket 2024-13 is not a month"),
        ("cluster --method dbscan --eps 3", "--eps must be between 0 and 2"),
        ("cluster --eps 0.4", "--eps requires --method dbscan, but the method is auto"),
        ("cluster --method hdbscan --eps 0.4", "--eps requires --method dbscan, but the method is hdbscan"),
        ("cluster --person-threshold 0.8", "--person-threshold requires --dual: add --dual, or omit"),
        ("cluster out --unknown-min-size 4", "--unknown-min-size requires --dual"),
        (
            "cluster --dual --unknown-eps 0.4",
            "requires --unknown-method agglomerative or components or dbscan",
        ),
        ("cluster --dual --threshold 0.6", "--threshold has no effect with --dual: use --person-threshold"),
        ("cluster --dual --method auto", "use --unknown-method instead"),
        ("cluster --dual --min-size 3", "use --unknown-min-size instead"),
        ("cluster --dual --full", "--full has no effect with --dual"),
        ("cluster --full", "--full requires --method hdbscan, but the method is auto"),
        ("cluster --min-cluster-size 4", "--min-cluster-size requires --method hdbscan"),
        ("cluster --threshold 0.6 --min-samples 4", "but the method is components"),
        ("cluster out --min-size 3", "--min-size applies to the library: omit CACHE and OUT"),
        ("cluster out --method components --threshold 0.4", "use --max-cosine-distance with components"),
        ("cluster out --method hdbscan --threshold 0.4", "--method hdbscan has no threshold"),
        ("cluster --no-sheet", "--sheet applies to result folders: give OUT"),
        (
            "cluster --engine spark://x:1",
            "--engine spark://x:1 is not an engine. Give local, or the address of a dask",
        ),
        ("cluster --engine dask://scheduler", "such as dask://10.0.0.5:8786"),
        (
            "cluster --method hdbscan --engine local",
            "auto or agglomerative or components or dbscan, but the method",
        ),
        ("cluster --dual --engine local", "--engine has no effect with --dual"),
        ("cluster out --shards x", "--shards requires --engine: give --engine, or omit --shards"),
        ("check --staleness --fix", "--staleness repairs nothing. Remove --fix"),
        ("train --activate lda-1 --dry-run", "--dry-run is for training"),
        ("train --list --min-faces 5", "--min-faces is for training"),
    ],
)
def test_invalid_values_are_refused(facesets: Call, line: str, why: str) -> None:
    assert why in " ".join(facesets(*line.split(), status=2).err.split())


@pytest.mark.usefixtures("library")
def test_settings_are_for_several_ways_and_pass(facesets: Call) -> None:
    settings = {"FACESETS_CLUSTER_EPS": "0.4", "FACE_PERSON_MATCH_THRESHOLD": "0.8"}
    assert "16 faces" in facesets("cluster", "--dry-run", **settings).out


@pytest.mark.usefixtures("library")
def test_a_run_is_undone_by_the_change_that_it_names(facesets: Call) -> None:
    dry = facesets("cluster", "--dry-run").out
    assert ("Undo" in dry, "Nothing was stored." in dry) == (False, True)
    line = facesets("cluster").out.splitlines()[0]
    reported = re.search(
        r"8 in 2 new people, 0 unassigned\. Undo change (\d+) with `facesets people undo`", line
    )
    assert reported is not None, line
    assert f"Undid change {reported[1]}" in facesets("people", "undo").out
