"""Faces, vectors, landmarks, poses, ages and sexes agree with insightface's own."""

import shutil
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from insightface.app import FaceAnalysis
from insightface.app.common import Face
from insightface.model_zoo.attribute import Attribute
from insightface.utils.face_align import norm_crop
from tests.fixtures.made_networks import points
from tests.fixtures.photos import wide_picture
from tests.fixtures.soak import soaking

from facesets.imaging.align import align
from facesets.imaging.decode import decode
from facesets.inference.attributes import Attributes, attribute_model
from facesets.inference.landmarks import Landmarks
from facesets.inference.local import LocalEmbedder
from facesets.inference.packs import ModelPack, read_pack
from facesets.records import Faces, Pixels

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")


@pytest.fixture(scope="module")
def embedder(pack_dir: Path) -> LocalEmbedder:
    return LocalEmbedder(read_pack(pack_dir), det_size=640, min_det_score=0.5)


@pytest.fixture(scope="module")
def reference(pack_dir: Path) -> Any:
    """InsightFace itself; None where its models are missing."""
    if not (pack_dir / "det_500m.onnx").is_file():
        return None
    analysis = FaceAnalysis(
        str(pack_dir),
        allowed_modules=["detection", "recognition"],
        providers=["CPUExecutionProvider"],
    )
    analysis.prepare(0, det_size=(640, 640))
    return analysis


@pytest.fixture(scope="module")
def pictures(lfw_photos: Sequence[Path], reference: Any) -> list[Pixels]:
    """Small portraits, a group, tall and wide pictures, twelve megapixels, and nearly nothing."""
    group = str(files("insightface") / "data" / "images" / "t1.jpg")
    portraits = [decode(path).pixels for path in lfw_photos[: soaking(40, else_=16) if reference else 12]]
    composed = [
        np.asarray(wide_picture(lfw_photos[:3], width, height))
        for width, height in ((4000, 3000), (900, 1600), (1999, 333))
    ]
    thin = [np.zeros((1, 3000, 3), np.uint8), np.full((3000, 1, 3), 127, np.uint8)]
    return [*portraits, decode(group).pixels, *composed, *thin]


@pytest.fixture(scope="module")
def expected(reference: Any, embedder: LocalEmbedder, pictures: list[Pixels]) -> list[Sequence[Any]]:
    """What insightface finds in each of the pictures; without it, what is found in each by itself."""
    if reference is None:
        return [_as_insightface_has_it(embedder.embed([picture])[0]) for picture in pictures]
    # It divides by a size of zero on pictures thinner than one scaled pixel.
    return [
        []
        if min(picture.shape[:2]) * 640 < max(picture.shape[:2])
        else reference.get(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        for picture in pictures
    ]


def _as_insightface_has_it(faces: Faces) -> list[Any]:
    columns = zip(faces.box, faces.kps, faces.det_score, faces.embedding, strict=True)
    names = ("bbox", "kps", "det_score", "normed_embedding")
    return [SimpleNamespace(**dict(zip(names, each, strict=True))) for each in columns]


def assert_same(ours: Faces, theirs: Sequence[Any]) -> None:
    assert len(ours) == len(theirs)
    for i, face in enumerate(theirs):
        assert np.abs(ours.box[i] - face.bbox).max() < 1
        assert np.abs(ours.kps[i] - face.kps).max() < 1
        assert abs(ours.det_score[i] - face.det_score) < 1e-4
        assert float(ours.embedding[i] @ face.normed_embedding) >= 0.9999


@pytest.mark.soak
@pytest.mark.slow
@pytest.mark.parametrize(("batch", "faces_per_run", "images_per_run"), [(1, 1, 1), (10, 5, 4)])
def test_same_faces_boxes_and_vectors_whatever_the_batch(
    pack_dir: Path,
    expected: list[Sequence[Any]],
    pictures: list[Pixels],
    batch: int,
    faces_per_run: int,
    images_per_run: int,
) -> None:
    ours = LocalEmbedder(
        read_pack(pack_dir),
        det_size=640,
        min_det_score=0.5,
        faces_per_run=faces_per_run,
        images_per_run=images_per_run,
    )
    found = [faces for i in range(0, len(pictures), batch) for faces in ours.embed(pictures[i : i + batch])]
    assert sum(map(len, expected)) > len(pictures)
    for faces, theirs in zip(found, expected, strict=True):
        assert_same(faces, theirs)


@pytest.mark.slow
def test_vectors_are_equal_to_the_last_bit_whatever_the_batch(
    embedder: LocalEmbedder, pictures: list[Pixels]
) -> None:
    together = embedder.embed(pictures[:16])
    alone = [embedder.embed([picture])[0] for picture in pictures[:16]]
    for a, b in zip(together, alone, strict=True):
        assert np.array_equal(a.embedding, b.embedding)


def test_jpegs_decode_to_the_pixels_of_opencv(lfw_photos: Sequence[Path]) -> None:
    for path in lfw_photos[:20]:
        assert (decode(path).pixels[:, :, ::-1] == cv2.imread(str(path))).all()


def test_alignment_equals_insightface(lfw_photos: Sequence[Path]) -> None:
    pixels = decode(lfw_photos[0]).pixels
    rng = np.random.default_rng(1)
    for _ in range(20):
        kps = rng.uniform(20, 220, (5, 2)).astype(np.float32)
        assert np.abs(align(pixels, kps).astype(int) - norm_crop(pixels, kps)).max() <= 1


def test_keypoints_in_one_spot_give_a_crop_of_one_colour_and_no_error(lfw_photos: Sequence[Path]) -> None:
    crop = align(decode(lfw_photos[0]).pixels, np.full((5, 2), 7, np.float32))
    assert (crop == crop[0, 0]).all()


@pytest.fixture(scope="module")
def full_pack(insightface_pack: Path, tmp_path_factory: pytest.TempPathFactory) -> ModelPack:
    """The small pack with 3-D landmarks added, in the shape if not in the wisdom of buffalo_l's."""
    folder = tmp_path_factory.mktemp("packs") / "full"
    shutil.copytree(insightface_pack, folder)
    points(folder / "1k3d68.onnx", 3309)
    return read_pack(folder)


@pytest.mark.slow
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


@pytest.mark.soak
@pytest.mark.slow
def test_age_and_sex_agree_with_insightface_on_the_same_faces(
    insightface_pack: Path, lfw_photos: list[Path]
) -> None:
    pack = read_pack(insightface_pack)
    model = attribute_model(pack)
    assert model is not None
    embedder = LocalEmbedder(pack, det_size=320, min_det_score=0.5)
    ours, theirs = Attributes(model), Attribute(str(model.path))
    compared = 0
    # The soak compares more.
    for path in lfw_photos[:: soaking(5, else_=15)]:
        pixels = decode(path).pixels
        box = embedder.detect(pixels).box
        found = ours.of(pixels, box)
        bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
        for i, each in enumerate(box):
            sex, age = theirs.get(bgr, Face(bbox=each))
            assert np.argmax(found.raw[i, :2]) == sex == (found.male[i] > 0.5)
            assert round(float(found.age[i])) == max(age, 0)
            compared += 1
    assert compared > soaking(150, else_=50)
