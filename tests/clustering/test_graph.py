"""Pairs, neighbours and components of near faces, exact and approximate."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse.csgraph import connected_components as scipys

from facesets.clustering import (
    approximate_knn_graph,
    check_links,
    connected_components,
    graph,
    is_approximate,
    knn_graph,
    neighbour_recall,
    threshold_graph,
)
from facesets.clustering.approximate_pairs import near_edge_chunks
from tests.fixtures.soak import examples
from tests.fixtures.vectors import Float32, People, people, same_partition, unit_vectors


@pytest.fixture
def on_disk(tmp_path: Path) -> np.memmap:
    vectors, _ = people(800, faces=10, dimension=256)
    np.save(tmp_path / "vectors.npy", vectors.astype(np.float16))
    mapped = np.load(tmp_path / "vectors.npy", mmap_mode="r")
    assert isinstance(mapped, np.memmap)
    return mapped


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph, "_BLOCK_ROWS", 64)
    monkeypatch.setattr(graph, "_BLOCK_COLUMNS", 256)
    monkeypatch.setattr(graph, "_LOADED_ROWS", 512)


def in_memory(mapped: np.memmap) -> Float32:
    return np.array(mapped, np.float32)


@pytest.mark.slow
@pytest.mark.usefixtures("small_blocks")
def test_graphs_of_vectors_on_disk_are_those_of_vectors_in_memory(on_disk: np.memmap) -> None:
    streamed = threshold_graph(on_disk, min_cosine_similarity=0.5)
    whole = threshold_graph(in_memory(on_disk), min_cosine_similarity=0.5)
    assert set(zip(streamed.i, streamed.j, strict=True)) == set(zip(whole.i, whole.j, strict=True))
    assert len(streamed) == len(whole) > 0
    np.testing.assert_allclose(
        knn_graph(on_disk, k=5).similarity, knn_graph(in_memory(on_disk), k=5).similarity, atol=1e-6
    )


@pytest.mark.slow
@pytest.mark.usefixtures("small_blocks")
def test_vectors_on_disk_are_never_in_memory_all_at_once(on_disk: np.memmap) -> None:
    tracemalloc.start()
    threshold_graph(on_disk, min_cosine_similarity=0.9)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < on_disk.size * 4 / 2


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("faces", [1, 63, 64, 65, 255, 257, 511, 513, 1100])
def test_every_pair_is_met_once_whatever_the_number_of_faces(faces: int) -> None:
    vectors, _ = people(faces, faces=1, dimension=4)
    found = threshold_graph(vectors, min_cosine_similarity=-1)
    assert len(found) == faces * (faces - 1) // 2
    assert (found.i < found.j).all()
    assert len(np.unique(found.i.astype(np.int64) * faces + found.j)) == len(found)


def test_an_invalid_row_on_disk_is_named(tmp_path: Path) -> None:
    vectors, _ = people(3, faces=3)
    vectors[5, 2] = np.nan
    np.save(tmp_path / "vectors.npy", vectors)
    with pytest.raises(ValueError, match="Row 5 of embeddings holds NaN"):
        threshold_graph(np.load(tmp_path / "vectors.npy", mmap_mode="r"), min_cosine_similarity=0.5)


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


@pytest.mark.slow
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


@pytest.mark.slow
def test_comparing_nearby_faces_only_finds_the_components_of_real_faces(real_people: People) -> None:
    near, exact = (
        connected_components(real_people.embedding, min_cosine_similarity=0.5, approximate=approximate)
        for approximate in (True, False)
    )
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


def test_nearly_all_neighbours_of_real_faces_are_found_and_recall_is_right(real_people: People) -> None:
    vectors = real_people.embedding[:2000]
    exact = knn_graph(vectors, k=8)
    due = exact.similarity >= 0.3
    for probes, least in ((4, 0.5), (32, 0.99)):
        found = approximate_knn_graph(vectors, k=8, probes=probes)
        found_pairs = [np.isin(exact.index[row][due[row]], found.index[row]).sum() for row in range(2000)]
        recall = neighbour_recall(vectors, found, faces=2000, min_cosine_similarity=0.3)
        assert recall == pytest.approx(np.sum(found_pairs) / due.sum())
        assert least < recall <= 1 - (probes == 4) * 1e-6
        assert (found.similarity <= exact.similarity + 1e-6).all()
    assert neighbour_recall(vectors, exact, faces=2000) == 1


@examples(50)
@given(unit_vectors(), st.integers(1, 70))
def test_found_pairs_are_valid_and_complete_if_all_cells_are_probed(vectors: Float32, k: int) -> None:
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
