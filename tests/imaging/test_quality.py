from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facesets.imaging.boxes import short_edge
from facesets.imaging.decode import decode
from facesets.imaging.quality import (
    FACE_3D,
    WEIGHTS,
    FaceQuality,
    frontality,
    pose_from_keypoints,
    quality,
    sharpness_score,
    size_score,
    symmetry,
)
from facesets.imaging.sharpness import sharpness
from facesets.inference.local import LocalEmbedder
from facesets.inference.packs import read_pack
from facesets.records import Faces, Float32, Pixels


@pytest.fixture(scope="module")
def embedder(pack_dir: Path) -> LocalEmbedder:
    return LocalEmbedder(read_pack(pack_dir), det_size=640, min_det_score=0.3)


@pytest.fixture(scope="module")
def photo(lfw_dir: Path) -> Pixels:
    return decode(str(lfw_dir / "Andre_Agassi" / "Andre_Agassi_0001.jpg")).pixels


def rated(embedder: LocalEmbedder, pictures: Sequence[Pixels]) -> FaceQuality:
    """Quality of the largest face of each picture."""
    found = embedder.embed(pictures)
    assert all(len(faces) for faces in found)
    return quality(Faces.concatenate([faces.take(np.array([faces.face_short.argmax()])) for faces in found]))


@pytest.mark.parametrize("part", ["sharpness", "face_size"])
def test_blurring_and_shrinking_lower_the_quality_at_every_step(
    embedder: LocalEmbedder, photo: Pixels, part: str
) -> None:
    if part == "sharpness":
        steps = [photo, *[cv2.GaussianBlur(photo, (0, 0), sigma) for sigma in (0.7, 1.2, 2, 3, 4.5)]]
    else:
        edges = (250, 200, 160, 120)
        steps = [cv2.resize(photo, (edge, edge), interpolation=cv2.INTER_AREA) for edge in edges]
    scores = rated(embedder, steps)
    assert (np.diff(getattr(scores, part)) < 0).all()
    assert scores.total.argmax() == 0


def test_sharpness_is_the_variance_of_the_laplacian(photo: Pixels) -> None:
    for x1, y1, x2, y2 in ((10, 20, 240, 230), (0, 30, 100, 250), (100, 100, 101, 101)):
        grey = cv2.cvtColor(photo[y1:y2, x1:x2], cv2.COLOR_RGB2GRAY)
        expected = cv2.Laplacian(grey, cv2.CV_64F).var()
        assert sharpness(photo, np.array([x1, y1, x2, y2], np.float32)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.usefixtures("insightface_pack")
def test_a_hidden_face_has_a_lower_detector_part(embedder: LocalEmbedder, photo: Pixels) -> None:
    box = embedder.embed([photo])[0].box[0].astype(int)
    hidden = photo.copy()
    hidden[(box[1] + 2 * box[3]) // 3 : box[3], box[0] : box[2]] = 128
    scores = rated(embedder, [photo, hidden])
    assert scores.det_score[1] < scores.det_score[0]


@pytest.mark.slow
def test_every_part_and_the_sum_lie_between_0_and_1(embedder: LocalEmbedder, lfw_photos: list[Path]) -> None:
    faces = Faces.concatenate(embedder.embed([decode(str(path)).pixels for path in lfw_photos[::48]]))
    scores = quality(faces)
    for part in (*WEIGHTS, "total"):
        values = getattr(scores, part)
        assert values.shape == (len(faces),)
        assert ((values >= 0) & (values <= 1)).all()
    expected = sum(weight * getattr(scores, part) for part, weight in WEIGHTS.items())
    assert scores.total == pytest.approx(expected, abs=1e-5)


def test_the_weights_are_the_documented_ones() -> None:
    assert list(WEIGHTS.values()) == [0.30, 0.20, 0.20, 0.15, 0.15]


def test_a_stored_pose_counts_more_than_the_keypoints(embedder: LocalEmbedder, photo: Pixels) -> None:
    faces = embedder.embed([photo])[0].take(np.array([0]))
    away = Faces(**faces.columns() | {"pose": np.array([[0, 80, 0]], np.float32)})
    unknown = Faces(**faces.columns() | {"pose": np.full((1, 3), np.nan, np.float32)})
    assert quality(away).frontality[0] == pytest.approx(1 - 80 / 90, abs=1e-3)
    assert quality(unknown).frontality == pytest.approx(quality(faces).frontality)


def test_size_and_sharpness_grow_with_what_they_measure() -> None:
    assert (np.diff(size_score(np.geomspace(33, 255, 50).astype(np.float32))) > 0).all()
    assert size_score(np.array([0, 32, 256, 4000], np.float32)).tolist() == [0, 0, 1, 1]
    assert (np.diff(sharpness_score(np.geomspace(1, 5000, 50).astype(np.float32))) > 0).all()


def test_no_faces_have_no_quality() -> None:
    assert quality(Faces.empty(512)).total.shape == (0,)


def test_the_measures_behind_the_parts_are_those_of_the_cache(embedder: LocalEmbedder, photo: Pixels) -> None:
    faces = embedder.embed([photo])[0]
    assert faces.face_short == pytest.approx(short_edge(faces.box))
    assert faces.blur[0] == pytest.approx(sharpness(photo, faces.box[0]))


def turned(pitch: float, yaw: float, roll: float, scale: float = 60.0) -> Float32:
    """Keypoints of the generic face, turned by degrees and seen from afar: (1, 5, 2)."""
    p, y, r = np.radians([pitch, yaw, roll])
    about_x = np.array([[1, 0, 0], [0, np.cos(p), -np.sin(p)], [0, np.sin(p), np.cos(p)]])
    about_y = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    about_z = np.array([[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]])
    seen = FACE_3D @ (about_z @ about_y @ about_x).T
    kps: Float32 = (scale * seen[None, :, :2] + 200).astype(np.float32)
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
def test_turning_away_lowers_frontality_and_symmetry_at_every_step_and_nodding_frontality(sign: int) -> None:
    turns = np.concatenate([turned(0, sign * yaw, 0) for yaw in range(0, 81, 4)])
    nods = np.concatenate([turned(sign * pitch, 0, 0) for pitch in range(0, 61, 4)])
    for steps in (turns, nods):
        assert (np.diff(frontality(pose_from_keypoints(steps))) < 0).all()
    assert (np.diff(symmetry(turns)) < 1e-4).all()
    assert symmetry(turns)[-1] < 0.1 < 0.9 < symmetry(turns)[0]


def test_tilting_the_head_changes_neither() -> None:
    steps = np.concatenate([turned(0, 15, roll) for roll in range(-90, 91, 10)])
    assert np.ptp(frontality(pose_from_keypoints(steps))) < 0.01
    assert np.ptp(symmetry(steps)) < 0.01
