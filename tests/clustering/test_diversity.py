import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facesets.clustering.diversity import QUALITY_SLACK, spread_out
from facesets.clustering.eras import NO_YEAR, main_era, split_into_eras


def photos(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal(64) + 0.8 * rng.standard_normal((count, 64))
    pose = rng.uniform(-30, 30, (count, 3)).astype(np.float32)
    return rows.astype(np.float32), pose, rng.uniform(0.5, 0.6, count).astype(np.float32)


def closest(rows: np.ndarray, pose: np.ndarray) -> tuple[float, float]:
    """The least cosine distance and the least turn of any two."""
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    apart = np.array([[1 - a @ b for a in unit] for b in unit])
    turn = np.linalg.norm(pose[:, None, :2] - pose[None, :, :2], axis=2)
    pairs = np.triu_indices(len(rows), 1)
    return float(apart[pairs].min()), float(turn[pairs].min())


def test_the_best_face_is_chosen_and_no_two_alike() -> None:
    rows, pose, quality = photos(40)
    # Every photo twice: a choice of the best takes both of most.
    rows, pose, quality = (np.concatenate([each, each]) for each in (rows, pose, quality))
    chosen = spread_out(rows, pose, quality, 8)
    assert chosen[0] == np.argmax(quality)
    assert quality[chosen].tolist() == sorted(quality[chosen].tolist(), reverse=True)
    best = np.argsort(-quality, kind="stable")[:8]
    assert closest(rows[best], pose[best])[0] < 1e-5
    assert closest(rows[chosen], pose[chosen])[0] > 0.1


def test_a_turned_face_is_as_telling_as_another_expression() -> None:
    rows = np.tile(np.eye(1, 8, dtype=np.float32), (4, 1))
    pose = np.array([[0, 0, 0], [1, 0, 80], [0, 25, 0], [0, 5, 0]], np.float32)
    assert spread_out(rows, pose, np.array([0.9, 0.89, 0.88, 0.87], np.float32), 2).tolist() == [0, 2]


def test_an_unknown_pose_turns_nobody() -> None:
    rows = np.tile(np.eye(1, 8, dtype=np.float32), (3, 1))
    pose = np.array([[0, 0, 0], [np.nan] * 3, [0, 2, 0]], np.float32)
    assert spread_out(rows, pose, np.array([0.9, 0.89, 0.88], np.float32), 2).tolist() == [0, 2]


def test_a_poor_face_is_not_chosen_however_different() -> None:
    rows, pose, quality = photos(20)
    order = np.argsort(-quality)
    rows[order[-1]] *= -1
    quality[order[-1]] = quality[order[4]] - QUALITY_SLACK - 0.01
    assert order[-1] not in spread_out(rows, pose, quality, 5)
    quality[order[-1]] = quality[order[4]] - QUALITY_SLACK + 0.01
    assert order[-1] in spread_out(rows, pose, quality, 5)


@given(st.integers(1, 30), st.integers(1, 40), st.integers(0, 100))
def test_so_many_are_chosen_each_once_and_the_same_ones_in_whatever_order(
    count: int, wanted: int, seed: int
) -> None:
    rows, pose, quality = photos(count, seed)
    chosen = spread_out(rows, pose, quality, wanted)
    assert len(set(chosen.tolist())) == len(chosen) == min(count, wanted)
    order = np.random.default_rng(seed).permutation(count)
    assert order[spread_out(rows[order], pose[order], quality[order], wanted)].tolist() == chosen.tolist()


@pytest.mark.parametrize(
    ("years", "split"),
    [((1990, 2010), True), ((2008, 2010), False), ((NO_YEAR, 2010), False), ((NO_YEAR, NO_YEAR), False)],
)
def test_the_main_era_is_the_largest_where_there_is_something_to_split(
    years: tuple[int, int], split: bool
) -> None:
    rng = np.random.default_rng(0)
    rows = np.concatenate(
        [
            np.eye(64)[0] + 0.05 * rng.standard_normal((12, 64)),
            np.eye(64)[1] + 0.05 * rng.standard_normal((8, 64)),
        ]
    )
    eras = split_into_eras(
        rows,
        np.repeat(years, (12, 8)),
        max_cosine_distance=0.35,
        min_anchor_faces=5,
        join_cosine_distance=0.4,
        join_years=5,
    )
    assert main_era(eras, apart_years=5).tolist() == [True] * 12 + [not split] * 8
