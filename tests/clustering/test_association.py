"""Clusters grouped into people by complete linkage of their centroids."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facesets.clustering import Constraints
from facesets.clustering.association import associate
from facesets.clustering.constraints import resolve
from tests.fixtures.vectors import unit_vectors


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
