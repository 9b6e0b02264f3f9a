"""Which people and faces are held out."""

import numpy as np
import pytest

from facesets.training.lesson import FOLDS, capped, held_out_faces, held_out_people


@pytest.mark.parametrize("people", [5, 6, 9, 10, 23, 100])
def test_everybody_is_held_out_and_never_alone(people: int) -> None:
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


def test_of_too_many_faces_each_person_keeps_a_fair_share() -> None:
    person = np.random.default_rng(0).permutation(np.repeat(np.arange(4), [5, 100, 100, 1000]))
    rows = capped(person, 200, 0)
    assert np.bincount(person[rows]).tolist() == [5, 65, 65, 65]
    assert (np.diff(rows) > 0).all()
    assert len(capped(person, 10_000, 0)) == len(person)


def test_of_too_many_people_some_are_left_out_whole() -> None:
    person = np.repeat(np.arange(100), 6)
    rows = capped(person, 50, 0)
    assert np.bincount(person[rows]).max() == np.bincount(person[rows])[np.unique(person[rows])].min() == 2
    assert len(rows) == 50
