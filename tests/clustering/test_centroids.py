import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facesets.clustering import (
    centroids,
    distances_to_centroid,
    medoids,
    merge_close,
    nearest,
    numbered,
    reject_outliers,
    singletons_as_noise,
)
from tests.fixtures.soak import examples
from tests.fixtures.vectors import Float32, people, unit_vectors


def test_clusters_are_numbered_by_falling_size_and_then_by_smallest_member() -> None:
    assert numbered([7, 3, 3, -5, 9, 9]).tolist() == [2, 0, 0, -1, 1, 1]
    assert numbered([]).tolist() == []
    assert singletons_as_noise(np.array([7, 3, 3, -5, 9, 9])).tolist() == [-1, 0, 0, -1, 1, 1]


def test_labels_that_are_no_integers_are_refused() -> None:
    with pytest.raises(ValueError, match="integers"):
        numbered([0.5, 1.0])


def test_a_centroid_is_the_direction_of_its_faces_mean_and_noise_counts_nowhere() -> None:
    vectors, whose = people(4, faces=10)
    labels = np.where(np.arange(40) == 7, -1, whose)
    for number, centre in enumerate(centroids(vectors, labels)):
        mean = vectors[labels == number].astype(np.float64).mean(0)
        assert np.allclose(centre, mean / np.linalg.norm(mean), atol=1e-6)
    assert np.isnan(distances_to_centroid(vectors, labels)[7])


def test_distances_and_medoids_are_measured_from_the_own_centroid() -> None:
    vectors, whose = people(4, faces=10)
    distance = distances_to_centroid(vectors, whose)
    assert np.allclose(distance, 1 - (vectors * centroids(vectors, whose)[whose]).sum(1), atol=1e-6)
    for number, row in enumerate(medoids(vectors, whose)):
        members = np.flatnonzero(whose == number)
        assert row == members[(vectors[members] @ vectors[members].T).sum(1).argmax()]


def test_only_large_enough_clusters_have_outliers() -> None:
    vectors = np.eye(5)[[0, 0, 0, 1, 2, 2, 3]]
    labels = [0, 0, 0, 0, 1, 1, 1]
    rejected = reject_outliers(vectors, labels, max_cosine_distance=0.55, min_cluster_size=4)
    assert np.flatnonzero(rejected).tolist() == [3]


def merged_one_by_one(vectors: Float32, labels: np.ndarray, limit: float) -> list[list[int]]:
    groups = [np.flatnonzero(labels == c).tolist() for c in range(labels.max() + 1)]
    while len(groups) > 1:
        sums = np.array([vectors[g].astype(np.float64).sum(0) for g in groups])
        unit = sums / np.linalg.norm(sums, axis=1, keepdims=True)
        close = unit @ unit.T
        np.fill_diagonal(close, -2)
        a, b = sorted(np.unravel_index(close.argmax(), close.shape))
        if close[a, b] < 1 - limit:
            break
        groups[a] += groups.pop(b)
    return sorted(sorted(g) for g in groups)


@examples(60)
@given(unit_vectors(max_rows=40), st.sampled_from([0.2, 0.4, 0.7, 0.95]))
def test_close_clusters_merge_as_if_the_closest_pair_were_merged_one_by_one(
    vectors: Float32, limit: float
) -> None:
    vectors = np.unique(vectors, axis=0)
    labels = np.arange(len(vectors)) // 2
    merged = merge_close(vectors, labels, max_cosine_distance=limit)
    groups = sorted(np.flatnonzero(merged == c).tolist() for c in range(merged.max() + 1))
    assert groups == merged_one_by_one(vectors, labels, limit)


def test_noise_stays_noise_when_clusters_merge() -> None:
    vectors = np.eye(3)[[0, 0, 0, 1]]
    assert merge_close(vectors, [0, 1, -1, 2], max_cosine_distance=0.4).tolist() == [0, 0, -1, 1]
    assert merge_close(np.empty((0, 3)), [], max_cosine_distance=0.4).tolist() == []


def test_the_nearest_reference_is_that_of_the_full_product() -> None:
    vectors, _ = people(30, faces=20)
    found = nearest(vectors, vectors[:45])
    full = vectors @ vectors[:45].T
    assert np.array_equal(found.reference, full.argmax(1))
    assert np.allclose(found.cosine_distance, 1 - full.max(1), atol=1e-6)


def test_without_references_nothing_is_near() -> None:
    found = nearest(np.eye(3), np.empty((0, 3)))
    assert found.reference.tolist() == [-1] * 3
    assert np.isinf(found.cosine_distance).all()


def test_vectors_of_two_recognisers_are_not_compared() -> None:
    with pytest.raises(ValueError, match="different recognisers"):
        nearest(np.eye(3), np.eye(4))


def test_labels_for_other_faces_are_refused() -> None:
    with pytest.raises(ValueError, match="2 labels for 3 faces"):
        centroids(np.eye(3), [0, 1])
