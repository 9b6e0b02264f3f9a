"""Clusters joined by their centroids: the closest first, or by complete linkage."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facesets.clustering import (
    Constraints,
    average_linkage,
    connected_components,
    linkage,
    merge_close,
)
from facesets.clustering.merging import associate
from tests.fixtures.soak import examples
from tests.fixtures.vectors import Float32, Int64, people, unit_vectors


def test_noise_stays_noise_when_clusters_merge() -> None:
    vectors = np.eye(3)[[0, 0, 0, 1]]
    assert merge_close(vectors, [0, 1, -1, 2], max_cosine_distance=0.4).tolist() == [0, 0, -1, 1]
    assert merge_close(np.empty((0, 3)), [], max_cosine_distance=0.4).tolist() == []


def merged_one_by_one(
    vectors: Float32, labels: Int64, cannot: Int64, limit: float, *, by_centroid: bool
) -> list[list[int]]:
    """Repeatedly merge the closest two groups that may merge."""
    groups = [np.flatnonzero(labels == label).tolist() for label in np.unique(labels)]
    barred = {frozenset(pair) for pair in cannot.tolist()}
    while len(groups) > 1:
        means = np.array([vectors[group].astype(np.float64).mean(0) for group in groups])
        if by_centroid:
            means /= np.linalg.norm(means, axis=1, keepdims=True)
        similarity = means @ means.T
        for (a, one), (b, other) in product(enumerate(groups), repeat=2):
            if a == b or any(frozenset((x, y)) in barred for x in one for y in other):
                similarity[a, b] = -9
        a, b = sorted(np.unravel_index(similarity.argmax(), similarity.shape))
        if similarity[a, b] < 1 - limit:
            break
        groups[a] += groups.pop(b)
    return sorted(sorted(group) for group in groups)


def as_groups(labels: Int64) -> list[list[int]]:
    return sorted(np.flatnonzero(labels == label).tolist() for label in np.unique(labels))


@examples(80)
@given(
    vectors=unit_vectors(max_rows=40),
    limit=st.sampled_from([0.2, 0.4, 0.7, 0.95, 1.2]),
    seed=st.integers(0, 2**32 - 1),
    barred=st.sampled_from([0, 6]),
)
def test_close_clusters_are_merged_the_closest_first_of_those_that_may_be(
    vectors: Float32, limit: float, seed: int, barred: int
) -> None:
    vectors = np.unique(vectors, axis=0)
    labels = np.arange(len(vectors)) // 2
    cannot = np.random.default_rng(seed).integers(0, len(vectors), (barred, 2))
    known = Constraints(cannot_link=cannot)
    merged = merge_close(vectors, labels, max_cosine_distance=limit, constraints=known)
    between = cannot[labels[cannot[:, 0]] != labels[cannot[:, 1]]]
    assert as_groups(merged) == merged_one_by_one(vectors, labels, between, limit, by_centroid=True)


@examples(25)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.4, 0.8, 1.2]), st.sampled_from([0, 4, 3000]))
def test_average_linkage_merges_the_closest_first_of_those_that_may_be(
    seed: int, cut: float, largest_piece: int
) -> None:
    vectors, _ = people(4, faces=6, dimension=8, seed=seed)
    cannot = np.random.default_rng(seed).integers(0, 24, (15, 2))
    cannot = cannot[cannot[:, 0] != cannot[:, 1]]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(linkage, "_LARGEST_PIECE", largest_piece)
        labels = average_linkage(
            vectors, max_cosine_distance=cut, constraints=Constraints(cannot_link=cannot)
        )
    expected = merged_one_by_one(vectors, np.arange(24), cannot, cut, by_centroid=False)
    assert as_groups(labels) == expected


def test_clusters_of_one_person_are_joined_however_far_apart_and_noise_constrains_nothing() -> None:
    vectors = np.eye(4)[[0, 1, 2, 2, 3]]
    known = Constraints(must_link=np.array([[0, 1], [2, 4]]), cannot_link=np.array([[0, 1], [2, 3], [3, 4]]))
    merged = merge_close(vectors, [0, 1, 2, 3, -1], max_cosine_distance=0.3, constraints=known)
    assert merged.tolist() == [0, 0, 1, 2, -1]


def joined_pair_by_pair(
    vectors: Float32, known: Constraints, limit: float, owner: Int64, *, complete: bool
) -> list[list[int]]:
    """Join near pairs, the most similar first, if their groups may merge."""
    similarity = vectors.astype(np.float64) @ vectors.T.astype(np.float64)
    barred = {frozenset(pair) for pair in known.cannot_link.tolist()}
    groups = [{row} for row in range(len(vectors))]
    near = np.argwhere(np.triu(similarity >= limit, 1))
    order = np.argsort(-similarity[near[:, 0], near[:, 1]], kind="stable")
    for number, (a, b) in enumerate([*known.must_link.tolist(), *near[order].tolist()]):
        one = next(group for group in groups if a in group)
        other = next(group for group in groups if b in group)
        owners = {max(owner[list(group)]) for group in (one, other)} - {-1}
        may = len(owners) < 2 and not any(frozenset(pair) in barred for pair in product(one, other))
        may &= not complete or bool((similarity[np.ix_(list(one), list(other))] >= limit).all())
        if one is not other and (may or number < len(known.must_link)):
            groups.remove(other)
            one |= other
    return sorted(sorted(group) for group in groups)


@examples(100)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.2, 0.5, 0.8]), st.booleans())
def test_near_pairs_are_joined_the_most_similar_first_if_nothing_is_between_them(
    seed: int, limit: float, complete: bool
) -> None:
    """By complete linkage, where clusters have owners, or as components."""
    rng = np.random.default_rng(seed)
    vectors, _ = people(4, faces=6, dimension=8, seed=seed)
    known = Constraints(rng.integers(0, 24, (3, 2)), rng.integers(0, 24, (10, 2)))
    owner = np.maximum(rng.integers(-3, 4, 24), -1) if complete else np.full(24, -1)
    if complete:
        labels = associate(vectors, max_cosine_distance=1 - limit, constraints=known, owner=owner)
    else:
        labels = connected_components(vectors, min_cosine_similarity=limit, constraints=known)
    assert as_groups(labels) == joined_pair_by_pair(vectors, known, limit, owner, complete=complete)
