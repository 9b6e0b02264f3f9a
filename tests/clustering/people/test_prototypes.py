"""Prototypes of one person: what is chosen, and that the order of the faces does not matter."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facesets.clustering.people.prototypes import (
    QUALITY_SLACK,
    PersonFaces,
    prototypes_of,
    spread_out,
)
from facesets.clustering.people.splitting import NO_YEAR, main_era, split_into_eras
from facesets.clustering.vectors import Float32, Float64, unit_rows
from tests.fixtures.vectors import near


def heart(seed: int) -> Float64:
    return np.random.default_rng(100 + seed).standard_normal(512)


def faces(
    embedding: Float32,
    quality: float | list[float] = 0.8,
    *,
    clarity: float | list[float] = 1.0,
    years: list[int] | None = None,
    pinned: tuple[int, ...] = (),
    dropped: tuple[int, ...] = (),
) -> PersonFaces:
    count = len(embedding)
    rows = np.arange(count)
    return PersonFaces(
        face_id=rows + 10,
        embedding=embedding,
        quality=np.broadcast_to(np.array(quality, np.float32), count).copy(),
        clarity=np.broadcast_to(np.array(clarity, np.float32), count).copy(),
        year=np.zeros(count, np.int64) if years is None else np.array(years),
        pinned=np.isin(rows, pinned),
        dropped=np.isin(rows, dropped),
    )


def test_faces_that_show_nothing_are_prototypes_only_without_others() -> None:
    person, smudges = near(heart(0), 4, 0.95), near(heart(1), 8, 0.95)
    every = np.concatenate([person, smudges])
    clarity = [1.0] * 4 + [0.0] * 8
    shown = prototypes_of(faces(every, clarity=clarity))
    assert shown.exemplars.max() < 4
    assert [each.rows.tolist() for each in shown.centroids] == [[0, 1, 2, 3]]
    small = prototypes_of(faces(every, [0.3] * 12, clarity=clarity))
    assert small.exemplars.max() < 4
    assert len(prototypes_of(faces(smudges, clarity=0.0)).centroids) == 1


def test_the_first_exemplar_is_the_best_face_and_the_others_are_far_from_it() -> None:
    same = near(heart(0), 6, 0.99)
    other = near(near(heart(0), 1, 0.8, seed=9)[0].astype(np.float64), 6, 0.99, seed=1)
    quality = [0.7] * 5 + [0.9] + [0.6] * 6
    first, second, _ = prototypes_of(faces(np.concatenate([same, other]), quality)).exemplars.tolist()
    assert first == 5
    assert second >= 6


def test_a_face_unlike_the_others_is_no_exemplar_however_good() -> None:
    vectors = np.concatenate([near(heart(0), 9, 0.8), near(heart(1), 1, 0.8)])
    chosen = prototypes_of(faces(vectors, [0.6] * 9 + [0.95])).exemplars
    assert 9 not in chosen.tolist()


def test_poor_faces_count_only_where_there_are_no_good_ones() -> None:
    vectors = near(heart(0), 6, 0.7)
    mixed = prototypes_of(faces(vectors, [0.8, 0.8, 0.4, 0.4, 0.4, 0.4]))
    assert sorted(mixed.exemplars.tolist()) == [0, 1]
    assert mixed.centroids[0].vector == pytest.approx(unit_rows(vectors[:2].sum(0)[None])[0], abs=1e-6)
    poor = prototypes_of(faces(vectors, 0.0))
    assert len(poor.exemplars) == 3
    assert poor.centroids[0].vector == pytest.approx(unit_rows(vectors.sum(0)[None])[0], abs=1e-6)


def test_pinned_faces_are_exemplars_all_of_them_and_dropped_ones_are_not() -> None:
    vectors = near(heart(0), 8, 0.7)
    plain = prototypes_of(faces(vectors)).exemplars.tolist()
    pinned = prototypes_of(faces(vectors, pinned=(7, 2))).exemplars.tolist()
    assert pinned[:2] == [2, 7]
    assert len(pinned) == 3
    assert prototypes_of(faces(vectors, pinned=(0, 1, 2, 3))).exemplars.tolist() == [0, 1, 2, 3]
    dropped = prototypes_of(faces(vectors, dropped=tuple(plain)))
    assert not set(dropped.exemplars.tolist()) & set(plain)
    assert len(prototypes_of(faces(vectors, dropped=tuple(range(8)))).exemplars) == 0
    assert len(prototypes_of(faces(vectors, dropped=tuple(range(8)))).centroids) == 1


def test_prototypes_do_not_depend_on_the_order_of_faces() -> None:
    child, adult = near(heart(0), 20, 0.85), near(heart(1), 20, 0.85, seed=1)
    given = faces(np.concatenate([child, adult]), years=[2001] * 20 + [2019] * 20, pinned=(3,))
    order = np.random.default_rng(4).permutation(40)
    shuffled = PersonFaces(*(getattr(given, name)[order] for name in given.__slots__))
    one, other = prototypes_of(given), prototypes_of(shuffled)
    assert given.face_id[one.exemplars].tolist() == shuffled.face_id[other.exemplars].tolist()
    assert [each.vector.tobytes() for each in one.centroids] == [
        each.vector.tobytes() for each in other.centroids
    ]
    assert [sorted(given.face_id[each.rows]) for each in one.centroids] == [
        sorted(shuffled.face_id[each.rows]) for each in other.centroids
    ]


def test_a_person_of_many_years_has_a_centroid_per_era_and_is_found_at_any_age() -> None:
    child, adult = near(heart(0), 20, 0.85), near(heart(1), 20, 0.85, seed=1)
    vectors = np.concatenate([child, adult])
    years = [2001] * 10 + [2002] * 10 + [2018] * 10 + [2019] * 10
    made = prototypes_of(faces(vectors, years=years)).centroids
    assert [each.is_era for each in made] == [False, True, True]
    assert sorted(len(each.rows) for each in made[1:]) == [20, 20]
    later = near(heart(0), 5, 0.85, seed=7)
    assert (later @ made[0].vector).max() < 0.75 < max(float((later @ c.vector).mean()) for c in made)
    undated = prototypes_of(faces(vectors)).centroids
    same_year = prototypes_of(faces(vectors, years=[2001] * 20 + [2002] * 20)).centroids
    assert [len(undated), len(same_year)] == [1, 1]


def test_one_face_is_an_exemplar_and_the_centroid() -> None:
    only = near(heart(0), 1, 0.9)
    made = prototypes_of(faces(only, 0.1))
    assert made.exemplars.tolist() == [0]
    assert made.centroids[0].vector == pytest.approx(only[0], abs=1e-6)


def test_faces_that_cancel_out_have_no_centroid() -> None:
    one = near(heart(0), 1, 0.9)
    made = prototypes_of(faces(np.concatenate([one, -one])))
    assert made.centroids == ()
    assert len(made.exemplars) == 2


def photos(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal(64) + 0.8 * rng.standard_normal((count, 64))
    pose = rng.uniform(-30, 30, (count, 3)).astype(np.float32)
    return rows.astype(np.float32), pose, rng.uniform(0.5, 0.6, count).astype(np.float32)


def closest(rows: np.ndarray, pose: np.ndarray) -> tuple[float, float]:
    """Return the minimum cosine distance and the minimum turn of any two."""
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    apart = np.array([[1 - a @ b for a in unit] for b in unit])
    turn = np.linalg.norm(pose[:, None, :2] - pose[None, :, :2], axis=2)
    pairs = np.triu_indices(len(rows), 1)
    return float(apart[pairs].min()), float(turn[pairs].min())


def test_the_best_face_is_chosen_and_no_two_similar_ones() -> None:
    rows, pose, quality = photos(40)
    # Every photo twice: a choice of the best takes both of most.
    rows, pose, quality = (np.concatenate([each, each]) for each in (rows, pose, quality))
    chosen = spread_out(rows, pose, quality, 8)
    assert chosen[0] == np.argmax(quality)
    assert quality[chosen].tolist() == sorted(quality[chosen].tolist(), reverse=True)
    best = np.argsort(-quality, kind="stable")[:8]
    assert closest(rows[best], pose[best])[0] < 1e-5
    assert closest(rows[chosen], pose[chosen])[0] > 0.1


@pytest.mark.parametrize(
    "pose",
    [[[0, 0, 0], [1, 0, 80], [0, 25, 0], [0, 5, 0]], [[0, 0, 0], [np.nan] * 3, [0, 2, 0], [0, 1, 0]]],
    ids=["by how it is turned, not tilted", "but not by a pose that is unknown"],
)
def test_a_turned_face_counts_like_another_expression(pose: list[list[float]]) -> None:
    rows = np.tile(np.eye(1, 8, dtype=np.float32), (4, 1))
    quality = np.array([0.9, 0.89, 0.88, 0.87], np.float32)
    assert spread_out(rows, np.array(pose, np.float32), quality, 2).tolist() == [0, 2]


def test_a_poor_face_is_not_chosen_however_different() -> None:
    rows, pose, quality = photos(20)
    order = np.argsort(-quality)
    rows[order[-1]] *= -1
    quality[order[-1]] = quality[order[4]] - QUALITY_SLACK - 0.01
    assert order[-1] not in spread_out(rows, pose, quality, 5)
    quality[order[-1]] = quality[order[4]] - QUALITY_SLACK + 0.01
    assert order[-1] in spread_out(rows, pose, quality, 5)


@given(st.integers(1, 30), st.integers(1, 40), st.integers(0, 100))
def test_the_requested_number_is_chosen_independent_of_order(count: int, wanted: int, seed: int) -> None:
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
    rows = np.concatenate([near(np.eye(64)[0], 12, 0.93), near(np.eye(64)[1], 8, 0.93)])
    eras = split_into_eras(
        rows,
        np.repeat(years, (12, 8)),
        max_cosine_distance=0.35,
        min_anchor_faces=5,
        join_cosine_distance=0.4,
        join_years=5,
    )
    assert main_era(eras, apart_years=5).tolist() == [True] * 12 + [not split] * 8
