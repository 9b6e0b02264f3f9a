"""Automatic clustering on albums that were made up to be hard, and what it tells of its result."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from facesets.clustering import cluster_auto, evaluate
from facesets.clustering.calibration import Calibration
from facesets.clustering.placement import Placement, describe
from tests.fixtures.vectors import Float32, Int64


@dataclass(frozen=True)
class Album:
    """Embeddings, and whose they are."""

    embedding: Float32
    person: Int64


@pytest.fixture(scope="module")
def hard_album(shared_dir: Path) -> Album:
    """Infants, siblings, bridges and blurred faces that attract each other."""
    file = shared_dir / "synthetic" / "faces.py"
    spec = importlib.util.spec_from_file_location("synthetic_faces", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    vectors, person, _, _ = module.gen(10_000)
    return Album(vectors, person.astype(np.int64))


@pytest.mark.slow
def test_a_hard_album_is_sorted_without_any_setting(hard_album: Album) -> None:
    scores = evaluate(cluster_auto(hard_album.embedding).labels, hard_album.person)
    assert scores.pairwise_f1 >= 0.97
    assert scores.bcubed_f1 >= 0.96


def test_one_is_spoken_of_as_one() -> None:
    measured = Calibration(0.6, 0.1, 0.1, 9, "measured here")
    once = np.array([Placement.CORE, Placement.INCOHERENT, Placement.POOR], np.uint8)
    said = " ".join(describe(measured, once, 1, 1))
    for words in (
        "1 face is certain",
        "1 face is noise",
        "1 face shows too little",
        "1 pair of faces was kept",
    ):
        assert words in said
    several = " ".join(describe(measured, np.tile(once, 2), 2, 2))
    for words in (
        "2 faces are certain",
        "2 faces are noise",
        "2 faces show too little",
        "2 pairs of faces were",
    ):
        assert words in several
