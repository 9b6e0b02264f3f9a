"""Clusters joined by their centroids: the closest first, or by complete linkage."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facesets.clustering import Constraints, merge_close
from facesets.clustering.constraints import resolve
from facesets.clustering.merging import associate
from tests.fixtures.soak import examples
from tests.fixtures.vectors import Float32, unit_vectors


@given(rows=unit_vectors(), limit=st.floats(0.0, 1.5))
def test_all_of_a_group_are_near_one_another_and_no_two_groups_could_be_one(
    rows: np.ndarray, limit: float
) -> None:
    group = associate(rows, max_cosine_distance=limit)
    distance = 1.0 - rows.astype(np.float64) @ rows.T.astype(np.float64)
    together = group[:, None] == group[None, :]
    assert (distance[together & ~np.eye(len(rows), dtype=bool)] <= limit + 2e-6).all()
    for a in range(int(group.max(initial=-1)) + 1):
        for b in range(a):
            assert (distance[np.ix_(group == a, group == b)] > limit - 2e-6).any()


@given(rows=unit_vectors(), data=st.data())
def test_what_was_said_holds_however_near_or_far_they_are(rows: np.ndarray, data: st.DataObject) -> None:
    row = st.integers(0, len(rows) - 1)
    pairs = st.lists(st.tuples(row, row), max_size=5).map(
        lambda found: np.array(found, np.int64).reshape(-1, 2)
    )
    must, cannot = data.draw(pairs), data.draw(pairs)
    group = associate(rows, max_cosine_distance=0.8, constraints=Constraints(must, cannot))
    assert (group[must[:, 0]] == group[must[:, 1]]).all()
    tied = resolve(Constraints(must), len(rows)).group
    possible = tied[cannot[:, 0]] != tied[cannot[:, 1]]
    assert (group[cannot[possible, 0]] != group[cannot[possible, 1]]).all()


@given(rows=unit_vectors(), data=st.data())
def test_no_two_owners_come_together(rows: np.ndarray, data: st.DataObject) -> None:
    count = len(rows)
    owner = np.array(data.draw(st.lists(st.integers(-1, 3), min_size=count, max_size=count)), np.int64)
    group = associate(rows, max_cosine_distance=1.2, owner=owner)
    for number in range(int(group.max(initial=-1)) + 1):
        assert len(set(owner[group == number].tolist()) - {-1}) <= 1


def test_the_nearest_pair_goes_first() -> None:
    angle = np.array([0.0, 0.5, 0.9])
    rows = np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)
    assert associate(rows, max_cosine_distance=1 - np.cos(0.6)).tolist() == [1, 0, 0]


def test_a_distance_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match="max_cosine_distance"):
        associate(np.eye(2, dtype=np.float32), max_cosine_distance=2.5)


def merged_one_by_one(vectors: Float32, labels: np.ndarray, limit: float) -> list[list[int]]:
    groups = [np.flatnonzero(labels == c).tolist() for c in range(labels.max() + 1)]
    while len(groups) > 1:
        sums = np.array([vectors[g].astype(np.float64).sum(0) for g in groups])
        unit = sums / np.linalg.norm(sums, axis=1, keepdims=True)
        close = unit @ unit.T
        np.fill_diagonal(close, -2)
        a, b = sorted(np.unravel_index(close.argmax(), close.shape))
        if close[a, b] < 1 - limit:
            break
        groups[a] += groups.pop(b)
    return sorted(sorted(g) for g in groups)


@examples(60)
@given(unit_vectors(max_rows=40), st.sampled_from([0.2, 0.4, 0.7, 0.95]))
def test_close_clusters_merge_as_if_the_closest_pair_were_merged_one_by_one(
    vectors: Float32, limit: float
) -> None:
    vectors = np.unique(vectors, axis=0)
    labels = np.arange(len(vectors)) // 2
    merged = merge_close(vectors, labels, max_cosine_distance=limit)
    groups = sorted(np.flatnonzero(merged == c).tolist() for c in range(merged.max() + 1))
    assert groups == merged_one_by_one(vectors, labels, limit)


def test_noise_stays_noise_when_clusters_merge() -> None:
    vectors = np.eye(3)[[0, 0, 0, 1]]
    assert merge_close(vectors, [0, 1, -1, 2], max_cosine_distance=0.4).tolist() == [0, 0, -1, 1]
    assert merge_close(np.empty((0, 3)), [], max_cosine_distance=0.4).tolist() == []
