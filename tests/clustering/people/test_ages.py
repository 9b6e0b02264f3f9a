"""Birth years and sexes of people, estimated from many faces with known errors."""

import numpy as np
import pytest

from facesets.clustering.people.ages import (
    MIN_FACES,
    MIN_SPREAD_YEARS,
    contradicting_faces,
    estimate_births,
    likely_men,
)
from facesets.clustering.vectors import Float64, Int64

ERROR_YEARS = 6.0


def simulated(
    people: int, faces: int, *, error: float = ERROR_YEARS, wrong: float = 0.0, seed: int = 0
) -> tuple[Int64, Float64, Float64, Float64]:
    """Return persons, years of photos, a model's ages, and the people's births."""
    rng = np.random.default_rng(seed)
    born = rng.integers(1930, 2000, people).astype(np.float64)
    person = np.repeat(np.arange(people), faces)
    taken = born[person] + rng.integers(10, 70, len(person))
    age = taken - born[person] + rng.normal(0, error, len(person))
    somebody_else = rng.random(len(person)) < wrong
    age[somebody_else] = rng.uniform(0, 90, int(somebody_else.sum()))
    return person, taken, age, born


def test_known_errors_give_the_known_spread_and_the_expected_error_of_the_year() -> None:
    person, taken, age, born = simulated(2000, 40)
    found = estimate_births(person, taken, age, 2000)
    assert found.faces.tolist() == [40] * 2000
    assert np.median(found.spread) == pytest.approx(ERROR_YEARS, rel=0.05)
    # A median of n values of a normal distribution errs by sqrt(pi / 2n) of its standard deviation.
    assert np.std(found.year - born) == pytest.approx(ERROR_YEARS * np.sqrt(np.pi / 80), rel=0.1)
    assert np.mean(found.year - born) == pytest.approx(0, abs=0.15)


@pytest.mark.parametrize("wrong", [0.1, 0.2, 0.3])
def test_faces_of_another_person_hardly_move_the_year(wrong: float) -> None:
    person, taken, age, born = simulated(1000, 40, wrong=wrong)
    found = estimate_births(person, taken, age, 1000)
    off = np.abs(found.year - born)
    mean = np.bincount(person, taken - age) / 40
    assert np.median(off) < 1.7
    assert np.median(off) < np.median(np.abs(mean - born)) * 0.75
    assert np.median(found.spread) < 2 * ERROR_YEARS


def test_few_faces_are_counted_and_no_faces_give_no_year() -> None:
    person = np.array([0, 1, 1, 3, 3])
    taken = np.array([2000.0, 2000, 2010, np.nan, 2000])
    age = np.array([20.0, 10, 24, 30, np.nan])
    found = estimate_births(person, taken, age, 4)
    assert found.faces.tolist() == [1, 2, 0, 0]
    assert found.year[:2].tolist() == [1980, 1988]
    assert found.spread[:2] == pytest.approx([0, 1.4826 * 2])
    assert np.isnan(found.year[2:]).all()
    assert np.isnan(found.spread[2:]).all()


def test_faces_of_children_contradict_and_right_faces_rarely_do() -> None:
    person, taken, age, born = simulated(500, 30)
    unstated = np.full(500, np.nan)
    right = contradicting_faces(person, taken, age, unstated)
    assert len(right.row) / len(person) < 0.012
    planted = np.arange(0, len(person), 30)
    was = taken[planted] - born[planted // 30]
    age[planted] = np.where(was > 45, 5, 85)
    found = contradicting_faces(person, taken, age, unstated)
    assert len(np.intersect1d(found.row, planted)) / len(planted) > 0.97
    expected = taken[found.row] - born[person[found.row]]
    assert np.median(np.abs(found.expected - expected)) < 2
    assert (found.likely >= 0.2).all()
    assert (found.likely <= 0.8).all()


def test_few_faces_contradict_only_a_set_year() -> None:
    few = MIN_FACES - 1
    person, taken = np.zeros(few, np.int64), np.full(few, 2010.0)
    age = np.array([30.0, 30, 30, 70])
    assert not len(contradicting_faces(person, taken, age, np.array([np.nan])).row)
    stated = contradicting_faces(person, taken, age, np.array([1980.0]))
    assert (stated.row.tolist(), stated.expected.tolist(), stated.spread.tolist()) == (
        [3],
        [30],
        [MIN_SPREAD_YEARS],
    )
    many = np.zeros(20, np.int64)
    age = np.full(20, 30.0)
    age[0] = 30 + 3 * MIN_SPREAD_YEARS
    assert not len(contradicting_faces(many, np.full(20, 2010.0), age, np.array([np.nan])).row)
    age[0] += 0.1
    assert contradicting_faces(many, np.full(20, 2010.0), age, np.array([np.nan])).row.tolist() == [0]


def test_a_set_birth_year_overrides_the_faces() -> None:
    person, taken = np.zeros(12, np.int64), np.full(12, 2010.0)
    age = np.array([30.0, 31, 29, 30, 28, 33, 30, 30, 31, 29, 30, 90])
    wrong = contradicting_faces(person, taken, age, np.array([1920.0]))
    # Nearly all are off by sixty years, so no single face is an outlier.
    assert wrong.row.tolist() == []
    assert contradicting_faces(person, taken, age, np.array([1980.0])).row.tolist() == [11]


def test_sexes_of_people_are_surer_than_those_of_their_faces() -> None:
    rng = np.random.default_rng(0)
    is_man = rng.random(1000) < 0.5
    person = np.repeat(np.arange(1000), 15)
    right = rng.random(len(person)) < 0.85
    male = np.where(right == is_man[person], 0.85, 0.15)
    men = likely_men(person, male, 1001)
    assert np.mean((men[:1000] > 0.5) == is_man) > 0.99
    assert np.isnan(men[1000])
    one = likely_men(np.zeros(4, np.int64), np.array([1.0, 0.05, 0.05, 0.05]), 1)
    assert one[0] < 0.2
