"""Every gate has one name, everywhere."""

import math
from dataclasses import fields
from pathlib import Path

import pytest
from tests.fixtures.made_faces import made_faces

from facesets.imaging.drawing import fitting
from facesets.imaging.sheets import CROP_PX
from facesets.operations.options.results import ExportSwapOptions, SplitErasOptions
from facesets.operations.options.start import RefineOptions
from facesets.results.gates import AGE_SPREADS, ASKED_GATES, GATES, REFINE_GATES, Gate, gate_named, reason
from facesets.results.manifest import DroppedFace, FaceEntry

DOCS = Path(__file__).parents[2] / "docs"
OPTIONS = (RefineOptions(min_faces=7), ExportSwapOptions(), SplitErasOptions())
FACE = FaceEntry("0" * 64 + "#0", (), (), (), 0, 0, 0, 0)


@pytest.mark.parametrize("gate", GATES, ids=lambda gate: gate.name)
def test_a_gate_has_the_name_of_its_option_and_is_documented(gate: Gate) -> None:
    assert gate_named(gate.name) is gate
    with_option = [options for options in OPTIONS if gate.name in {field.name for field in fields(options)}]
    assert bool(with_option) == (gate.limit is not None)
    assert [gate.limit_of(each) for each in with_option] == [getattr(each, gate.name) for each in with_option]
    docs = "".join((DOCS / name).read_text("utf-8") for name in ("manifests.md", "face-sets.md"))
    assert f"`{gate.name}`" in docs or f"`{gate.flag}`" in docs


def test_a_gate_measures_each_face() -> None:
    faces = made_faces(3)
    for gate in GATES:
        if gate.measure is not None:
            assert gate.measure(faces).shape == (3,)


def test_the_gates_of_refine_can_be_opened_but_not_beyond_their_widest() -> None:
    # Some are there only for who asks for them, and who does is not advised to open them.
    asked_for = (*ASKED_GATES, AGE_SPREADS)
    closed = [gate for gate in REFINE_GATES if gate not in asked_for]
    assert all(gate.limit_of(RefineOptions()) is None for gate in asked_for)
    asking = RefineOptions(min_norm=16, min_age=5, max_age=8, age_spreads=3)
    assert [gate.limit_of(asking) for gate in asked_for] == [16, 5, 8, 3]
    assert not any(gate.is_loosened(asking) for gate in asked_for)
    widest = {gate.name: gate.widest for gate in closed}
    assert None not in widest.values()
    strict = RefineOptions(min_faces=15)
    assert all(gate.is_loosened(strict) for gate in closed)
    opened = RefineOptions(**{name: type(getattr(strict, name))(limit) for name, limit in widest.items()})
    assert not any(gate.is_loosened(opened) for gate in REFINE_GATES)
    assert not any(gate.is_loosened(RefineOptions()) for gate in REFINE_GATES if gate.name == "min_faces")


@pytest.mark.parametrize(
    ("gate", "value", "limit", "words"),
    [
        ("min_short", 87.6, 90, "87 px, needs 90"),
        ("min_face_short", 99.99, 100, "99 px, needs 100"),
        ("min_blur", 12.5, 40, "sharp 12.5, needs 40"),
        ("min_norm", 13.2, 16, "norm 13.2, needs 16"),
        ("min_det_score", 0.61, 0.7, "score 0.61, needs 0.7"),
        ("outlier_threshold", 0.61, 0.55, "distance 0.61, max 0.55"),
        ("min_age", 3, 5, "age 3, needs 5"),
        ("min_age", -1, 5, "age unknown"),
        ("max_age", 12, 8, "age 12, max 8"),
        ("several_faces", 2, 1, "2 faces in the crop"),
        ("another_face", 0.5, 0.4, "wrong face 0.5, max 0.4"),
        ("duplicate", 3, 48, "duplicate, 3 bits apart"),
        ("taken_out", 1, 0, "removed by you"),
        ("min_faces", 1, 3, "photos: 1, needs 3"),
        ("min_faces", 1, math.inf, "photos"),
        ("of_a_later_version", 1, 2, "of a later version 1, needs 2"),
    ],
)
def test_a_sheet_shows_why_a_face_was_dropped(gate: str, value: float, limit: float, words: str) -> None:
    assert reason(DroppedFace(FACE, "faceset_001", gate, value, limit)) == words
    assert gate_named(gate) not in GATES or fitting(words, 10, CROP_PX) == words
