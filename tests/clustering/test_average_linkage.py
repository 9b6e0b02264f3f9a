import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.cluster.hierarchy import linkage
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from facesets.clustering import average_linkage, complete_linkage, evaluate
from facesets.clustering import linkage as linkage_module
from facesets.clustering.average_linkage import best_cut
from tests.fixtures.soak import examples, mostly_slow
from tests.fixtures.vectors import Float32, Int64, People, people, same_partition, unit_vectors


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


@pytest.mark.slow
@pytest.mark.parametrize("cut", mostly_slow([0.55, 0.8, 0.3, 0.65], quick=2))
def test_real_faces_give_scikit_learns_partition(real_people: People, cut: float) -> None:
    vectors = real_people.embedding[:2500]
    ours = average_linkage(vectors, max_cosine_distance=cut)
    assert same_partition(ours, scikit_learns(vectors, cut))


@pytest.mark.parametrize("cut", [0.5, 0.9, 1.2])
def test_one_giant_component_gives_scikit_learns_partition(cut: float) -> None:
    vectors, _ = people(40, faces=40, dimension=12, spread=0.9)
    assert same_partition(average_linkage(vectors, max_cosine_distance=cut), scikit_learns(vectors, cut))


def test_a_giant_component_is_cut_level_by_level_into_the_same_partition(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    vectors, _ = people(30, faces=30, dimension=12, spread=0.9)
    expected = scikit_learns(vectors, 0.95)
    for largest in (0, 5, 40, 200):
        monkeypatch.setattr(linkage_module, "_LARGEST_PIECE", largest)
        assert same_partition(average_linkage(vectors, max_cosine_distance=0.95), expected)


def test_copies_of_a_photo_are_one_cluster() -> None:
    vectors, _ = people(20, faces=1)
    copies = np.repeat(vectors, 50, axis=0)
    assert same_partition(average_linkage(copies, max_cosine_distance=0.0), np.repeat(np.arange(20), 50))


def test_the_order_of_rows_does_not_matter(real_people: People) -> None:
    vectors = real_people.embedding[:2000]
    shuffled = np.random.default_rng(1).permutation(len(vectors))
    labels = average_linkage(vectors, max_cosine_distance=0.6)
    assert same_partition(average_linkage(vectors[shuffled], max_cosine_distance=0.6), labels[shuffled])


def test_one_core_and_two_give_the_same_labels(real_people: People) -> None:
    vectors = real_people.embedding[:3000]
    with threadpool_limits(1):
        alone = average_linkage(vectors, max_cosine_distance=0.6)
    assert np.array_equal(average_linkage(vectors, max_cosine_distance=0.6), alone)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_faces_give_the_obvious_answer(count: int) -> None:
    vectors = np.eye(4, dtype=np.float32)[:count]
    for cluster in (average_linkage, complete_linkage):
        assert cluster(vectors, max_cosine_distance=0.5).tolist() == list(range(count))
        assert cluster(vectors, max_cosine_distance=2.0).tolist() == [0] * count


def test_vectors_of_any_length_and_float_type_cluster_by_direction() -> None:
    vectors, _ = people(5, faces=6)
    labels = average_linkage(vectors, max_cosine_distance=0.5)
    stretched = vectors * np.linspace(0.1, 9, len(vectors), dtype=np.float32)[:, None]
    assert np.array_equal(average_linkage(stretched, max_cosine_distance=0.5), labels)
    halved = vectors.astype(np.float16)
    assert np.array_equal(average_linkage(halved, max_cosine_distance=0.5), labels)


@pytest.mark.parametrize(
    ("vectors", "said"),
    [
        (np.array([[1, 0], [np.nan, 1]]), "Row 1 of embeddings holds NaN"),
        (np.array([[1, 0], [0, 0.0]]), "Row 1 of embeddings is all zeros"),
        (np.ones(3), "two dimensions"),
        (np.ones((3, 2), int), "must hold floats"),
        (np.ones((3, 0)), "at least one number"),
    ],
)
def test_what_cannot_be_compared_is_refused_with_its_reason(vectors: Float32, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        average_linkage(vectors, max_cosine_distance=0.5)


def test_a_distance_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="between 0 and 2"):
        average_linkage(np.eye(2), max_cosine_distance=float("nan"))


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


def test_well_separated_people_are_found() -> None:
    person = np.repeat(np.arange(5), 4)
    rows = np.eye(5)[person] + 0.01 * np.random.default_rng(0).standard_normal((20, 5))
    assert best_cut(rows, person)[1] == 1
