import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from facesets.clustering import graph, knn_graph, threshold_graph
from tests.fixtures.vectors import Float32, people


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


def test_a_row_on_disk_that_is_no_vector_is_named(tmp_path: Path) -> None:
    vectors, _ = people(3, faces=3)
    vectors[5, 2] = np.nan
    np.save(tmp_path / "vectors.npy", vectors)
    with pytest.raises(ValueError, match="Row 5 of embeddings holds NaN"):
        threshold_graph(np.load(tmp_path / "vectors.npy", mmap_mode="r"), min_cosine_similarity=0.5)
