import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from facesets.imaging.quality import FACE_3D, frontality, pose_from_keypoints, symmetry


def turned(pitch: float, yaw: float, roll: float, scale: float = 60.0) -> NDArray[np.float32]:
    """Keypoints of the generic face, turned by degrees and seen from afar: (1, 5, 2)."""
    p, y, r = np.radians([pitch, yaw, roll])
    about_x = np.array([[1, 0, 0], [0, np.cos(p), -np.sin(p)], [0, np.sin(p), np.cos(p)]])
    about_y = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    about_z = np.array([[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]])
    seen = FACE_3D @ (about_z @ about_y @ about_x).T
    kps: NDArray[np.float32] = (scale * seen[None, :, :2] + 200).astype(np.float32)
    return kps


@given(st.floats(-60, 60), st.floats(-80, 80), st.floats(-170, 170), st.floats(10, 500))
def test_the_pose_of_a_turned_face_is_recovered(pitch: float, yaw: float, roll: float, scale: float) -> None:
    assert pose_from_keypoints(turned(pitch, yaw, roll, scale))[0] == pytest.approx(
        [pitch, yaw, roll], abs=0.5
    )


def test_a_face_turned_to_the_right_of_the_picture_has_positive_yaw_and_its_nose_there() -> None:
    kps = turned(0, 30, 0)
    assert kps[0, 2, 0] > kps[0, [0, 1], 0].mean()
    assert pose_from_keypoints(kps)[0, 1] > 0


def test_many_faces_are_the_same_as_one_by_one() -> None:
    many = np.concatenate([turned(5, yaw, 3) for yaw in range(-40, 41, 5)])
    alone = np.concatenate([pose_from_keypoints(one[None]) for one in many])
    assert pose_from_keypoints(many) == pytest.approx(alone, abs=1e-4)


def test_keypoints_that_coincide_have_no_pose_and_harm_no_other() -> None:
    both = np.concatenate([np.zeros((1, 5, 2), np.float32), turned(0, 20, 0)])
    pose = pose_from_keypoints(both)
    assert np.isnan(pose[0]).all()
    assert pose[1, 1] == pytest.approx(20, abs=0.5)
    assert pose_from_keypoints(np.empty((0, 5, 2), np.float32)).shape == (0, 3)


@pytest.mark.parametrize("sign", [1, -1])
def test_turning_away_lowers_frontality_and_symmetry_at_every_step(sign: int) -> None:
    steps = np.concatenate([turned(0, sign * yaw, 0) for yaw in range(0, 81, 4)])
    assert (np.diff(frontality(pose_from_keypoints(steps))) < 0).all()
    assert (np.diff(symmetry(steps)) < 1e-4).all()
    assert symmetry(steps)[-1] < 0.1 < 0.9 < symmetry(steps)[0]


@pytest.mark.parametrize("sign", [1, -1])
def test_nodding_lowers_frontality(sign: int) -> None:
    steps = np.concatenate([turned(sign * pitch, 0, 0) for pitch in range(0, 61, 4)])
    assert (np.diff(frontality(pose_from_keypoints(steps))) < 0).all()


def test_tilting_the_head_changes_neither() -> None:
    steps = np.concatenate([turned(0, 15, roll) for roll in range(-90, 91, 10)])
    assert np.ptp(frontality(pose_from_keypoints(steps))) < 0.01
    assert np.ptp(symmetry(steps)) < 0.01
