"""DBSCAN: scikit-learn's partition, except border faces, which go to the nearest core face."""

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facesets.clustering import Constraints, dbscan
from facesets.clustering.vectors import Bool, Int64
from tests.fixtures.soak import examples
from tests.fixtures.vectors import Float32, people, same_partition, unit_vectors


def near(vectors: Float32, eps: float) -> Bool:
    """Return the program's pairs of neighbours."""
    rows = vectors.astype(np.float64)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    found: Bool = rows @ rows.T >= 1 - eps - 1e-6
    np.fill_diagonal(found, val=True)
    return found


def peer(vectors: Float32, eps: float, min_samples: int) -> tuple[Int64, Bool]:
    """Labels, and which faces are core faces, of scikit-learn."""
    from sklearn.cluster import DBSCAN

    model = DBSCAN(eps=0.5, min_samples=min_samples, metric="precomputed")
    labels = model.fit_predict(1.0 - near(vectors, eps).astype(np.float64))
    core = np.zeros(len(vectors), bool)
    core[model.core_sample_indices_] = True
    return labels, core


@pytest.mark.slow
@examples(120)
@given(unit_vectors(), st.floats(0.01, 1.2), st.integers(1, 8))
def test_the_partition_is_scikit_learns_and_border_faces_go_to_the_nearest_core_face(
    vectors: Float32, eps: float, min_samples: int
) -> None:
    labels = dbscan(vectors, eps=eps, min_samples=min_samples)
    theirs, core = peer(vectors, eps, min_samples)
    assert same_partition(labels[core], theirs[core])
    assert np.array_equal(labels < 0, theirs < 0)
    similarity = vectors.astype(np.float64) @ vectors.astype(np.float64).T
    for face in np.flatnonzero(~core & (labels >= 0)):
        mine = core & (labels == labels[face])
        assert similarity[face, mine].max() >= similarity[face, core].max() - 1e-5


def test_too_many_pairs_to_store_are_computed_again() -> None:
    vectors, _ = people(20, faces=12)
    stored = dbscan(vectors, eps=0.5)
    with pytest.MonkeyPatch.context() as few:
        few.setattr(sys.modules[dbscan.__module__], "_STORED_PAIRS", 10)
        assert np.array_equal(dbscan(vectors, eps=0.5), stored)


def test_faces_that_must_be_together_are_though_they_are_noise_or_in_two_clusters() -> None:
    vectors, owner = people(4, faces=10, spread=0.3)
    stranger = np.eye(32, dtype=np.float32)[:2]
    rows = np.r_[vectors, stranger]
    first, second = (int(np.flatnonzero(owner == number)[0]) for number in (0, 1))
    free = dbscan(rows, eps=0.4)
    assert free[first] != free[second]
    assert (free[40:] == -1).all()
    tied = dbscan(rows, eps=0.4, constraints=Constraints(np.array([[first, second], [40, 41]])))
    assert tied[first] == tied[second] >= 0
    assert tied[40] == tied[41] >= 0


def test_a_part_that_is_cut_off_and_has_no_core_face_is_noise() -> None:
    angle = np.array([0.0, 0.01, 0.02, 0.03, 0.3])
    rows = np.c_[np.cos(angle), np.sin(angle)]
    eps = 1 - np.cos(0.28)
    assert dbscan(rows, eps=eps, min_samples=4).tolist() == [0] * 5
    apart = Constraints(cannot_link=np.array([[4, 3]]))
    assert dbscan(rows, eps=eps, min_samples=4, constraints=apart).tolist() == [0, 0, 0, 0, -1]


def test_two_similar_faces_are_no_cluster_of_three() -> None:
    vectors, _ = people(100, faces=2, spread=0.3, dimension=256)
    for approximate in (False, True):
        assert (dbscan(vectors, eps=0.4, min_samples=3, approximate=approximate) == -1).all()
