import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fixtures.vectors import Float32

from facesets.imaging.align import ARCFACE_KPS, align
from facesets.imaging.poor_faces import FaceLimits, face_limits, poor_faces

WIDTH, HEIGHT = 640, 480
OPEN = face_limits("dlib_resnet.onnx")


def face_at(x: float, y: float, scale: float = 1.0, degrees: float = 0.0) -> Float32:
    """Keypoints of a face whose aligned crop has its middle there. Shape (1, 5, 2)."""
    angle = np.radians(degrees)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    kps: Float32 = ((ARCFACE_KPS - 56) @ turn.T + [x, y]).astype(np.float32)[None]
    return kps


def is_poor(limits: FaceLimits, kps: Float32, short: float = 100.0) -> bool:
    size = (np.array([WIDTH]), np.array([HEIGHT]))
    return bool(poor_faces(limits, np.array([short], np.float32), kps, *size)[0])


@pytest.mark.parametrize(
    ("recognizer", "least"), [("w600k_mbf.onnx", 32), (None, 32), ("dlib_resnet.onnx", 48)]
)
def test_a_face_is_poor_below_the_size_that_its_recognizer_needs(recognizer: str | None, least: int) -> None:
    limits = face_limits(recognizer)
    assert is_poor(limits, face_at(300, 200), least - 0.1)
    assert not is_poor(limits, face_at(300, 200), least)


def test_the_open_pack_needs_whole_faces_and_others_accept_half_a_face() -> None:
    cut_off = face_at(5, 200)
    assert is_poor(OPEN, cut_off)
    assert not is_poor(face_limits("w600k_mbf.onnx"), cut_off)
    assert not is_poor(OPEN, face_at(60, 60))


def test_keypoints_that_fit_no_face_and_those_that_coincide_are_poor() -> None:
    mirrored = face_at(300, 200) * np.array([-1, 1], np.float32) + np.array([WIDTH, 0], np.float32)
    assert is_poor(OPEN, mirrored)
    assert is_poor(OPEN, np.full((1, 5, 2), 100, np.float32))


@given(st.floats(-50, WIDTH + 50), st.floats(-50, HEIGHT + 50), st.floats(1, 3), st.floats(-180, 180))
def test_a_face_is_cut_off_by_the_share_missing_from_its_crop(
    x: float, y: float, scale: float, degrees: float
) -> None:
    kps = face_at(x, y, scale, degrees)
    there = float(align(np.full((HEIGHT, WIDTH, 3), 255, np.uint8), kps[0]).mean()) / 255
    less, more = FaceLimits(min_inside=there - 0.08), FaceLimits(min_inside=there + 0.08)
    assert not is_poor(less, kps)
    assert is_poor(more, kps)


def test_many_faces_are_the_same_as_one_by_one() -> None:
    many = np.concatenate([face_at(x, 200, 0.8, x) for x in range(0, WIDTH, 7)])
    count = len(many)
    size = (np.full(count, WIDTH), np.full(count, HEIGHT))
    together = poor_faces(OPEN, np.full(count, 100, np.float32), many, *size)
    assert together.tolist() == [is_poor(OPEN, one[None]) for one in many]
    assert 0 < together.sum() < count
