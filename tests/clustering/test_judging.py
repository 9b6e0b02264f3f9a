import numpy as np
import pytest
from sklearn.metrics import silhouette_samples

from facesets.clustering import (
    calibrate,
    silhouettes,
    stability,
)
from tests.clustering.vectors import People, people


def test_silhouettes_equal_scikit_learns() -> None:
    vectors, whose = people(12, faces=9, spread=0.9)
    whose[5] = 12
    expected = silhouette_samples(vectors.astype(np.float64), whose, metric="cosine")
    assert np.allclose(silhouettes(vectors, whose), expected, atol=1e-5)


def test_noise_has_no_silhouette_and_one_cluster_none_either() -> None:
    assert np.isnan(silhouettes(np.eye(3), [0, 1, -1])[2])
    assert silhouettes(np.eye(3), [0, 0, 0]).tolist() == [0, 0, 0]


def test_stability_finds_each_cluster_in_the_other_run() -> None:
    found = stability([0, 0, 0, 1, 1, 2, -1], [1, 1, 1, 0, 2, -1, 0])
    assert found.best_match.tolist() == [1, 2, -1]
    assert found.jaccard.tolist() == [1.0, 0.5, 0.0]


def test_calibration_finds_what_one_persons_faces_share(real_people: People) -> None:
    measured = calibrate(real_people.embedding)
    assert measured.typical == pytest.approx(0.61, abs=0.03)
    assert measured.strangers < measured.link < measured.core < measured.typical


def test_a_recogniser_with_other_similarities_gets_other_thresholds(real_people: People) -> None:
    # A constant part in every vector lifts all similarities, as some recognisers do.
    vectors = real_people.embedding[:3000]
    lifted = np.c_[vectors, np.full(len(vectors), 0.8, np.float32)]
    assert calibrate(lifted).link > calibrate(vectors).link + 0.1


def test_too_few_faces_get_arcfaces_values() -> None:
    assert calibrate(np.eye(5)).typical == 0.6
    assert calibrate(np.empty((0, 5))).source == "ArcFace's values"
