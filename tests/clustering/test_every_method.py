"""Properties of all clustering methods."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facesets.clustering import (
    Constraints,
    approximate_knn_graph,
    average_linkage,
    complete_linkage,
    dbscan,
    hdbscan,
    knn_graph,
    violations,
)
from facesets.clustering.constraints import resolve
from facesets.clustering.merging import associate
from tests.fixtures.clusterings import CLUSTERINGS, CONSTRAINED
from tests.fixtures.soak import examples
from tests.fixtures.vectors import Float32, Int64, People, people, same_partition, unit_vectors

CLUSTER = """
import sys
import numpy as np
from facesets.clustering import knn_graph
from tests.fixtures.clusterings import CLUSTERINGS
vectors = np.load(sys.argv[1])
labels = {name: CLUSTERINGS[name](vectors) for name in ("auto", "linkage", "components", "hdbscan")}
np.savez(sys.argv[2], neighbours=knn_graph(vectors, k=9).index, **labels)
"""


@pytest.mark.slow
@pytest.mark.parametrize("method", CONSTRAINED)
@examples(40)
@given(unit_vectors(max_rows=50), st.integers(0, 2**32 - 1))
def test_constraints_hold_unless_they_contradict_each_other(method: str, vectors: Float32, seed: int) -> None:
    rng, count = np.random.default_rng(seed), len(vectors)
    must, cannot = rng.integers(0, count, (4, 2)), rng.integers(0, count, (count, 2))
    cannot = cannot[cannot[:, 0] != cannot[:, 1]]
    known = Constraints(must[must[:, 0] != must[:, 1]], cannot)
    labels = CONSTRAINED[method](vectors, constraints=known)
    # Only pairs that must-links tie together may break a cannot-link, and those are reported.
    broken = {tuple(sorted(pair)) for pair in violations(labels, known).tolist()}
    assert broken == {tuple(sorted(pair)) for pair in resolve(known, count).contradictions.tolist()}


@pytest.mark.parametrize("method", sorted(CONSTRAINED.keys() - {"auto, poor faces"}))
def test_redundant_constraints_change_nothing(method: str) -> None:
    vectors, owner = people(6, faces=8, spread=0.5)
    different = np.array([[0, np.flatnonzero(owner != owner[0])[0]]])
    same = np.flatnonzero(owner == owner[0])[None, :2]
    free = CONSTRAINED[method](vectors)
    assert same_partition(CONSTRAINED[method](vectors, constraints=Constraints(same, different)), free)


@pytest.mark.parametrize("method", CLUSTERINGS)
def test_the_order_of_the_faces_does_not_matter(real_people: People, method: str) -> None:
    vectors = real_people.embedding[:800]
    shuffled = np.random.default_rng(1).permutation(len(vectors))
    labels = CLUSTERINGS[method](vectors)
    assert len(np.unique(labels)) > 50
    assert same_partition(CLUSTERINGS[method](vectors[shuffled]), labels[shuffled])


@pytest.mark.parametrize("count", [0, 1, 2])
@pytest.mark.parametrize("method", CLUSTERINGS)
def test_few_faces_that_differ_are_each_alone(method: str, count: int) -> None:
    alone = [-1] * count if method.startswith(("dbscan", "hdbscan")) else list(range(count))
    assert CLUSTERINGS[method](np.eye(4, dtype=np.float32)[:count]).tolist() == alone


@pytest.mark.slow
def test_labels_do_not_depend_on_the_number_of_cores(real_people: People, tmp_path: Path) -> None:
    np.save(tmp_path / "vectors.npy", real_people.embedding[:1800])
    found: dict[int, dict[str, Int64]] = {}
    for cores in (1, 3):
        subprocess.run(
            [sys.executable, "-c", CLUSTER, tmp_path / "vectors.npy", tmp_path / f"{cores}.npz"],
            env=os.environ
            | {"OPENBLAS_NUM_THREADS": str(cores), "OMP_NUM_THREADS": str(cores)}
            | {"PYTHONPATH": os.pathsep.join(sys.path)},
            check=True,
        )
        with np.load(tmp_path / f"{cores}.npz") as arrays:
            found[cores] = dict(arrays)
    for method, labels in found[1].items():
        assert len(np.unique(labels)) > 50
        assert np.array_equal(found[3][method], labels), method


@pytest.mark.parametrize(
    ("vectors", "expected"),
    [
        (np.array([[1, 0], [np.nan, 1]]), "Row 1 of embeddings holds NaN"),
        (np.array([[1, 0], [0, 0.0]]), "Row 1 of embeddings is all zeros"),
        (np.ones(3), "two dimensions"),
        (np.ones((3, 2), int), "must hold floats"),
        (np.ones((3, 0)), "at least one value"),
    ],
)
@pytest.mark.parametrize("method", ["linkage", "components, nearby"])
def test_invalid_vectors_are_refused_with_the_reason(method: str, vectors: Float32, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        CLUSTERINGS[method](vectors)


@pytest.mark.parametrize(
    ("ask", "expected"),
    [
        (lambda eye: average_linkage(eye, max_cosine_distance=float("nan")), "between 0 and 2"),
        (lambda eye: complete_linkage(eye, max_cosine_distance=-0.1), "between 0 and 2"),
        (lambda eye: associate(eye, max_cosine_distance=2.5), "max_cosine_distance"),
        (lambda eye: dbscan(eye, eps=3), "eps must lie between 0 and 2"),
        (lambda eye: dbscan(eye, eps=0.5, min_samples=0), "min_samples"),
        (lambda eye: hdbscan(eye, min_cluster_size=1), "min_cluster_size"),
        (lambda eye: hdbscan(eye, min_samples=0), "min_samples"),
        (lambda eye: knn_graph(eye, k=0), "at least 1"),
        (lambda eye: approximate_knn_graph(eye, k=0), "at least 1"),
        (
            lambda eye: average_linkage(
                eye, max_cosine_distance=0.5, constraints=Constraints(np.array([[0, 3]]))
            ),
            "outside the 3 faces",
        ),
    ],
)
def test_values_that_make_no_sense_are_refused(ask: Callable[[Float32], object], expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        ask(np.eye(3, dtype=np.float32))
