"""`facesets cluster` and `check --staleness` on the library, as a user types them."""

import json
import re
from pathlib import Path

import pytest

from facesets.store.postgres.connection import Database
from facesets.store.postgres.library import Library
from tests.fixtures.library_people import add_person, cluster, face_of, rows, who_is
from tests.fixtures.program import Result, run


@pytest.fixture
def library(database: Database) -> Library:
    filled = Library(database)
    add_person(filled, "anna", 6, spread=0.3)
    cluster(filled)
    for name, faces in (("anna", 2), ("ben", 5), ("cleo", 3)):
        add_person(filled, name, faces, spread=0.3, seed=1)
    return filled


def test_both_phases_are_told_and_the_environment_speaks_by_either_name(
    library: Library, library_url: str
) -> None:
    def dual(**environment: str) -> Result:
        words = ("cluster", "--dual", "--dry-run", "--json", "--database", library_url)
        return run(*words, env=environment)

    assert json.loads(dual().out)["known"]["threshold"] == 0.7
    assert json.loads(dual(FACE_PERSON_MATCH_THRESHOLD="0.8").out)["known"]["threshold"] == 0.8
    both = dual(FACE_PERSON_MATCH_THRESHOLD="0.8", FACESETS_CLUSTER_PERSON_THRESHOLD="0.75")
    assert json.loads(both.out)["known"]["threshold"] == 0.75
    said = run(
        "cluster",
        "--dual",
        "--database",
        library_url,
        env={"FACE_UNKNOWN_MIN_CLUSTER_SIZE": "4", "FACE_UNKNOWN_CLUSTERING_METHOD": "dbscan"},
    )
    assert said.status == 0, said.err
    known, unknown, largest, step = said.out.splitlines()
    assert known.startswith("Known people: 10 faces compared at 0.70, 2 assigned (20.0%) to 1 person; ")
    assert unknown.startswith(
        "Unknown: 8 faces left, 1 cluster (1 new), 3 in none (37.5%); 1 question to review; "
    )
    assert "`facesets people show unknown_cluster_1 --sheet who.png` draws it" in largest
    assert re.fullmatch(r"Step \d+: `facesets people undo` takes both back\.", step)
    shown = run("people", "show", "unknown_cluster_1", "--database", library_url)
    assert "unknown_cluster_1" in shown.out
    assert run("people", "name", "unknown_cluster_1", "Ben", "--database", library_url).status == 0
    assert who_is(library, "ben-1-0") == who_is(library, "ben-1-4") != ""


def test_a_hierarchy_of_the_library_has_its_own_sizes_and_says_when_it_is_due(
    library: Library, library_url: str
) -> None:
    at = ("--database", library_url)
    none = run("check", "--staleness", *at)
    assert "There is no kept hierarchy" in none.out
    made = run("cluster", "--method", "hdbscan", *at)
    assert "New hierarchy of 16 faces: 3 clusters, 0 in none." in made.out
    parameters = rows(library.database, "SELECT parameters FROM hdbscan_runs")[0][0]
    assert (parameters["min_cluster_size"], parameters["min_samples"]) == (3, 2)
    fits = run("check", "--staleness", *at).out
    assert re.search(r"16 faces, made \d{4}-\d\d-\d\d \d\d:\d\d: 0 added since", fits)
    assert "It still fits." in fits
    add_person(library, "dora", 4, spread=0.3)
    assert "Kept hierarchy" in run("cluster", "--method", "hdbscan", *at).out
    due = json.loads(run("check", "--staleness", "--json", *at).out)
    assert (due["due"], due["added"], due["unassigned"]) == (True, 4, 4)
    run("cluster", "--method", "hdbscan", "--full", "--min-samples", "3", *at)
    newest = rows(library.database, "SELECT parameters FROM hdbscan_runs ORDER BY id DESC LIMIT 1")[0][0]
    assert (newest["min_cluster_size"], newest["min_samples"]) == (3, 3)
    assert face_of(library, "dora-0-0") > 0


@pytest.mark.slow
@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("method", ["auto", "components"])
def test_workers_find_the_people_that_one_process_finds(
    library_url: str, tmp_path: Path, method: str
) -> None:
    words = ("cluster", "--method", method, "--dry-run", "--database", library_url)
    alone = run(*words)
    workers = run(*words, "--engine", "local", "--shards", tmp_path / "shards")
    assert (workers.status, workers.out) == (0, alone.out), workers.err
    assert not list((tmp_path / "shards").iterdir())


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--dual", "out"), "--dual is for people of the library"),
        (("--time-bucket", "2024-13"), "--time-bucket 2024-13 is no month"),
        (("--method", "dbscan", "--eps", "3"), "--eps must be between 0 and 2"),
        (("--eps", "0.4"), "--eps is for --method dbscan, and this is auto"),
        (("--method", "hdbscan", "--eps", "0.4"), "--eps is for --method dbscan, and this is hdbscan"),
        (("--person-threshold", "0.8"), "--person-threshold is for --dual: add --dual, or leave"),
        (("out", "--unknown-min-size", "4"), "--unknown-min-size is for --dual"),
        (("--dual", "--unknown-eps", "0.4"), "is for --unknown-method agglomerative or components or dbscan"),
        (("--dual", "--threshold", "0.6"), "--threshold says nothing with --dual: say --person-threshold"),
        (("--dual", "--method", "auto"), "say --unknown-method instead"),
        (("--dual", "--min-size", "3"), "say --unknown-min-size instead"),
        (("--dual", "--full"), "--full says nothing with --dual"),
        (("--full",), "--full is for --method hdbscan, and this is auto"),
        (("--min-cluster-size", "4"), "--min-cluster-size is for --method hdbscan"),
        (("--threshold", "0.6", "--min-samples", "4"), "and this is components"),
        (("out", "--min-size", "3"), "--min-size is for people of the library: leave out CACHE and OUT"),
        (("out", "--method", "components", "--threshold", "0.4"), "say --max-cosine-distance for components"),
        (("out", "--method", "hdbscan", "--threshold", "0.4"), "--method hdbscan has no threshold"),
        (("--no-sheet",), "--sheet is for folders: say where to"),
        (
            ("--engine", "spark://x:1"),
            "--engine spark://x:1 is no engine. Give local, or the address of a dask",
        ),
        (("--engine", "dask://scheduler"), "such as dask://10.0.0.5:8786"),
        (
            ("--method", "hdbscan", "--engine", "local"),
            "auto or agglomerative or components or dbscan, and this",
        ),
        (("--dual", "--engine", "local"), "--engine says nothing with --dual"),
        (("out", "--shards", "x"), "--shards is for --engine: name one, or leave out --shards"),
    ],
)
def test_what_makes_no_sense_is_refused(library_url: str, words: tuple[str, ...], why: str) -> None:
    refused = run("cluster", *words, "--database", library_url)
    assert refused.status == 2
    assert why in " ".join(refused.err.split())


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("check", "--staleness", "--fix"), "--staleness repairs nothing: leave out --fix"),
        (("train", "--activate", "lda-1", "--dry-run"), "--dry-run is for training"),
        (("train", "--list", "--min-faces", "5"), "--min-faces is for training"),
    ],
)
def test_a_flag_that_would_be_ignored_is_refused(library_url: str, words: tuple[str, ...], why: str) -> None:
    refused = run(*words, "--database", library_url)
    assert (refused.status, why in " ".join(refused.err.split())) == (2, True), refused.err


@pytest.mark.usefixtures("library")
def test_settings_are_for_several_ways_and_pass(library_url: str) -> None:
    settings = {"FACESETS_CLUSTER_EPS": "0.4", "FACE_PERSON_MATCH_THRESHOLD": "0.8"}
    done = run("cluster", "--dry-run", "--database", library_url, env=settings)
    assert (done.status, "16 faces" in done.out) == (0, True), done.err


@pytest.mark.usefixtures("library")
def test_what_a_run_changed_is_taken_back_by_the_step_that_it_names(library_url: str) -> None:
    dry = run("cluster", "--dry-run", "--database", library_url)
    assert ("Step" in dry.out, "Nothing was stored." in dry.out) == (False, True)
    line = run("cluster", "--database", library_url).out.splitlines()[0]
    reported = re.search(
        r"8 became 2 new people, 0 stayed alone\. Step (\d+): `facesets people undo` takes", line
    )
    assert reported is not None, line
    assert f"Taken back: step {reported[1]}" in run("people", "undo", "--database", library_url).out
