import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facesets.clustering import approximate_knn_graph, knn_graph, neighbour_recall
from tests.fixtures.soak import examples
from tests.fixtures.vectors import Float32, People, people, unit_vectors


@pytest.mark.slow
def test_nearly_all_neighbours_of_real_faces_are_found(real_people: People) -> None:
    vectors = real_people.embedding
    found = approximate_knn_graph(vectors, k=16)
    exact = knn_graph(vectors, k=16)
    near = exact.similarity >= 0.4
    share = [np.isin(exact.index[row][near[row]], found.index[row]) for row in range(len(vectors))]
    assert np.concatenate(share).mean() > 0.99
    assert (found.similarity <= exact.similarity + 1e-6).all()


def test_recall_is_what_comparing_with_the_exact_neighbours_gives(real_people: People) -> None:
    vectors = real_people.embedding[:2000]
    found = approximate_knn_graph(vectors, k=8, probes=4)
    exact = knn_graph(vectors, k=8)
    due = exact.similarity >= 0.3
    share = (
        sum(np.isin(exact.index[row][due[row]], found.index[row]).sum() for row in range(2000)) / due.sum()
    )
    assert neighbour_recall(vectors, found, faces=2000, min_cosine_similarity=0.3) == pytest.approx(share)
    assert share < 1
    assert neighbour_recall(vectors, exact, faces=2000) == 1


@examples(50)
@given(unit_vectors(), st.integers(1, 70))
def test_what_is_found_is_true_and_with_all_cells_probed_nothing_is_missed(vectors: Float32, k: int) -> None:
    found = approximate_knn_graph(vectors, k=k, probes=1000)
    exact = knn_graph(vectors, k=k)
    np.testing.assert_allclose(found.similarity, exact.similarity, atol=1e-6)
    there = found.index >= 0
    i = np.nonzero(there)[0]
    products = np.einsum("ij,ij->i", vectors[i], vectors[found.index[there]])
    np.testing.assert_allclose(found.similarity[there], products, atol=1e-6)
    assert all(len(set(row[row >= 0].tolist())) == (row >= 0).sum() for row in found.index)
    assert not (found.index == np.arange(len(vectors))[:, None]).any()


def test_the_order_of_the_faces_does_not_matter(real_people: People) -> None:
    vectors = real_people.embedding[:3000]
    order = np.random.default_rng(1).permutation(len(vectors))
    found = approximate_knn_graph(vectors, k=5, probes=3)
    again = approximate_knn_graph(vectors[order], k=5, probes=3)
    there = again.index >= 0
    np.testing.assert_array_equal(there, found.index[order] >= 0)
    np.testing.assert_array_equal(order[again.index[there]], found.index[order][there])


def test_neighbours_below_the_limit_are_left_out() -> None:
    vectors, _ = people(20, faces=10)
    found = approximate_knn_graph(vectors, k=30, min_cosine_similarity=0.5)
    assert (found.similarity[found.index >= 0] >= 0.5).all()
    assert (found.similarity[found.index < 0] == -np.inf).all()
