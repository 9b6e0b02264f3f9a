"""Suggestions about people, found from vectors."""

import numpy as np
import pytest

from facesets.clustering import Calibration
from facesets.clustering.people.questions import (
    faces_far_from_people,
    find_duplicate_people,
    find_two_parts,
    mean_vectors,
    similarity_to_rest,
)
from facesets.clustering.vectors import unit_rows
from tests.fixtures.vectors import Float32, near

MEASURED = Calibration(typical=0.6, middle=0.01, spread=0.065, faces=5000, source="made")


def person(rng: np.random.Generator, heart: Float32, faces: int) -> Float32:
    """Faces with a mean similarity of about 0.6, as of one person."""
    return near(heart, faces, 0.6**0.5, int(rng.integers(1000)))


def hearts(rng: np.random.Generator, count: int) -> Float32:
    """Unit vectors that are nearly at right angles."""
    return unit_rows(rng.standard_normal((count, 512)))


def test_halves_of_people_are_suggested_once_and_strangers_are_not() -> None:
    rng = np.random.default_rng(1)
    parts = [person(rng, heart, 6) for heart in hearts(rng, 40) for _ in range(2)]
    centroids = unit_rows(np.stack([part.mean(axis=0) for part in parts]))
    faces = np.full(len(parts), 6)
    found = find_duplicate_people(
        mean_vectors(centroids, faces, MEASURED), np.arange(len(parts)), faces, MEASURED
    )
    assert sorted(zip(found.first.tolist(), found.second.tolist(), strict=True)) == [
        (i, i + 1) for i in range(0, len(parts), 2)
    ]
    assert found.likely.min() > 0.99
    assert found.similarity == pytest.approx(np.full(40, 0.6), abs=0.08)


def test_a_person_with_centroids_per_era_is_suggested_by_the_nearest() -> None:
    rng = np.random.default_rng(2)
    child, adult, other = hearts(rng, 3)
    near = 0.95 * adult + np.sqrt(1 - 0.95**2) * other
    found = find_duplicate_people(
        mean_vectors(np.stack([child, adult, near]), np.array([9, 9, 9]), MEASURED),
        np.array([0, 0, 1]),
        np.array([18, 9]),
        MEASURED,
    )
    assert (found.first.tolist(), found.second.tolist()) == ([0], [1])
    assert found.similarity[0] == pytest.approx(0.95 * (1 / 9 + 8 / 9 * 0.6), abs=0.01)


def test_a_face_is_compared_with_the_others_of_its_person_only() -> None:
    rng = np.random.default_rng(3)
    heart, stranger = hearts(rng, 2)
    rows = np.concatenate([person(rng, heart, 7), stranger[None], person(rng, stranger, 2)])
    owner = np.array([0] * 8 + [1, -1])
    means = np.stack([rows[:8].mean(axis=0), rows[8]])
    similarity = similarity_to_rest(rows, owner, means)
    assert similarity[3] == pytest.approx(
        float(np.delete(rows[:8], 3, axis=0).mean(axis=0) @ rows[3]), abs=1e-5
    )
    assert np.isnan(similarity[8:]).all()
    far = faces_far_from_people(similarity, MEASURED)
    assert (far.row.tolist(), far.likely[0] > 0.99) == ([7], True)


def test_a_person_made_of_two_falls_into_the_two_and_one_person_is_left_alone() -> None:
    rng = np.random.default_rng(4)
    first, second = hearts(rng, 2)
    rows = np.concatenate([person(rng, first, 9), person(rng, second, 4)])
    found = find_two_parts(rows, MEASURED)
    assert found is not None
    assert sorted(found.rows.tolist()) == [9, 10, 11, 12]
    assert (found.other < 9, found.likely > 0.99) == (True, True)
    assert find_two_parts(rows[:9], MEASURED) is None
    assert find_two_parts(rows[[0, 1, 9]], MEASURED) is None
