import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from facesets.formats.crops import cut, paint_over, square_around, wide_square

boxes = st.tuples(*[st.floats(0, 300)] * 2, *[st.floats(5, 200)] * 2).map(
    lambda v: np.array([v[0], v[1], v[0] + v[2], v[1] + v[3]], np.float32)
)


@given(boxes, st.integers(50, 600), st.integers(50, 600), st.floats(0, 1))
def test_a_square_holds_the_face_and_stays_in_the_picture_where_it_can(
    box: np.ndarray, width: int, height: int, pad: float
) -> None:
    box[[0, 2]] = np.clip(box[[0, 2]], 0, width)
    box[[1, 3]] = np.clip(box[[1, 3]], 0, height)
    square = square_around(box, width, height, pad)
    assert square.x <= box[0] + 1
    assert square.y <= box[1] + 1
    assert square.x + square.edge >= box[2] - 1
    assert square.y + square.edge >= box[3] - 1
    if square.edge <= min(width, height):
        assert 0 <= square.x <= width - square.edge
        assert 0 <= square.y <= height - square.edge


def test_padding_is_a_share_of_the_longer_edge_on_every_side() -> None:
    square = square_around(np.array([400, 400, 480, 500], np.float32), 1000, 1000, 0.5)
    assert (square.x, square.y, square.edge) == (340, 350, 200)


def test_points_of_the_picture_are_found_again_in_the_crop() -> None:
    picture = np.zeros((400, 400, 3), np.uint8)
    picture[100:110, 200:210] = 255
    square = square_around(np.array([150, 80, 250, 180], np.float32), 400, 400, 0.5)
    crop = cut(picture, square, 512)
    box = square.box_to_crop(np.array([[200, 100, 210, 110]], np.float32), 512)[0]
    centre = ((box[:2] + box[2:]) / 2).astype(int)
    assert crop[centre[1], centre[0]].min() == 255
    assert crop.shape == (512, 512, 3)


def test_beyond_the_picture_a_crop_is_black() -> None:
    picture = np.full((50, 50, 3), 200, np.uint8)
    crop = cut(picture, wide_square(np.array([0, 0, 50, 50], np.float32), 0.5), 100)
    assert crop[0, 0].max() == 0
    assert crop[50, 50].min() == 200


def test_painting_over_leaves_the_subject_as_it_was_and_nothing_of_the_bystander() -> None:
    rng = np.random.default_rng(0)
    crop = rng.integers(0, 255, (512, 512, 3), np.uint8)
    subject = np.array([150, 150, 350, 350], np.float32)
    bystander = np.array([[330, 100, 450, 260]], np.float32)
    painted = paint_over(crop, subject, bystander)
    assert (painted[150:350, 150:350] == crop[150:350, 150:350]).all()
    assert painted[120:240, 380:440].std(axis=(0, 1)).max() < 2
