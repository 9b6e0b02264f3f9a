"""How clusters are numbered, and how well labels agree with the truth."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facesets.clustering import evaluate, numbered, singletons_as_noise

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


def test_each_noise_face_is_a_cluster_of_its_own() -> None:
    scores = evaluate([0, 0, -1, -1], ["a", "a", "b", "b"])
    assert (scores.clusters, scores.people, scores.noise) == (3, 2, 2)
    assert scores.pairwise_precision == 1.0
    assert scores.pairwise_recall == 0.5


def test_the_truth_scores_one_and_so_does_nothing() -> None:
    assert evaluate([3, 3, 1], ["x", "x", "y"]).bcubed_f1 == 1.0
    assert evaluate([], []).pairwise_f1 == 1.0


def test_a_truth_for_other_faces_is_refused() -> None:
    with pytest.raises(ValueError, match="2 labels for 1"):
        evaluate([0, 1], ["x"])


def test_clusters_are_numbered_by_falling_size_and_then_by_smallest_member() -> None:
    assert numbered([7, 3, 3, -5, 9, 9]).tolist() == [2, 0, 0, -1, 1, 1]
    assert numbered([]).tolist() == []
    assert singletons_as_noise(np.array([7, 3, 3, -5, 9, 9])).tolist() == [-1, 0, 0, -1, 1, 1]


def test_labels_that_are_no_integers_are_refused() -> None:
    with pytest.raises(ValueError, match="integers"):
        numbered([0.5, 1.0])
