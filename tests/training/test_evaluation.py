"""Metrics of vectors of known people, and the choice of held-out ones."""

import numpy as np
import pytest
from numpy.typing import NDArray

from facesets.training.evaluation import (
    Nearest,
    RecognitionTrial,
    assignment,
    calibrated,
    nearest_people,
    trial_of,
    verification,
)
from facesets.training.head import project
from facesets.training.lesson import FOLDS, capped, held_out_faces, held_out_people


def unit(rows: NDArray[np.floating]) -> NDArray[np.float32]:
    return project((), np.asarray(rows, np.float32))


def test_true_accepts_are_counted_where_one_in_a_thousand_strangers_passes() -> None:
    rng = np.random.default_rng(0)
    person = np.repeat(np.arange(40), 10)
    rows = unit(rng.standard_normal((40, 16))[person] + 0.5 * rng.standard_normal((400, 16)))
    trial = RecognitionTrial(rows, person, np.arange(400) % 2 == 0)
    found = verification(trial, rows)
    similarity = rows[::2] @ rows[1::2].T
    same = person[::2][:, None] == person[1::2][None, :]
    two = similarity[~same]
    passing = min(cut for cut in np.sort(two)[-100:] if (two > cut).mean() <= 1e-3)
    assert found.true_accepts == (similarity[same] > passing).mean()
    best = max(
        ((similarity[same] >= cut).mean() + (similarity[~same] < cut).mean()) / 2 for cut in similarity[same]
    )
    assert abs(found.accuracy - best) < 1e-12
    assert 0.5 < found.true_accepts < found.accuracy < 1


def test_perfect_vectors_score_one_and_equal_ones_nothing() -> None:
    person = np.repeat(np.arange(4), 4)
    asked = np.arange(16) % 2 == 0
    perfect = RecognitionTrial(unit(np.eye(4)[person]), person, asked)
    assert (verification(perfect, perfect.embedding).accuracy) == 1
    assert verification(perfect, perfect.embedding).true_accepts == 1
    assert assignment(nearest_people(perfect, lambda rows: rows)).f1 == 1
    same = np.full((16, 4), 0.5, np.float32)
    assert verification(perfect, same).accuracy == 0.5
    assert verification(perfect, same).true_accepts == 0


def test_a_face_is_compared_with_the_mean_and_three_faces_of_each_person() -> None:
    rng = np.random.default_rng(1)
    rows = unit(rng.standard_normal((12, 8)))
    person = np.array([0] * 6 + [1] * 6)
    asked = np.zeros(12, bool)
    asked[[0, 6]] = True
    near = nearest_people(RecognitionTrial(rows, person, asked), lambda each: each)

    def similarity(face: int, known: NDArray[np.float32]) -> float:
        prototypes = np.concatenate([unit(known.sum(axis=0)[None]), known[:3]])
        return float((prototypes @ rows[face]).max())

    first, second = rows[1:6], rows[7:]
    assert np.allclose(near.own, [similarity(0, first), similarity(6, second)], atol=1e-6)
    assert np.allclose(near.other, [similarity(0, second), similarity(6, first)], atol=1e-6)


def test_precision_counts_strangers_and_the_wrong_person() -> None:
    # One face is nearer to another person; the others are much nearer to their own.
    near = Nearest(np.array([0.9, 0.8, 0.7, 0.6]), np.array([0.1, 0.2, 0.1, 0.75]))
    found = assignment(near)
    assert (found.precision, found.recall) == (1.0, 0.5)
    assert 0.75 < found.threshold <= 0.8


def test_people_without_a_known_face_are_left_out_of_a_trial() -> None:
    person = np.array([0, 0, 1, 1, 2])
    trial = trial_of(unit(np.eye(5)), person, np.array([True, False, True, True, False]))
    assert trial.person.tolist() == [0, 0]


def test_more_people_need_stricter_thresholds() -> None:
    rng = np.random.default_rng(0)
    own, other = (rng.normal(mean, 0.05, 500).astype(np.float32) for mean in (0.8, 0.3))
    near = Nearest(own, other)
    few, many = (
        calibrated(near, people, max_cosine_distance=0.5, strangers=(0.1, 0.05)) for people in (100, 50_000)
    )
    assert (near.other >= few.assign).mean() <= 0.0005
    assert few.review < few.assign < few.person < 1
    assert few.assign < many.assign
    assert 0.04 < few.margin < 0.06


# Which people and faces are held out.


@pytest.mark.parametrize("people", [5, 6, 9, 10, 23, 100])
def test_every_person_is_held_out_and_never_alone(people: int) -> None:
    folds = held_out_people(people, 0)
    assert len(folds) == FOLDS
    assert set(np.concatenate(folds)) == set(range(people))
    assert all(len(set(fold)) == max(2, -(-people // 5)) for fold in folds)


def test_a_fifth_of_the_faces_of_each_person_is_held_out_and_one_at_least() -> None:
    person = np.repeat([0, 1, 2], [5, 4, 50])
    held = held_out_faces(person, 0)
    assert np.bincount(person[held]).tolist() == [1, 1, 10]
    assert (held == held_out_faces(person, 0)).all()
    assert (held != held_out_faces(person, 1)).any()


def test_each_person_has_a_fair_share_of_limited_faces() -> None:
    person = np.random.default_rng(0).permutation(np.repeat(np.arange(4), [5, 100, 100, 1000]))
    rows = capped(person, 200, 0)
    assert np.bincount(person[rows]).tolist() == [5, 65, 65, 65]
    assert (np.diff(rows) > 0).all()
    assert len(capped(person, 10_000, 0)) == len(person)


def test_people_beyond_the_limit_are_left_out_completely() -> None:
    person = np.repeat(np.arange(100), 6)
    rows = capped(person, 50, 0)
    assert np.bincount(person[rows]).max() == np.bincount(person[rows])[np.unique(person[rows])].min() == 2
    assert len(rows) == 50
