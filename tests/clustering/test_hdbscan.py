from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import ArrayLike
from scipy.sparse.csgraph import minimum_spanning_tree

from facesets.clustering import (
    HdbscanResult,
    approximate_predict,
    graph,
    hdbscan,
    place_by_centroid,
    prediction,
    spanning_tree,
)
from facesets.clustering.condensed_tree import Distance
from tests.fixtures.soak import examples
from tests.fixtures.vectors import Float32, people, same_partition, unit_vectors


def chords(vectors: Float32) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    rows = vectors.astype(np.float64)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    distance = np.sqrt(np.clip(2 - 2 * rows @ rows.T, 0, 4))
    np.fill_diagonal(distance, 0)
    return np.asarray(distance)


def the_package() -> Any:
    """Return the peer package, loaded only where needed: with scikit-learn it takes two seconds."""
    from hdbscan import HDBSCAN

    return HDBSCAN(min_cluster_size=5, min_samples=3, metric="precomputed")


def agreement(one: ArrayLike, other: ArrayLike) -> float:
    """Return the adjusted Rand index."""
    from sklearn.metrics import adjusted_rand_score

    return float(adjusted_rand_score(one, other))


@pytest.mark.slow
@examples(60)
@given(unit_vectors(max_rows=100), st.integers(1, 40))
def test_the_spanning_tree_is_the_best_however_the_faces_fall_into_blocks(
    vectors: Float32, min_samples: int
) -> None:
    with pytest.MonkeyPatch.context() as small_blocks:
        small_blocks.setattr(graph, "_BLOCK_ROWS", 4)
        small_blocks.setattr(graph, "_BLOCK_COLUMNS", 8)
        small_blocks.setattr(graph, "_LOADED_ROWS", 16)
        small_blocks.setattr(spanning_tree, "_MIN_NEIGHBOURS", 1)
        ours = hdbscan(vectors, min_samples=min_samples).spanning_tree.similarity
    rows = vectors.astype(np.float64)
    similarity = np.minimum(rows @ rows.T, 1)
    rank = min(min_samples, len(rows) - 1)
    core = np.array([np.sort(np.delete(row, i))[-rank] for i, row in enumerate(similarity)])
    reachability = np.minimum(similarity, np.minimum(core[:, None], core[None, :]))
    best = minimum_spanning_tree(np.triu(2 - reachability, 1)).data
    assert np.allclose(np.sort(2 - ours), np.sort(best), atol=1e-5)


@pytest.mark.parametrize("distance", ["chord", "cosine"])
def test_well_separated_people_get_all_that_the_package_gives_them(distance: Distance) -> None:
    vectors, owner = people(12, faces=30, dimension=64, spread=0.7)
    peer = the_package().fit(chords(vectors) if distance == "chord" else chords(vectors) ** 2 / 2)
    ours = hdbscan(vectors, distance=distance)
    assert same_partition(ours.labels, peer.labels_)
    assert agreement(owner, ours.labels) > 0.95
    assert np.allclose(ours.strength, peer.probabilities_, atol=1e-3)
    assert np.allclose(ours.outlier_score, peer.outlier_scores_, atol=1e-3)
    # The package's persistence is the share of the maximum stability here.
    size = np.bincount(peer.labels_[peer.labels_ >= 0])
    assert np.allclose(
        np.sort(ours.stability), np.sort(peer.cluster_persistence_[np.argsort(-size)]), atol=1e-3
    )
    tree = peer.condensed_tree_.to_numpy()
    faces = tree[tree["child_size"] == 1]
    left = np.empty(len(vectors))
    left[faces["child"]] = faces["lambda_val"]
    assert np.allclose(ours.density, left, rtol=1e-3)
    selected = sorted(peer.condensed_tree_._select_clusters())
    born = {int(row["child"]): float(row["lambda_val"]) for row in tree if row["child_size"] > 1}
    died = [float(tree["lambda_val"][tree["parent"] == cluster].max()) for cluster in selected]
    lived = np.array(died) - [born[cluster] for cluster in selected]
    assert np.allclose(np.sort(ours.persistence), np.sort(lived), rtol=1e-3, atol=1e-4)
    assert np.allclose(np.sort(1 / ours.epsilon), np.sort([born[each] for each in selected]), rtol=1e-3)


@pytest.mark.slow
@examples(60)
@given(unit_vectors(), st.integers(2, 9), st.integers(1, 3))
def test_every_cluster_is_large_enough_and_lives_from_birth_to_death(
    vectors: Float32, least: int, samples: int
) -> None:
    result = hdbscan(vectors, min_cluster_size=least, min_samples=samples)
    inside = result.labels >= 0
    sizes = np.bincount(result.labels[inside])
    assert (sizes >= least).all()
    assert (np.diff(sizes) <= 0).all()
    assert ((result.strength > 0) == inside).all()
    assert (result.persistence >= 0).all()
    assert (result.epsilon > 0).all()
    assert ((result.stability >= 0) & (result.stability <= 1 + 1e-9)).all()
    assert len(result.density) == len(vectors)
    assert (result.density[inside] >= result.birth_density[result.labels[inside]]).all()


def test_a_result_survives_being_stored_as_plain_arrays(tmp_path: object) -> None:
    result = hdbscan(people(20, faces=20)[0])
    file = f"{tmp_path}/hdbscan.npz"
    np.savez(file, allow_pickle=False, **result.to_arrays())
    with np.load(file, allow_pickle=False) as arrays:
        back = HdbscanResult.from_arrays(arrays)
    for name in ("labels", "strength", "outlier_score", "density", "persistence", "stability", "epsilon"):
        assert np.array_equal(getattr(back, name), getattr(result, name))


def test_damaged_arrays_are_refused() -> None:
    arrays = hdbscan(people(5, faces=9)[0]).to_arrays()
    with pytest.raises(ValueError, match="has no array 'i'"):
        HdbscanResult.from_arrays({k: v for k, v in arrays.items() if k != "i"})
    with pytest.raises(ValueError, match="does not cover"):
        HdbscanResult.from_arrays(arrays | {"core_similarity": arrays["core_similarity"][:-1]})
    with pytest.raises(ValueError, match="version 9"):
        HdbscanResult.from_arrays(arrays | {"version": np.array(9)})


@pytest.mark.parametrize("count", [0, 1, 2, 4])
def test_too_few_faces_are_noise(count: int) -> None:
    assert hdbscan(np.eye(5)[:count]).labels.tolist() == [-1] * count


def test_new_faces_of_known_people_go_to_their_clusters_and_strangers_are_noise() -> None:
    vectors, owner = people(13, faces=40, dimension=64, spread=0.7)
    known, new = np.flatnonzero(owner < 12)[::2], np.flatnonzero(owner < 12)[1::2]
    result = hdbscan(vectors[known])
    found = approximate_predict(result, vectors[known], vectors[new])
    placed = found.labels >= 0
    assert placed.mean() > 0.9
    assert agreement(owner[new][placed], found.labels[placed]) == 1.0
    assert ((found.strength > 0) == placed).all()
    strangers = approximate_predict(result, vectors[known], vectors[owner == 12])
    assert (strangers.labels == -1).mean() > 0.9
    # Some faces of the run may be missing.
    left = np.flatnonzero(np.arange(len(known)) % 5 != 0)
    some = approximate_predict(result, vectors[known][left], vectors[new], faces=left)
    both = placed & (some.labels >= 0)
    assert both.mean() > 0.6
    assert np.array_equal(some.labels[both], found.labels[both])
    assert (some.strength <= found.strength + 1e-6).all()
    with pytest.raises(ValueError, match="had 240 faces, not 192"):
        approximate_predict(result, vectors[known][left], vectors[new])


@examples(60)
@given(unit_vectors(), st.integers(0, 8), st.floats(0.05, 1.0), st.integers(0, 2**32 - 1))
def test_placing_by_centroid_is_what_comparing_each_pair_gives(
    vectors: Float32, clusters: int, most: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    centroids = vectors[rng.integers(0, len(vectors), clusters)]
    epsilon = np.where(rng.random(clusters) < 0.3, np.nan, rng.uniform(0.05, 1.4, clusters))
    found = place_by_centroid(vectors, centroids, epsilon, max_cosine_distance=most)
    reach = np.minimum(np.where(np.isnan(epsilon), 0.45, epsilon**2 / 2), most)
    distance = 1 - vectors.astype(np.float64) @ centroids.astype(np.float64).T
    for face, label in enumerate(found.tolist()):
        near = [c for c in range(clusters) if distance[face, c] <= reach[c] - 1e-5]
        if label < 0:
            assert all(distance[face, c] >= 1 - 1e-5 for c in near)
        else:
            assert distance[face, label] <= reach[label] + 1e-5
            assert all(distance[face, c] >= distance[face, label] - 1e-5 for c in near)


def test_prediction_by_sorting_is_that_by_looking_for_the_best_again_and_again() -> None:
    vectors, _ = people(8, faces=25, dimension=64, spread=0.7)
    result = hdbscan(vectors[:150], min_samples=4)
    quick = approximate_predict(result, vectors[:150], vectors[150:])
    with pytest.MonkeyPatch.context() as none_is_few:
        none_is_few.setattr(prediction, "_FEW", 0)
        sorted_all = approximate_predict(result, vectors[:150], vectors[150:])
    assert np.array_equal(quick.labels, sorted_all.labels)
    assert np.allclose(quick.strength, sorted_all.strength)
