import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.cluster.hierarchy import linkage

from facesets.clustering import average_linkage, complete_linkage, evaluate
from facesets.clustering import linkage as linkage_module
from facesets.clustering.average_linkage import best_cut
from tests.fixtures.soak import examples
from tests.fixtures.vectors import Float32, Int64, people, same_partition, unit_vectors


def scikit_learns(vectors: Float32, cut: float, how: str = "average") -> Int64:
    from sklearn.cluster import AgglomerativeClustering

    model = AgglomerativeClustering(n_clusters=None, distance_threshold=cut, metric="cosine", linkage=how)
    labels: Int64 = model.fit_predict(vectors.astype(np.float64))
    return labels


def heights(vectors: Float32) -> NDArray[np.float64]:
    rows = vectors.astype(np.float64)
    distance = np.clip(1 - (rows @ rows.T)[np.triu_indices(len(rows), 1)], 0, 2)
    return np.asarray(linkage(distance, method="average")[:, 2])


@pytest.mark.slow
@examples(80)
@given(unit_vectors(), st.floats(0.01, 1.5))
def test_average_linkage_gives_scikit_learns_partition(vectors: Float32, cut: float) -> None:
    merges = heights(vectors)
    # Where two different merges are equally good, or one lies on the cut, both answers are right.
    apart = np.diff(np.unique(np.round(merges[merges > 1e-6], 12)))
    assume(not len(apart) or apart.min() > 1e-5)
    assume(np.abs(merges - cut).min() > 1e-5)
    assert same_partition(average_linkage(vectors, max_cosine_distance=cut), scikit_learns(vectors, cut))


@pytest.mark.parametrize("cut", [0.5, 0.95, 1.2])
def test_a_giant_component_is_cut_level_by_level_into_scikit_learns_partition(
    monkeypatch: pytest.MonkeyPatch, cut: float
) -> None:
    vectors, _ = people(30, faces=30, dimension=12, spread=0.9)
    expected = scikit_learns(vectors, cut)
    for largest in (0, 5, 40, 200, 3000):
        monkeypatch.setattr(linkage_module, "_LARGEST_PIECE", largest)
        assert same_partition(average_linkage(vectors, max_cosine_distance=cut), expected)


def test_copies_of_a_photo_are_one_cluster() -> None:
    vectors, _ = people(20, faces=1)
    copies = np.repeat(vectors, 50, axis=0)
    assert same_partition(average_linkage(copies, max_cosine_distance=0.0), np.repeat(np.arange(20), 50))


def test_vectors_of_any_length_and_float_type_cluster_by_direction() -> None:
    vectors, _ = people(5, faces=6)
    labels = average_linkage(vectors, max_cosine_distance=0.5)
    stretched = vectors * np.linspace(0.1, 9, len(vectors), dtype=np.float32)[:, None]
    assert np.array_equal(average_linkage(stretched, max_cosine_distance=0.5), labels)
    halved = vectors.astype(np.float16)
    assert np.array_equal(average_linkage(halved, max_cosine_distance=0.5), labels)


def test_complete_linkage_gives_scikit_learns_partition() -> None:
    vectors, _ = people(30, faces=8, spread=0.8)
    for cut in (0.3, 0.6, 0.9):
        ours = complete_linkage(vectors, max_cosine_distance=cut)
        assert same_partition(ours, scikit_learns(vectors, cut, "complete"))


def test_no_other_cut_of_average_linkage_is_much_better() -> None:
    rng = np.random.default_rng(0)
    person = np.repeat(np.arange(20), 8)
    rows = rng.standard_normal((20, 16))[person] + 0.9 * rng.standard_normal((160, 16))
    distance, f1 = best_cut(rows, person)
    scores = {
        cut: evaluate(average_linkage(rows, max_cosine_distance=cut), person).bcubed_f1
        for cut in np.arange(0.1, 1.2, 0.05)
    }
    assert 0.5 < f1 < 1
    assert max(scores.values()) - f1 < 0.02
    ours = evaluate(average_linkage(rows, max_cosine_distance=distance + 1e-6), person).bcubed_f1
    assert abs(ours - f1) < 1e-9
