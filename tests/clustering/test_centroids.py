import numpy as np
import pytest

from facesets.clustering import (
    centroids,
    distances_to_centroid,
    medoids,
    nearest,
    reject_outliers,
)
from tests.fixtures.vectors import people


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
