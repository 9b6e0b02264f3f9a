"""Regrouping of faces that come in batches."""

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facesets.clustering import Constraints, calibrate, cluster_auto, evaluate
from facesets.clustering.people.owners import KnownOwners
from facesets.clustering.people.regrouping import Regrouped, regroup
from facesets.clustering.poor_faces import Clarity
from facesets.clustering.vectors import Bool, Float32, Int64, unit_rows
from tests.fixtures.soak import examples
from tests.fixtures.vectors import People, near, people


class Library(NamedTuple):
    """Faces and their people."""

    rows: Float32
    person: Int64
    fixed: Bool


def nobody() -> Library:
    return Library(np.empty((0, 512), np.float32), np.empty(0, np.int64), np.zeros(0, bool))


def look(rows: Float32, person: Int64, fixed: Bool, seeds: Int64, max_faces: int = 30_000) -> Regrouped:
    """Regroup some faces and those near them."""
    known = KnownOwners(person, fixed, None, Constraints())
    return regroup(rows, known, seeds, calibrate(rows), min_size=2, max_faces=max_faces)


def add(library: Library, rows: Float32, max_faces: int = 30_000) -> Library:
    """Return a library after new faces were added."""
    every = np.concatenate([library.rows.reshape(-1, rows.shape[1]), rows])
    person = np.r_[library.person, np.full(len(rows), -1)]
    seeds = np.arange(len(library.rows), len(every))
    found = look(every, person, library.fixed, seeds, max_faces).person
    new = int(found.max(initial=-1)) + 1 - len(library.fixed)
    return Library(every, found, np.r_[library.fixed, np.zeros(max(new, 0), bool)])


def bcubed(person: Int64, truth: Int64) -> float:
    return evaluate(np.where(person < 0, -1, person), truth).bcubed_f1


def some_of(real: People, faces: int) -> tuple[Float32, Int64]:
    """Return real faces in random order, and their people."""
    owner = np.unique(real.name, return_inverse=True)[1]
    chosen = np.random.default_rng(0).permutation(np.flatnonzero(np.bincount(owner)[owner] > 1))[:faces]
    return unit_rows(real.embedding[chosen]), owner[chosen]


def groups(labels: Int64) -> set[tuple[int, ...]]:
    """Return the faces of each group of two or more."""
    found = [np.flatnonzero(labels == label) for label in range(int(labels.max()) + 1)]
    return {tuple(rows.tolist()) for rows in found if len(rows) > 1}


@pytest.mark.parametrize("is_small_too", [False, True])
def test_people_confirmed_by_small_faces_get_new_ones(is_small_too: bool) -> None:
    rows, truth = people(20, faces=8, dimension=64)
    new = int(np.flatnonzero(truth == 0)[-1])
    person, poor = truth.copy(), truth == 0
    person[new], poor[new] = -1, is_small_too
    known = KnownOwners(
        person,
        np.arange(20) == 0,
        np.arange(len(rows)),
        Constraints(),
        np.where(poor, Clarity.LITTLE, Clarity.ENOUGH).astype(np.uint8),
    )
    found = regroup(rows, known, np.array([new]), calibrate(rows), min_size=2)
    assert (found.person == truth).all()


def test_regrouping_all_faces_at_once_equals_auto(real_people: People) -> None:
    rows, _ = some_of(real_people, 800)
    assert groups(add(nobody(), rows).person) == groups(cluster_auto(rows).labels)


@pytest.mark.slow
def test_batches_end_where_one_run_over_everything_does(real_people: People) -> None:
    rows, truth = some_of(real_people, 840)
    library = nobody()
    for last in (400, 800, 840):
        library = add(library, rows[len(library.rows) : last])
    assert abs(bcubed(library.person, truth) - bcubed(cluster_auto(rows).labels, truth)) <= 0.002


@pytest.mark.slow
def test_representatives_of_large_people_give_nearly_the_same_result() -> None:
    rows, truth = people(12, faces=120, dimension=64, spread=0.8)
    first = add(nobody(), rows[:1400])
    exact, few = add(first, rows[1400:]), add(first, rows[1400:], max_faces=0)
    assert bcubed(exact.person, truth) > 0.99
    assert abs(bcubed(exact.person, truth) - bcubed(few.person, truth)) <= 0.002


ONE, OTHER = np.eye(2, 128)
TWO = 0.3 * ONE + 0.95 * OTHER
BETWEEN = near(ONE + OTHER, 6, 0.92, seed=2)


@pytest.fixture
def two_looks() -> Library:
    """Two looks of one person, that do not resemble each other, among strangers."""
    rows, _ = people(40, faces=4, dimension=128, spread=0.5, seed=5)
    library = add(nobody(), np.concatenate([rows, near(ONE, 6, 0.92), near(TWO, 5, 0.92, seed=1)]))
    assert library.person[160] != library.person[166]
    return library


def test_two_unnamed_people_become_one_when_new_faces_prove_it_and_the_larger_stays(
    two_looks: Library,
) -> None:
    assert set(add(two_looks, BETWEEN).person[160:].tolist()) == {two_looks.person[160]}


@pytest.mark.parametrize("max_faces", [0, 10_000])
def test_two_confirmed_people_stay_two(two_looks: Library, max_faces: int) -> None:
    vouched = two_looks._replace(fixed=np.ones_like(two_looks.fixed))
    after = add(vouched, BETWEEN, max_faces=max_faces)
    np.testing.assert_array_equal(after.person[160:171], two_looks.person[160:])


def test_a_face_about_as_similar_to_two_fixed_people_is_for_a_human_to_decide() -> None:
    rng = np.random.default_rng(0)
    anna, ben = np.eye(2, 128)
    hearts = np.repeat([anna, ben], 5, axis=0)
    known = unit_rows((hearts + 0.04 * rng.standard_normal(hearts.shape)).astype(np.float32))
    twin = unit_rows((anna + ben)[None].astype(np.float32))
    person, fixed = np.r_[np.repeat([0, 1], 5), -1], np.ones(2, bool)
    found = look(np.concatenate([known, twin]), person, fixed, np.array([10]))
    assert found.person[10] == -1
    assert sorted(found.review.person.tolist()) == [0, 1]
    assert set(found.review.face.tolist()) == {10}
    nearly = unit_rows((anna + 0.4 * ben)[None].astype(np.float32))
    assert look(np.concatenate([known, nearly]), person, fixed, np.array([10])).person[10] == 0


def test_a_person_of_one_photo_gets_all_others_and_one_wrong_face_attracts_no_strangers() -> None:
    rows, owner = people(30, faces=8, dimension=128, spread=0.5, seed=3)
    first = np.flatnonzero(owner == 0)
    person = np.full(len(rows), -1)
    person[first[0]] = 0
    found = look(rows, person, np.ones(1, bool), np.flatnonzero(person < 0)).person
    assert (found[first] == 0).all()
    person[first] = 0
    stray = np.flatnonzero(owner == 1)
    person[stray[0]] = 0
    found = look(rows, person, np.ones(1, bool), np.flatnonzero(person < 0)).person
    assert found[stray[0]] == 0
    assert (found[stray[1:]] > 0).all()


def test_only_one_of_two_faces_in_a_photo_joins_a_person() -> None:
    rows, owner = people(30, faces=8, dimension=128, spread=0.5, seed=3)
    anna = np.flatnonzero(owner == 0)
    person = np.where(owner == 0, 0, -1)
    person[anna[:2]] = -1
    image = np.arange(len(rows))
    image[anna[1]] = image[anna[0]]
    known = KnownOwners(person, np.ones(1, bool), image, Constraints())
    found = regroup(rows, known, anna[:2], calibrate(rows), min_size=2).person
    assert sorted((found[anna[:2]] == 0).tolist()) == [False, True]


def test_blurred_faces_of_strangers_do_not_become_people() -> None:
    rng = np.random.default_rng(1)
    rows, _ = people(60, faces=6, dimension=256, spread=0.5)
    blur = rng.standard_normal(256) / 16
    junk = unit_rows((0.65 * blur + rng.standard_normal((120, 256)) / 16).astype(np.float32))
    library = nobody()
    for faces, blurred in zip(np.array_split(rows, 6), np.array_split(junk, 6), strict=True):
        library = add(library, np.concatenate([faces, blurred]))
    is_junk = (library.rows[:, None] == junk[None]).all(axis=2).any(axis=1)
    assert np.bincount(library.person[is_junk & (library.person >= 0)], minlength=1).max() < 8


@pytest.mark.slow
@examples(40)
@given(st.integers(0, 2**32), st.sampled_from([0, 10_000]))
def test_confirmed_people_lose_no_face(seed: int, max_faces: int) -> None:
    rng = np.random.default_rng(seed)
    rows = unit_rows(rng.standard_normal((80, 4)).astype(np.float32))
    person, fixed = rng.integers(-1, 6, 80), rng.random(6) < 0.5
    found = look(rows, person, fixed, np.flatnonzero(person < 0)[:3], max_faces=max_faces).person
    vouched = np.append(fixed, False)[person]
    np.testing.assert_array_equal(found[vouched], person[vouched])
    new = found[found >= len(fixed)] - len(fixed)
    assert set(new.tolist()) == set(range(len(np.unique(new))))
