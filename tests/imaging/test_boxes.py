"""Boxes of one face in two looks at a picture."""

import numpy as np
import pytest

from facesets.imaging.boxes import best_partners


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([], [-1, -1]),
        ([[0, 0, 10, 10]], [0, -1]),
        ([[1, 0, 11, 10], [4, 0, 14, 10]], [0, 1]),
        ([[50, 50, 60, 60]], [-1, -1]),
    ],
)
def test_each_box_found_again_belongs_to_one_face(found: list[list[float]], expected: list[int]) -> None:
    known = np.array([[0, 0, 10, 10], [3, 0, 13, 10]], np.float32)
    boxes = np.array(found, np.float32).reshape(-1, 4)
    assert best_partners(known, boxes, min_iou=0.5).tolist() == expected
