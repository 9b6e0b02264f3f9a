"""Landmarks and pose are those of insightface."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from insightface.app import FaceAnalysis
from tests.fixtures.made_networks import points

from facesets.imaging.decode import decode
from facesets.inference.landmarks import Landmarks
from facesets.inference.local import LocalEmbedder
from facesets.inference.packs import ModelPack, read_pack


@pytest.fixture(scope="module")
def full_pack(insightface_pack: Path, tmp_path_factory: pytest.TempPathFactory) -> ModelPack:
    """The small pack with 3-D landmarks added, in the shape if not in the wisdom of buffalo_l's."""
    folder = tmp_path_factory.mktemp("packs") / "full"
    shutil.copytree(insightface_pack, folder)
    points(folder / "1k3d68.onnx", 3309)
    return read_pack(folder)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_landmarks_and_pose_agree_with_insightface(full_pack: ModelPack, lfw_photos: list[Path]) -> None:
    reference = FaceAnalysis(str(full_pack.path), providers=["CPUExecutionProvider"])
    reference.prepare(0, det_size=(640, 640))
    embedder = LocalEmbedder(full_pack, det_size=640, min_det_score=0.5)
    landmarks = Landmarks(full_pack)
    for path in lfw_photos[:5]:
        pixels = decode(path).pixels
        ours = landmarks.add(pixels, embedder.embed([pixels])[0])
        theirs = reference.get(cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
        assert ours.landmark_2d_106 is not None
        assert ours.landmark_3d_68 is not None
        assert ours.pose is not None
        for i, face in enumerate(theirs):
            np.testing.assert_allclose(ours.landmark_2d_106[i], face.landmark_2d_106, atol=0.05)
            np.testing.assert_allclose(ours.landmark_3d_68[i], face.landmark_3d_68, atol=0.05)
            np.testing.assert_allclose(ours.pose[i], face.pose, atol=0.05)


def test_a_pack_without_3d_landmarks_leaves_the_pose_open(
    landmark_pack: Path, lfw_photos: list[Path]
) -> None:
    pack = read_pack(landmark_pack)
    pixels = decode(lfw_photos[0]).pixels
    faces = LocalEmbedder(pack, det_size=640, min_det_score=0.5).embed([pixels])[0]
    found = Landmarks(pack).add(pixels, faces)
    assert found.landmark_2d_106 is not None
    assert (found.landmark_3d_68, found.pose) == (None, None)
