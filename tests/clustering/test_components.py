import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.csgraph import connected_components as scipys

from facesets.clustering import connected_components, grow_components, knn_graph, threshold_graph
from tests.clustering.vectors import Float32, People, people, same_partition, unit_vectors


@settings(max_examples=50, deadline=None)
@given(unit_vectors(), st.floats(-0.9, 0.99))
def test_components_equal_scipys_on_the_dense_graph(vectors: Float32, similarity: float) -> None:
    rows = vectors.astype(np.float64)
    dense = rows @ rows.T >= similarity - 1e-6
    ours = connected_components(vectors, min_cosine_similarity=similarity)
    assert same_partition(ours, scipys(dense, directed=False)[1])


@pytest.mark.parametrize("similarity", [0.4, 0.5, 0.65])
def test_components_of_real_faces_equal_scipys(real_people: People, similarity: float) -> None:
    rows = real_people.embedding[:3000].astype(np.float64)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    ours = connected_components(real_people.embedding[:3000], min_cosine_similarity=similarity)
    assert same_partition(ours, scipys(rows @ rows.T >= similarity, directed=False)[1])


def test_the_threshold_graph_holds_each_near_pair_once() -> None:
    vectors, _ = people(40, faces=60)
    edges = threshold_graph(vectors, min_cosine_similarity=0.5)
    rows = vectors.astype(np.float64)
    i, j = np.nonzero(np.triu(rows @ rows.T >= 0.5 - 1e-6, 1))
    assert set(zip(edges.i.tolist(), edges.j.tolist(), strict=True)) == set(
        zip(i.tolist(), j.tolist(), strict=True)
    )
    assert len(edges) == len(i)
    assert np.allclose(edges.similarity, (rows[edges.i] * rows[edges.j]).sum(1), atol=1e-6)


@pytest.mark.parametrize("k", [1, 5, 40])
def test_the_nearest_neighbours_are_those_of_a_full_sort(k: int) -> None:
    vectors, _ = people(60, faces=50)
    found = knn_graph(vectors, k=k)
    rows = vectors.astype(np.float64)
    full = rows @ rows.T
    np.fill_diagonal(full, -np.inf)
    assert np.allclose(found.similarity, -np.sort(-full, axis=1)[:, :k], atol=1e-6)
    assert np.allclose(np.take_along_axis(full, found.index.astype(np.int64), 1), found.similarity, atol=1e-6)


def test_with_fewer_others_than_neighbours_the_rest_stays_empty() -> None:
    found = knn_graph(np.eye(3), k=5)
    assert (found.index[:, 2:] == -1).all()
    assert len(found.edges()) == 3


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_faces_give_the_obvious_answer(count: int) -> None:
    vectors = np.eye(4)[:count]
    assert connected_components(vectors, min_cosine_similarity=0.5).tolist() == list(range(count))
    assert len(threshold_graph(vectors, min_cosine_similarity=0.5)) == 0
    assert knn_graph(vectors, k=2).index.shape == (count, 2)


@settings(max_examples=40, deadline=None)
@given(unit_vectors(), st.floats(-0.5, 0.99), st.integers(0, 60))
def test_adding_faces_to_known_components_equals_starting_again(
    vectors: Float32, similarity: float, known: int
) -> None:
    known = min(known, len(vectors))
    before = connected_components(vectors[:known], min_cosine_similarity=similarity)
    grown = grow_components(vectors[:known], before, vectors[known:], min_cosine_similarity=similarity)
    assert np.array_equal(grown, connected_components(vectors, min_cosine_similarity=similarity))


def test_the_order_of_rows_does_not_matter() -> None:
    vectors, _ = people(50, faces=20)
    shuffled = np.random.default_rng(1).permutation(len(vectors))
    labels = connected_components(vectors, min_cosine_similarity=0.6)[shuffled]
    assert same_partition(connected_components(vectors[shuffled], min_cosine_similarity=0.6), labels)
