"""Faces are paired with bodies one to one; people in the same clothes are similar."""

from itertools import combinations, permutations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facesets.clustering.people.body_matches import MIN_SIMILARITY
from facesets.imaging.bodies import (
    COLOURS,
    Boxes,
    SeenBodies,
    bodies_of_photo,
    faces_in_bodies,
    torso_colours,
)
from facesets.records import Float32, Pixels


def scores(*values: float) -> Float32:
    return np.array(values, np.float32)


def boxes(*rows: tuple[float, float, float, float]) -> Float32:
    return np.array(rows, np.float32).reshape(-1, 4)


_SIDE = st.integers(0, 60)
_LENGTH = st.integers(1, 40)
_BOX = st.tuples(_SIDE, _SIDE, _LENGTH, _LENGTH).map(lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3]))
_BOXES = st.lists(_BOX, max_size=4).map(lambda rows: boxes(*rows))


def inside(face: Float32, body: Float32) -> float:
    """Return the share of a face in the upper half of a body."""
    x1, y1, x2, y2 = body
    width = min(face[2], x2) - max(face[0], x1)
    height = min(face[3], (y1 + y2) / 2) - max(face[1], y1)
    area = (face[2] - face[0]) * (face[3] - face[1])
    return float(max(width, 0) * max(height, 0) / area)


@given(_BOXES, _BOXES)
def test_a_body_has_one_face_at_most_in_its_upper_half_and_no_other_pairing_holds_more_of_the_faces(
    faces: Float32, bodies: Float32
) -> None:
    found = faces_in_bodies(faces, bodies)
    pairs = [(row, body) for row, body in enumerate(found.tolist()) if body >= 0]
    assert len({body for _, body in pairs}) == len(pairs)
    held = np.array([[inside(face, body) for body in bodies] for face in faces]).reshape(
        len(faces), len(bodies)
    )
    assert all(held[pair] >= 0.499 for pair in pairs)
    left = set(range(len(bodies))) - set(found.tolist())
    assert all(held[row, body] < 0.501 for row in np.flatnonzero(found < 0) for body in left)
    best = max(
        sum(held[row, body] for row, body in enumerate(chosen) if body >= 0 and held[row, body] >= 0.5)
        for chosen in set(permutations([*range(len(bodies)), *[-1] * len(faces)], len(faces)))
    )
    # Where the head is counts a tenth for each face.
    assert sum(held[pair] for pair in pairs) >= best - 0.1 * len(faces) - 1e-6


@given(_BOXES, _BOXES, st.sampled_from([0.25, 0.5, 2, 8]), st.randoms(use_true_random=False))
def test_neither_size_nor_order_matters(
    faces: Float32, bodies: Float32, scale: float, random: st.DrawFn
) -> None:
    order = list(range(len(bodies)))
    random.shuffle(order)  # type: ignore[attr-defined]
    found = faces_in_bodies(faces, bodies)
    other = faces_in_bodies(faces * np.float32(scale), bodies[order] * np.float32(scale))
    assert (found >= 0).sum() == (other >= 0).sum()


def test_two_adjacent_people_have_their_own_faces() -> None:
    bodies = boxes((0, 0, 100, 300), (40, 0, 140, 300))
    faces = boxes((75, 20, 105, 55), (35, 20, 65, 55))
    assert faces_in_bodies(faces, bodies).tolist() == [1, 0]


def test_a_child_in_front_keeps_the_own_face() -> None:
    bodies = boxes((0, 0, 200, 600), (60, 150, 140, 450))
    faces = boxes((70, 20, 130, 90), (80, 160, 120, 205))
    assert faces_in_bodies(faces, bodies).tolist() == [0, 1]


def test_a_photo_has_bodies_with_faces_faces_alone_and_bodies_alone() -> None:
    pixels = np.full((400, 600, 3), 90, np.uint8)
    seen = SeenBodies(
        Boxes(boxes((0, 0, 100, 300), (200, 0, 300, 300), (400, 0, 500, 300)), scores(0.9, 0.8, 0.7)),
        Boxes(boxes((31, 20, 70, 60), (230, 20, 270, 60), (540, 20, 580, 60)), scores(0.95, 0.85, 0.75)),
    )
    found = bodies_of_photo(seen, boxes((30, 20, 70, 60)), pixels, (2, 3))
    assert found.face.tolist() == [0, -1, -1, -1]
    np.testing.assert_array_equal(found.box[1], [400, 0, 600, 900])
    np.testing.assert_array_equal(found.face_box[1], [460, 60, 540, 180])
    np.testing.assert_array_equal(found.face_box[3], [1080, 60, 1160, 180])
    assert np.isnan(found.face_box[[0, 2]]).all()
    assert np.isnan(found.box[3]).all()
    np.testing.assert_allclose(found.score, [0.9, 0.8, 0.7, np.nan])
    np.testing.assert_allclose(found.face_score, [np.nan, 0.85, np.nan, 0.75])
    assert (found.colours.any(axis=1)).tolist() == [True, True, True, False]
    nobody = SeenBodies(Boxes(boxes(), scores()), Boxes(boxes(), scores()))
    for faces in (boxes(), boxes((1, 1, 20, 20))):
        found = bodies_of_photo(nobody, faces, pixels, (1, 1))
        assert (len(found), found.colours.shape) == (0, (0, COLOURS))


BODY = np.array([20, 0, 180, 480], np.float32)


def dressed(colour: tuple[int, int, int], other: tuple[int, int, int], rng: np.random.Generator) -> Pixels:
    """Draw a person in a striped jumper, before a wall of any color."""
    picture = np.tile(rng.integers(30, 220, 3).astype(np.float64), (500, 200, 1))
    rows = np.arange(500)[:, None, None] + rng.uniform(0, 20)
    stripes = np.where(np.sin(rows / 6) > 0.3, np.array(other), np.array(colour))
    folds = 1 + 0.15 * np.sin(np.arange(200)[None, :, None] / 23 + rng.uniform(0, 6))
    picture[90:300, 30:170] = (stripes * folds)[90:300, 30:170]
    noisy = picture * 2 ** rng.uniform(-0.1, 0.1) + rng.normal(0, 6, picture.shape)
    whole: Pixels = np.clip(noisy, 0, 255).astype(np.uint8)
    return whole


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a.astype(float), b.astype(float)
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


CLOTHES = [
    ((200, 30, 30), (200, 30, 30)),
    ((30, 60, 180), (30, 60, 180)),
    ((30, 60, 180), (230, 230, 230)),
    ((20, 20, 20), (20, 20, 20)),
    ((235, 235, 235), (235, 235, 235)),
    ((220, 190, 40), (40, 120, 60)),
]


def test_the_same_clothes_are_mostly_similar_and_others_never() -> None:
    rng = np.random.default_rng(1)
    described = [[torso_colours(dressed(*each, rng), BODY) for _ in range(8)] for each in CLOTHES]
    same = np.array([cosine(a, b) for own in described for a, b in combinations(own, 2)])
    pairs = combinations(described, 2)
    others = np.array([cosine(a, b) for own, other in pairs for a in own for b in other])
    assert np.mean(same >= MIN_SIMILARITY) > 0.8
    assert others.max() < MIN_SIMILARITY - 0.15
    # In any light, the same clothes are more similar than others.
    assert same.min() > others.max()


def test_a_picture_of_another_size_gives_about_the_same() -> None:
    picture = dressed(*CLOTHES[2], np.random.default_rng(2))
    small = cv2.resize(picture, (80, 200), interpolation=cv2.INTER_AREA)
    assert cosine(torso_colours(picture, BODY), torso_colours(small, BODY * np.float32(0.4))) >= 0.98


def test_with_a_face_the_torso_lies_below_it_though_the_body_is_cut() -> None:
    picture = dressed(*CLOTHES[0], np.random.default_rng(3))[:260]
    face = np.array([75, 20, 125, 80], np.float32)
    whole = torso_colours(dressed(*CLOTHES[0], np.random.default_rng(4)), BODY)
    assert (
        cosine(torso_colours(picture, np.array([20, 0, 180, 260], np.float32), face), whole) >= MIN_SIMILARITY
    )


@pytest.mark.parametrize(
    "body", [(0, 0, 20, 30), (300, 300, 400, 500), (-90, -90, -10, -10), (190, 0, 900, 20)]
)
def test_a_torso_that_is_tiny_or_outside_is_not_described(body: tuple[int, ...]) -> None:
    assert not torso_colours(np.full((200, 200, 3), 200, np.uint8), np.array(body, np.float32)).any()
