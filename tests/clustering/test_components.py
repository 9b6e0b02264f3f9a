import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse.csgraph import connected_components as scipys

from facesets.clustering import (
    check_links,
    connected_components,
    is_approximate,
    knn_graph,
    threshold_graph,
)
from facesets.clustering.approximate_pairs import near_edge_chunks
from tests.fixtures.soak import examples
from tests.fixtures.vectors import Float32, People, people, same_partition, unit_vectors

pytestmark = pytest.mark.slow


@examples(50)
@given(unit_vectors(), st.floats(-0.9, 0.99))
def test_components_equal_scipys_on_the_dense_graph(vectors: Float32, similarity: float) -> None:
    rows = vectors.astype(np.float64)
    dense = rows @ rows.T >= similarity - 1e-6
    expected = scipys(dense, directed=False)[1]
    # Few faces are all near each other.
    for near in (False, True):
        ours = connected_components(vectors, min_cosine_similarity=similarity, approximate=near)
        assert same_partition(ours, expected)


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


@pytest.mark.parametrize("similarity", [0.5, 0.65])
def test_comparing_nearby_faces_only_finds_the_components_of_real_faces(
    real_people: People, similarity: float
) -> None:
    vectors = real_people.embedding
    near = connected_components(vectors, min_cosine_similarity=similarity, approximate=True)
    exact = connected_components(vectors, min_cosine_similarity=similarity, approximate=False)
    assert same_partition(near, exact)


@examples(30)
@given(unit_vectors(), st.floats(-0.5, 0.99), st.integers(1, 3))
def test_near_pairs_are_similar_pairs_each_once_though_with_few_cells_not_all(
    vectors: Float32, similarity: float, probes: int
) -> None:
    rows = vectors.astype(np.float64)
    due = set(zip(*np.nonzero(np.triu(rows @ rows.T >= similarity - 1e-6, 1)), strict=True))
    chunks = near_edge_chunks(vectors, min_cosine_similarity=similarity, probes=probes)
    found = [pair for chunk in chunks for pair in zip(chunk.i, chunk.j, strict=True)]
    assert set(found) <= due
    assert len(set(found)) == len(found)


def test_very_many_faces_are_compared_with_nearby_ones_unless_all_are_wanted() -> None:
    assert [is_approximate(count) for count in (100_000, 1_000_000)] == [False, True]
    assert not is_approximate(1_000_000, wanted=False)
    assert is_approximate(10, wanted=True)


def test_the_check_of_links_counts_similar_pairs_that_are_apart() -> None:
    vectors, _ = people(30, faces=10)
    rows = vectors.astype(np.float64)
    linked = rows @ rows.T >= 0.5
    np.fill_diagonal(linked, val=False)
    labels = connected_components(vectors, min_cosine_similarity=0.5)
    whole = check_links(vectors, labels, min_cosine_similarity=0.5)
    assert (whole.links, whole.links_together, whole.faces_whole) == (linked.sum(), linked.sum(), 300)
    torn = labels.copy()
    torn[:40] = np.arange(40) + 1000
    apart = linked & (torn[:, None] != torn)
    found = check_links(vectors, torn, min_cosine_similarity=0.5)
    assert found.links_together == linked.sum() - apart.sum() < linked.sum()
    assert found.share_whole == 1 - apart.any(axis=1).mean()
    some = check_links(vectors, torn, min_cosine_similarity=0.5, faces=2)
    assert (some.faces, some.links) == (2, linked[[0, -1]].sum())
    assert check_links(np.empty((0, 3)), [], min_cosine_similarity=0.5).share_together == 1
