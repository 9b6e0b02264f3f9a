"""`cluster` by each method, on real photos and on pairs that must stay apart."""

import json
from pathlib import Path

import numpy as np
import pytest
from tests.fixtures.program import run
from tests.fixtures.vectors import People

from facesets.clustering import evaluate
from facesets.operations.grouping.cluster import group_faces
from facesets.operations.options.grouping import Method
from facesets.operations.options.start import ClusterOptions

Vectors = tuple[np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def some_people(real_people: People) -> Vectors:
    """Vectors of people with several photos each."""
    names, counts = np.unique(real_people.name, return_counts=True)
    chosen = np.isin(real_people.name, names[counts >= 5][:60])
    return real_people.embedding[chosen], real_people.name[chosen]


@pytest.mark.parametrize(
    ("method", "least_f1"),
    [("agglomerative", 0.98), ("components", 0.8), ("hdbscan", 0.9), ("dbscan", 0.98), ("auto", 0.99)],
)
def test_every_method_finds_the_people(some_people: Vectors, method: Method, least_f1: float) -> None:
    vectors, names = some_people
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    grouping = group_faces(unit, np.arange(len(unit)), ClusterOptions(method=method))
    assert evaluate(grouping.labels, names).pairwise_f1 > least_f1


@pytest.mark.parametrize("method", ["agglomerative", "auto"])
def test_two_faces_in_one_image_are_two_people_unless_allowed(method: Method) -> None:
    rng = np.random.default_rng(0)
    centre = rng.standard_normal(512)
    # Similar enough to be one person, too different to be one face seen twice.
    vectors = centre + rng.standard_normal((6, 512)) * 0.75
    unit = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    image = np.array([0, 1, 2, 3, 4, 4])
    apart = group_faces(unit, image, ClusterOptions(method=method)).labels
    together = group_faces(unit, image, ClusterOptions(method=method, same_image_ok=True)).labels
    assert apart[4] != apart[5]
    assert together[4] == together[5] >= 0


def test_a_measured_threshold_is_told(some_people: Vectors) -> None:
    vectors, names = some_people
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    grouping = group_faces(unit, np.arange(len(unit)), ClusterOptions(method="agglomerative", threshold=None))
    assert "cosine distance of" in grouping.reasons[0]
    assert evaluate(grouping.labels, names).pairwise_f1 > 0.98


@pytest.mark.slow
@pytest.mark.usefixtures("insightface_pack")
def test_the_command_takes_auto_and_refuses_nonsense(pack_dir: Path, lfw_dir: Path, tmp_path: Path) -> None:
    run("embed", lfw_dir / "Andre_Agassi", tmp_path / "c.npz", "--pack", pack_dir)
    result = run("cluster", tmp_path / "c.npz", tmp_path / "raw", "--method", "auto", "--json", "--no-sheet")
    assert result.status == 0, result.err
    report = json.loads(result.out)
    assert report["persons"] >= 1
    assert any("similar" in reason for reason in report["reasons"])
    measured = run("cluster", tmp_path / "c.npz", tmp_path / "raw", "--threshold", "auto", "--dry-run")
    assert "as measured of w600k_mbf on news photos: too few people" in measured.out
    refused = run("cluster", tmp_path / "c.npz", tmp_path / "raw", "--threshold", "much")
    assert (refused.status, "neither a number nor auto" in refused.err) == (2, True)
    same = [
        json.loads(run("cluster", tmp_path / "c.npz", tmp_path / "raw", "--json", "--dry-run", *said).out)
        for said in (
            ("--threshold", "0.3"),
            ("--max-cosine-distance", "0.3"),
            ("--min-cosine-similarity", "0.7"),
        )
    ]
    assert same[0] == same[1] == same[2]
    twice = ("--max-cosine-distance", "0.3", "--threshold", "0.3")
    refused = run("cluster", tmp_path / "c.npz", tmp_path / "raw", *twice)
    assert (refused.status, "Give only one" in refused.err) == (2, True)
    by_setting = {"FACESETS_CLUSTER_THRESHOLD": "0.01", "FACESETS_CLUSTER_MIN_COSINE_SIMILARITY": "0.9"}
    typed = run(
        "cluster", tmp_path / "c.npz", tmp_path / "raw", "--json", "--dry-run", *twice[:2], env=by_setting
    )
    assert json.loads(typed.out) == same[0]
