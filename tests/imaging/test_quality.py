from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from facesets.imaging.boxes import short_edge
from facesets.imaging.decode import decode
from facesets.imaging.quality import WEIGHTS, FaceQuality, quality, sharpness_score, size_score
from facesets.imaging.sharpness import sharpness
from facesets.inference.local import LocalEmbedder
from facesets.inference.packs import read_pack
from facesets.records import Faces, Pixels


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


def test_a_blurred_face_is_less_sharp_at_every_step_and_never_better(
    embedder: LocalEmbedder, photo: Pixels
) -> None:
    steps = [photo, *[cv2.GaussianBlur(photo, (0, 0), sigma) for sigma in (0.7, 1.2, 2, 3, 4.5)]]
    scores = rated(embedder, steps)
    assert (np.diff(scores.sharpness) < 0).all()
    assert scores.total.argmax() == 0


def test_sharpness_is_the_variance_of_the_laplacian(photo: Pixels) -> None:
    for x1, y1, x2, y2 in ((10, 20, 240, 230), (0, 30, 100, 250), (100, 100, 101, 101)):
        grey = cv2.cvtColor(photo[y1:y2, x1:x2], cv2.COLOR_RGB2GRAY)
        expected = cv2.Laplacian(grey, cv2.CV_64F).var()
        assert sharpness(photo, np.array([x1, y1, x2, y2], np.float32)) == pytest.approx(expected, rel=1e-9)


def test_a_shrunken_face_scores_less_for_size_at_every_step(embedder: LocalEmbedder, photo: Pixels) -> None:
    steps = [cv2.resize(photo, (edge, edge), interpolation=cv2.INTER_AREA) for edge in (250, 200, 160, 120)]
    scores = rated(embedder, steps)
    assert (np.diff(scores.face_size) < 0).all()
    assert scores.total.argmax() == 0


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
