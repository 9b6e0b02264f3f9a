"""New faces among known people: what each step promises, on vectors made for it."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facesets.clustering import connected_components
from facesets.clustering.people.incremental import (
    FaceDecisions,
    check_person_matches,
    find_person_matches,
    join_people,
)
from facesets.clustering.vectors import Float32, Int64, unit_rows
from tests.fixtures.soak import examples
from tests.fixtures.vectors import People

LIMIT = 0.65


def at_angles(*degrees: float) -> Float32:
    """Return vectors on a circle: 40° apart have similarity 0.77, 50° 0.64."""
    radians = np.radians(degrees)
    return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)


def join(rows: Float32, references: Float32, persons: Int64, min_size: int = 2) -> FaceDecisions:
    return join_people(
        rows,
        references,
        persons,
        lambda some: connected_components(rows[some], min_cosine_similarity=LIMIT),
        min_cosine_similarity=LIMIT,
        min_size=min_size,
    )


@pytest.mark.parametrize(
    ("rows", "known", "person", "group", "review"),
    [
        ([40, 80, 200], [0], [0, 0, -1], [-1, -1, -1], []),
        ([40], [0, 80], [-1], [-1], [(0, 0), (0, 1)]),
        ([40, 80, 120], [0, 160], [0, -1, 1], [-1, -1, -1], [(1, 0), (1, 1)]),
        ([0, 30, 60, 180], [], [-1, -1, -1, -1], [0, 0, 0, -1], []),
    ],
    ids=[
        "a face near one person joins and brings its neighbours along",
        "a face that ties two people is left for review",
        "a chain between two people is cut where they meet",
        "without people it is the plain grouping",
    ],
)
def test_faces_join_people(
    rows: list[float], known: list[float], person: list[int], group: list[int], review: list[tuple[int, int]]
) -> None:
    joined = join(at_angles(*rows), at_angles(*known), np.arange(len(known)))
    assert (joined.person.tolist(), joined.group.tolist()) == (person, group)
    asked = joined.review
    assert sorted(zip(asked.face.tolist(), asked.person.tolist(), strict=True)) == review
    np.testing.assert_allclose(asked.similarity, np.cos(np.radians(40)), atol=1e-6)


def test_a_single_face_is_a_person_if_one_is_enough() -> None:
    rows = at_angles(0, 30, 60, 180)
    alone = join(rows, np.empty((0, 2), np.float32), np.empty(0, np.int64), min_size=1)
    assert alone.group.tolist() == [0, 0, 0, 1]


def test_faces_that_only_a_disputed_face_reaches_are_a_new_person() -> None:
    rows = np.zeros((4, 3), np.float32)
    rows[0] = [np.cos(np.radians(40)), np.sin(np.radians(40)), 0]
    lift = np.radians([40, 80, 85])
    rows[1:, 2] = np.sin(lift)
    rows[1:, :2] = rows[0, :2] * np.cos(lift)[:, None]
    references = np.zeros((2, 3), np.float32)
    references[:, :2] = at_angles(0, 80)
    joined = join(rows, references, np.array([0, 1]))
    assert joined.person[0] == -1
    assert joined.group[0] == -1
    assert joined.group[2] == joined.group[3] >= 0


def peak_bytes(faces: int) -> int:
    """Return the peak bytes of dividing one tight group, with a few faces near one of two people."""
    rng = np.random.default_rng(0)
    rows = unit_rows(rng.standard_normal((1, 64)) + 0.1 * rng.standard_normal((faces, 64)))
    references = unit_rows(rows[:2] + 0.1 * rng.standard_normal((2, 64)))
    tracemalloc.start()
    joined = join_people(
        rows,
        references,
        np.array([0, 1]),
        lambda some: np.zeros(len(some), np.int64),
        min_cosine_similarity=float((rows @ references.T).max(axis=0).min()) - 1e-4,
        min_size=2,
    )
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (joined.person >= 0).sum() > 2
    assert len(joined.review) > 0
    return peak


@pytest.mark.slow
def test_dividing_a_group_takes_memory_by_its_faces_not_by_their_pairs() -> None:
    assert peak_bytes(10_000) < 3 * peak_bytes(5000)


@st.composite
def peopled(draw: st.DrawFn) -> tuple[Float32, Float32, Int64]:
    """Some faces and some people on a small sphere, near enough to meet."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    faces, known = draw(st.integers(0, 30)), draw(st.integers(0, 12))
    vectors = rng.standard_normal((faces + known, 4)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors[:faces], vectors[faces:], rng.integers(0, 4, known)


@given(peopled())
def test_a_second_run_changes_nothing(made: tuple[Float32, Float32, Int64]) -> None:
    rows, references, persons = made
    first = join(rows, references, persons)
    new = np.where(first.group >= 0, first.group + 10, first.person)
    left = new < 0
    again = join(rows[left], np.r_[references, rows[~left]], np.r_[persons, new[~left]])
    assert (again.person < 0).all()
    assert (again.group < 0).all()


@given(peopled())
def test_faces_join_only_people_that_a_chain_of_similar_faces_reaches(
    made: tuple[Float32, Float32, Int64],
) -> None:
    rows, references, persons = made
    joined = join(rows, references, persons)
    everything = np.r_[rows, references]
    if len(everything):
        component = connected_components(everything, min_cosine_similarity=LIMIT)
        for face in np.flatnonzero(joined.person >= 0):
            reach = component[len(rows) :][persons == joined.person[face]]
            assert component[face] in reach


@given(peopled(), st.integers(0, 2**32))
def test_the_order_of_the_faces_does_not_matter(made: tuple[Float32, Float32, Int64], seed: int) -> None:
    rows, references, persons = made
    order = np.random.default_rng(seed).permutation(len(rows))
    expected = join(rows, references, persons).person[order]
    np.testing.assert_array_equal(join(rows[order], references, persons).person, expected)


@examples(120)
@given(peopled(), st.floats(-0.9, 0.99), st.booleans())
def test_contacts_are_those_of_the_full_matrix(
    made: tuple[Float32, Float32, Int64], limit: float, approximate: bool
) -> None:
    rows, references, persons = made
    found = find_person_matches(
        rows, references, persons, min_cosine_similarity=limit, approximate=approximate
    )
    product = rows @ references.T
    expected = {
        (i, int(person)): product[i, persons == person].max()
        for i in range(len(rows))
        for person in set(persons.tolist())
        if product[i, persons == person].max(initial=-1) >= limit
    }
    pairs = zip(found.face.tolist(), found.person.tolist(), strict=True)
    assert dict(zip(pairs, found.similarity, strict=True)) == pytest.approx(expected, abs=1e-5)


@pytest.mark.slow
def test_nearly_all_contacts_of_real_faces_are_found_by_comparing_nearby_ones(real_people: People) -> None:
    known = np.arange(len(real_people.name)) % 3 > 0
    rows, references = real_people.embedding[~known], real_people.embedding[known]
    persons = np.unique(real_people.name[known], return_inverse=True)[1]
    near = find_person_matches(rows, references, persons, min_cosine_similarity=0.5, approximate=True)
    exact = find_person_matches(rows, references, persons, min_cosine_similarity=0.5)
    found = set(zip(near.face, near.person, strict=True))
    due = set(zip(exact.face, exact.person, strict=True))
    assert found <= due
    assert len(found) > 0.999 * len(due)
    for some in (near, near.of(near.face % 2 == 0)):
        checked = check_person_matches(
            some, rows, references, persons, min_cosine_similarity=0.5, faces=len(rows)
        )
        assert (checked.found, checked.due) == (len(some), len(due))
