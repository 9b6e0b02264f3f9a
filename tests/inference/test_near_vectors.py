import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fixtures.vectors import People

from facesets.clustering.known_recognizers import ARCFACE
from facesets.clustering.people.assigning import KnownPeople, thresholds
from facesets.clustering.vectors import Float32, unit_rows
from facesets.inference.near_vectors import NearVectors


def made(count: int, numbers: int, decay: float, seed: int) -> Float32:
    """Vectors whose numbers differ much in size, and of which some have one number only."""
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((count, numbers)) * (np.arange(numbers) + 1.0) ** -decay
    rows[::7] = np.eye(numbers)[rng.integers(0, numbers, len(rows[::7]))]
    return unit_rows(rows.astype(np.float32))


@given(
    numbers=st.integers(1, 520),
    vectors=st.integers(1, 60),
    decay=st.floats(0, 4),
    least=st.floats(-1.1, 1.0),
    seed=st.integers(0, 1000),
)
def test_no_pair_that_is_similar_enough_is_missed(
    numbers: int, vectors: int, decay: float, least: float, seed: int
) -> None:
    rows, others = made(40, numbers, decay, seed), made(vectors, numbers, decay, seed + 1)
    row, other = NearVectors(others)(rows, least)
    found = row * vectors + other
    assert set(np.flatnonzero(rows @ others.T >= least)) <= set(found.tolist())
    assert (np.diff(found) > 0).all()
    # Far vectors are skipped: the largest step is that of a vector with one number.
    similarity = np.einsum("ij,ij->i", rows[row], others[other])
    assert (similarity >= least - 4 * np.sqrt(numbers) / 63).all()


def test_blocks_of_rows_are_put_together(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, others = made(50, 64, 0.3, 1), made(30, 64, 0.3, 2)
    whole = NearVectors(others)(rows, 0.1)
    monkeypatch.setattr("facesets.inference.near_vectors._PAIRS_AT_ONCE", 100)
    assert np.array_equal(NearVectors(others)(rows, 0.1), whole)


@pytest.mark.usefixtures("real_lfw")
def test_integer_search_finds_the_same_people_as_floats(real_people: People) -> None:
    rows = unit_rows(real_people.embedding)
    _, person = np.unique(real_people.name, return_inverse=True)
    of_person = np.argsort(person, kind="stable")[:600]
    known = (rows[of_person], person[of_person], np.arange(600) % 3 > 0)
    limits = thresholds(0.42, 0.05, 0.32, ARCFACE)
    expected = KnownPeople(*known).similar(rows[:3000], limits)
    found = KnownPeople(*known, search=NearVectors).similar(rows[:3000], limits)
    assert len(expected) > 300
    assert np.array_equal(found.face, expected.face)
    assert np.array_equal(found.person, expected.person)
    assert np.array_equal(found.similarity, expected.similarity)
    looked_at, _ = NearVectors(rows[of_person])(rows[:3000], 0.32)
    assert len(looked_at) < 3000 * 600 / 100
