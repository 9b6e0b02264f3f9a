"""Numbering of clusters, agreement of labels with the truth, and centroids and medoids."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facesets.clustering import (
    centroids,
    distances_to_centroid,
    evaluate,
    medoids,
    nearest,
    numbered,
    reject_outliers,
    singletons_as_noise,
)
from tests.fixtures.vectors import people

labelings = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=30)


@pytest.mark.slow
@given(labelings)
def test_scores_equal_scikit_learns_and_bcubeds_definition(pairs: list[tuple[int, int]]) -> None:
    from sklearn.metrics import (
        homogeneity_completeness_v_measure,
        normalized_mutual_info_score,
        pair_confusion_matrix,
    )

    labels, truth = np.array(pairs).T
    scores = evaluate(labels, truth)
    (_, false), (missed, true) = pair_confusion_matrix(truth, labels)
    assert scores.pairwise_precision == pytest.approx(true / (true + false) if true + false else 1.0)
    assert scores.pairwise_recall == pytest.approx(true / (true + missed) if true + missed else 1.0)
    together, same = labels[:, None] == labels, truth[:, None] == truth
    assert scores.bcubed_precision == pytest.approx(((together & same).sum(1) / together.sum(1)).mean())
    assert scores.bcubed_recall == pytest.approx(((together & same).sum(1) / same.sum(1)).mean())
    expected = homogeneity_completeness_v_measure(truth, labels)
    assert (scores.homogeneity, scores.completeness, scores.v_measure) == pytest.approx(expected, abs=1e-9)
    nmi = normalized_mutual_info_score(truth, labels)
    # scikit-learn calls two one-cluster labelings unrelated; they are equal.
    assert scores.normalized_mutual_information == pytest.approx(nmi, abs=1e-9) or scores.clusters == 1


def test_each_noise_face_is_a_cluster_of_its_own_and_the_truth_scores_one() -> None:
    scores = evaluate([0, 0, -1, -1], ["a", "a", "b", "b"])
    assert (scores.clusters, scores.people, scores.noise) == (3, 2, 2)
    assert (scores.pairwise_precision, scores.pairwise_recall) == (1.0, 0.5)
    assert evaluate([3, 3, 1], ["x", "x", "y"]).bcubed_f1 == 1.0
    assert evaluate([], []).pairwise_f1 == 1.0


def test_clusters_are_numbered_by_falling_size_and_then_by_smallest_member() -> None:
    assert numbered([7, 3, 3, -5, 9, 9]).tolist() == [2, 0, 0, -1, 1, 1]
    assert numbered([]).tolist() == []
    assert singletons_as_noise(np.array([7, 3, 3, -5, 9, 9])).tolist() == [-1, 0, 0, -1, 1, 1]


def test_a_centroid_is_the_direction_of_its_faces_mean_and_noise_counts_nowhere() -> None:
    vectors, owner = people(4, faces=10)
    labels = np.where(np.arange(40) == 7, -1, owner)
    for number, centre in enumerate(centroids(vectors, labels)):
        mean = vectors[labels == number].astype(np.float64).mean(0)
        assert np.allclose(centre, mean / np.linalg.norm(mean), atol=1e-6)
    assert np.isnan(distances_to_centroid(vectors, labels)[7])


def test_distances_and_medoids_are_measured_from_the_own_centroid() -> None:
    vectors, owner = people(4, faces=10)
    distance = distances_to_centroid(vectors, owner)
    assert np.allclose(distance, 1 - (vectors * centroids(vectors, owner)[owner]).sum(1), atol=1e-6)
    for number, row in enumerate(medoids(vectors, owner)):
        members = np.flatnonzero(owner == number)
        assert row == members[(vectors[members] @ vectors[members].T).sum(1).argmax()]


def test_only_large_enough_clusters_have_outliers() -> None:
    vectors = np.eye(5)[[0, 0, 0, 1, 2, 2, 3]]
    labels = [0, 0, 0, 0, 1, 1, 1]
    rejected = reject_outliers(vectors, labels, max_cosine_distance=0.55, min_cluster_size=4)
    assert np.flatnonzero(rejected).tolist() == [3]


def test_the_nearest_reference_is_that_of_the_full_product() -> None:
    vectors, _ = people(30, faces=20)
    found = nearest(vectors, vectors[:45])
    full = vectors @ vectors[:45].T
    assert np.array_equal(found.reference, full.argmax(1))
    assert np.allclose(found.cosine_distance, 1 - full.max(1), atol=1e-6)
    none = nearest(vectors, vectors[:0])
    assert set(none.reference.tolist()) == {-1}
    assert np.isinf(none.cosine_distance).all()


@pytest.mark.parametrize(
    ("ask", "expected"),
    [
        (lambda: nearest(np.eye(3), np.eye(4)), "different recognition models"),
        (lambda: centroids(np.eye(3), [0, 1]), "2 labels for 3 faces"),
        (lambda: evaluate([0, 1], ["x"]), "2 labels for 1"),
        (lambda: numbered([0.5, 1.0]), "integers"),
    ],
)
def test_labels_and_vectors_that_do_not_fit_are_refused(ask: Callable[[], object], expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        ask()
