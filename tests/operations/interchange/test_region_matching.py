"""Match boxes of other programs to faces."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fixtures.names_elsewhere import LEFT, RIGHT

from facesets.imaging.stored_frame import stored_box
from facesets.operations.interchange.names_read import matched, on_faces

FACE = (0.4, 0.4, 0.5, 0.55)
OTHER = (0.52, 0.4, 0.62, 0.55)


def grown(box: tuple[float, ...], times: float, aside: float = 0.0) -> tuple[float, float, float, float]:
    """Scale a box by `times` around its center, and move it by a share of its width."""
    x, y, w, h = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2, box[2] - box[0], box[3] - box[1]
    x += aside * w * times
    return x - w * times / 2, y - h * times / 2, x + w * times / 2, y + h * times / 2


def boxes(*some: tuple[float, ...]) -> np.ndarray:
    return np.array(some, np.float32).reshape(-1, 4)


@pytest.mark.parametrize("times", [0.4, 0.7, 1.0, 1.5, 2.5])
def test_a_face_is_found_in_boxes_that_are_smaller_or_larger(times: float) -> None:
    assert matched(boxes(grown(FACE, times, 0.1)), boxes(OTHER, FACE)).tolist() == [1]


@pytest.mark.parametrize(
    "box", [grown(FACE, 5), grown(FACE, 1, 1.0), grown(FACE, 2.5, 0.45), (0.0, 0.0, 1.0, 1.0)]
)
def test_a_far_larger_or_distant_box_shows_no_face(box: tuple[float, ...]) -> None:
    assert matched(boxes(box), boxes(FACE)).tolist() == [-1]


def test_each_face_goes_to_one_box_so_that_most_fit() -> None:
    # The first box overlaps both faces, and the second only the one that the first overlaps more.
    first, second = (0.41, 0.4, 0.55, 0.55), grown(FACE, 1.1)
    assert matched(boxes(second, grown(OTHER, 1.2)), boxes(FACE, OTHER)).tolist() == [0, 1]
    assert sorted(matched(boxes(first, second), boxes(FACE, OTHER)).tolist()) == [-1, 0]
    assert matched(boxes(), boxes(FACE)).tolist() == []
    assert matched(boxes(FACE), boxes()).tolist() == [-1]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_boxes_of_the_stored_picture_are_turned_as_the_picture_is(orientation: int) -> None:
    upright, partner = on_faces([stored_box(FACE, orientation)], boxes(OTHER, FACE), orientation)
    assert partner.tolist() == [1]
    assert upright[0].tolist() == pytest.approx(FACE, abs=1e-6)


def test_a_program_that_measures_turned_pictures_upright_is_understood() -> None:
    upright, partner = on_faces([LEFT, RIGHT], boxes(LEFT, RIGHT), 3)
    assert partner.tolist() == [0, 1]
    assert upright[0].tolist() == pytest.approx(LEFT, abs=1e-6)
    # One that does not fit speaks against it: boxes stay as they were measured.
    _, partner = on_faces([LEFT, (0.0, 0.0, 0.05, 0.05)], boxes(LEFT, RIGHT), 3)
    assert partner.tolist() == [-1, -1]


places = st.tuples(st.floats(0, 0.8), st.floats(0, 0.8), st.floats(0.001, 0.2), st.floats(0.001, 0.2))


@given(st.lists(places, max_size=8), st.lists(places, max_size=8))
@settings(deadline=None, max_examples=100)
def test_matching_is_one_to_one_and_the_same_both_ways(
    some: list[tuple[float, ...]], others: list[tuple[float, ...]]
) -> None:
    first = boxes(*((x, y, x + w, y + h) for x, y, w, h in some))
    second = boxes(*((x, y, x + w, y + h) for x, y, w, h in others))
    there, back = matched(first, second), matched(second, first)
    pairs = {(row, face) for row, face in enumerate(there.tolist()) if face >= 0}
    assert len({face for _, face in pairs}) == len(pairs)
    assert len(pairs) == int((back >= 0).sum())
