"""The open pack's networks: dlib's vectors, cosine similarity in place of distance, CenterFace's faces."""

import tarfile
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

import cv2
import dlib
import numpy as np
import onnx
import onnxruntime
import pytest
import skimage
from onnx import numpy_helper

from facesets.imaging.align import align
from facesets.imaging.decode import decode
from facesets.imaging.quality import pose_from_keypoints
from facesets.inference import dlib_resnet
from facesets.inference.decoders import CenterFace
from facesets.inference.dlib_format import read_network
from facesets.inference.dlib_resnet import DIMENSION, VARIANCE
from facesets.inference.local import LocalEmbedder
from facesets.inference.packs import read_pack
from facesets.records import Faces, Float32, Pixels

GROUP = Path(str(files("insightface") / "data" / "images" / "t1.jpg"))
ASTRONAUT = Path(skimage.__file__).parent / "data" / "astronaut.png"


@pytest.fixture(scope="module")
def embedder(open_pack: Path) -> LocalEmbedder:
    return LocalEmbedder(read_pack(open_pack), det_size=640, min_det_score=0.5)


@pytest.fixture(scope="module")
def group() -> Pixels:
    """Six people side by side."""
    return decode(GROUP).pixels


@pytest.fixture(scope="module")
def faces(embedder: LocalEmbedder, group: Pixels) -> Faces:
    return embedder.embed([group])[0]


@pytest.fixture(scope="module")
def chips(open_pack: Path, group: Pixels, faces: Faces) -> list[Pixels]:
    template = np.array(read_pack(open_pack).recognizer.keypoints, np.float32)
    upright = [align(group, kps, 150, template) for kps in faces.kps]
    return [*upright, *(np.ascontiguousarray(chip[:, ::-1]) for chip in upright)]


@pytest.fixture(scope="module")
def dlibs_file(open_archives: Mapping[str, Path]) -> bytes:
    """The file that the recognizer is made from."""
    with tarfile.open(open_archives["dlib_resnet.onnx"]) as archive:
        name = next(name for name in archive.getnames() if name.endswith("resnet_model_v1.dat"))
        file = archive.extractfile(name)
        assert file is not None
        return file.read()


@pytest.fixture(scope="module")
def dlibs_vectors(
    dlibs_file: bytes, chips: list[Pixels], tmp_path_factory: pytest.TempPathFactory
) -> Float32:
    """Return dlib's own vectors of the chips."""
    path = tmp_path_factory.mktemp("dlib") / "model.dat"
    path.write_bytes(dlibs_file)
    model = dlib.face_recognition_model_v1(str(path))
    return np.array([model.compute_face_descriptor(chip) for chip in chips])


def run(model: bytes, chips: list[Pixels]) -> Float32:
    session = onnxruntime.InferenceSession(model)
    batch = np.stack(chips).transpose(0, 3, 1, 2).astype(np.float32)
    vectors: Float32 = session.run(None, {session.get_inputs()[0].name: batch})[0]
    return vectors


@pytest.mark.slow
def test_the_converted_network_gives_dlibs_own_vectors(
    dlibs_file: bytes, chips: list[Pixels], dlibs_vectors: Float32
) -> None:
    ours = run(dlib_resnet.distance_network(read_network(dlibs_file)).SerializeToString(), chips)
    assert ours.shape == (12, DIMENSION)
    assert np.abs(ours - dlibs_vectors).max() < 2e-6


@pytest.mark.slow
def test_cosine_similarity_falls_with_dlibs_distance_as_a_gaussian(
    open_pack: Path, chips: list[Pixels], dlibs_vectors: Float32
) -> None:
    people = len(chips) // 2
    mean = (dlibs_vectors[:people] + dlibs_vectors[people:]) / 2
    squared = ((mean[:, None] - mean) ** 2).sum(axis=2)
    vectors = run((open_pack / "dlib_resnet.onnx").read_bytes(), chips)
    assert np.abs(np.linalg.norm(vectors, axis=1) - 1).max() < 1e-5
    similarity = vectors[:people] @ vectors[:people].T
    assert np.abs(similarity - np.exp(-squared / 2 / VARIANCE)).max() < 0.06
    # A chip and its mirror image are one face.
    assert np.abs(vectors[:people] - vectors[people:]).max() < 1e-5


def test_clarity_is_unknown_for_vectors_of_unit_length(faces: Faces) -> None:
    assert faces.norm is not None
    assert np.isnan(faces.norm).all()


def test_a_file_cut_short_or_changed_is_no_network(dlibs_file: bytes) -> None:
    rng = np.random.default_rng(0)
    for end in [0, 1, 16, 300, 5000, len(dlibs_file) - 1]:
        with pytest.raises(ValueError, match=r"is truncated|is invalid"):
            read_network(dlibs_file[:end])
    with pytest.raises(ValueError, match="data after its network"):
        read_network(dlibs_file + b"1")
    for place in rng.integers(0, 19_000, 30):
        damaged = bytearray(dlibs_file)
        damaged[place] ^= 0xFF
        try:
            read_network(bytes(damaged))
        except ValueError:
            continue


def test_all_people_in_a_group_and_a_portrait_are_found(embedder: LocalEmbedder, faces: Faces) -> None:
    assert len(faces) == 6
    portrait = embedder.embed([decode(ASTRONAUT).pixels])[0]
    assert len(portrait) == 1
    # Eyes above the nose above the mouth, left of the picture first.
    for kps in [*faces.kps, *portrait.kps]:
        left, right, nose, mouth_left, mouth_right = kps
        assert left[0] < nose[0] < right[0]
        assert max(left[1], right[1]) < nose[1] < min(mouth_left[1], mouth_right[1])
    assert np.abs(pose_from_keypoints(portrait.kps)).max() < 45


def test_a_face_that_fills_the_picture_is_found_and_its_box_ends_at_the_border(
    embedder: LocalEmbedder,
) -> None:
    pixels = decode(ASTRONAUT).pixels
    x1, y1, x2, y2 = embedder.embed([pixels])[0].box[0].astype(int)
    close = np.ascontiguousarray(pixels[y1 : y2 + 1, x1 : x2 + 1])
    for scale in (1, 3):
        large = cv2.resize(close, None, fx=scale, fy=scale)
        (box,) = embedder.embed([large])[0].box
        assert (box >= 0).all()
        assert (box <= [large.shape[1], large.shape[0]] * 2).all()
        assert (box[2] - box[0]) * (box[3] - box[1]) > large.shape[0] * large.shape[1] / 2


def test_keypoints_do_not_move_when_the_box_is_cut_off() -> None:
    heat, size, shift, points = (np.zeros((n, 16, 16), np.float32) for n in (1, 2, 2, 10))
    heat[0, 2, 1] = 0.9
    size[:, 2, 1] = np.log([40 / 4, 20 / 4])  # height, width
    points[:, 2, 1] = np.tile([0.5, 0.25], 5)  # y, x
    found = CenterFace().candidates([heat, size, shift, points], 64, 0.5)
    assert found.box[0].tolist() == pytest.approx([-4, -10, 16, 30], abs=1e-4)
    assert found.kps[0].tolist() == [pytest.approx([1, 10], abs=1e-4)] * 5


def test_the_detectors_file_takes_pictures_of_any_size(open_pack: Path) -> None:
    model = onnx.load(str(open_pack / "centerface.onnx"))
    weights = {tensor.name for tensor in model.graph.initializer}
    assert [value.name for value in model.graph.input] == ["input.1"]
    assert all(numpy_helper.to_array(tensor).size for tensor in model.graph.initializer)
    assert weights <= {name for node in model.graph.node for name in node.input}
