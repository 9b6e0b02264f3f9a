"""Automatic clustering: people, constraints, and the description of the result."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from facesets.clustering import (
    Calibration,
    Constraints,
    cluster_auto,
    evaluate,
    same_image_pairs,
    violations,
)
from facesets.clustering.placement import Placement, describe
from tests.fixtures.vectors import People, people


@pytest.mark.slow
def test_a_hard_album_is_sorted_with_default_settings(shared_dir: Path) -> None:
    """Infants, siblings, bridges and blurred faces that attract each other."""
    file = shared_dir / "synthetic" / "faces.py"
    spec = importlib.util.spec_from_file_location("synthetic_faces", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    vectors, person, _, _ = module.gen(10_000)
    scores = evaluate(cluster_auto(vectors).labels, person.astype(np.int64))
    assert scores.pairwise_f1 >= 0.97
    assert scores.bcubed_f1 >= 0.96


@pytest.mark.slow
def test_real_faces_are_sorted_without_any_setting_and_as_well_by_nearby_ones(real_people: People) -> None:
    result = cluster_auto(real_people.embedding)
    exact = evaluate(result.labels, real_people.name)
    assert exact.pairwise_f1 >= 0.996
    assert exact.bcubed_f1 >= 0.9955
    assert len(result.placement) == len(result.labels)
    near = cluster_auto(real_people.embedding, approximate=True)
    assert evaluate(near.labels, real_people.name).bcubed_f1 > exact.bcubed_f1 - 0.003
    assert [any("Approximate search" in reason for reason in each.reasons) for each in (result, near)] == [
        False,
        True,
    ]


@pytest.mark.slow
def test_two_faces_of_one_image_are_never_together(real_people: People) -> None:
    vectors = real_people.embedding[:1500]
    image = np.arange(1500) // 3
    result = cluster_auto(vectors, image_index=image)
    assert not len(violations(result.labels, same_image_pairs(vectors, image)))


def test_must_links_hold_and_contradictions_are_reported() -> None:
    vectors, _ = people(6, faces=10, dimension=64)
    known = Constraints(np.array([[0, 1], [1, 2]]), np.array([[0, 2]]))
    result = cluster_auto(vectors, constraints=known)
    assert result.labels[0] == result.labels[1] == result.labels[2]
    assert result.contradictions.tolist() == [[0, 2]]


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        (
            1,
            [
                "1 face is certain",
                "1 face is unassigned",
                "1 face is too low quality",
                "1 pair of faces was kept",
            ],
        ),
        (
            2,
            [
                "2 faces are certain",
                "2 faces are unassigned",
                "2 faces are too low quality",
                "2 pairs of faces were",
            ],
        ),
    ],
)
def test_counts_of_one_are_singular(times: int, expected: list[str]) -> None:
    measured = Calibration(0.6, 0.1, 0.1, 9, "measured here")
    placed = np.tile(np.array([Placement.CORE, Placement.INCOHERENT, Placement.POOR], np.uint8), times)
    found = " ".join(describe(measured, placed, times, times))
    assert [words for words in expected if words not in found] == []
