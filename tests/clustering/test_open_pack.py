"""Clustering by itself with the open pack's recogniser."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from facesets.clustering import calibrate, cluster_auto, evaluate
from facesets.imaging.decode import decode
from facesets.inference.local import LocalEmbedder
from facesets.inference.packs import read_pack
from facesets.records import Float32

KNOWN, FACES, STRANGERS = 6, 6, 60


@pytest.fixture(scope="module")
def album(open_pack: Path, real_lfw: Path) -> tuple[Float32, Sequence[str]]:
    """A few people with several photos among many with one."""
    folders = sorted(real_lfw.iterdir(), key=lambda folder: (-len(list(folder.glob("*.jpg"))), folder.name))
    photos = [photo for folder in folders[:KNOWN] for photo in sorted(folder.glob("*.jpg"))[:FACES]]
    photos += [min(folder.glob("*.jpg")) for folder in folders[-STRANGERS:]]
    embedder = LocalEmbedder(read_pack(open_pack), det_size=256, min_det_score=0.5)
    vectors = []
    for photo in photos:
        faces = embedder.embed([decode(photo).pixels])[0]
        vectors.append(faces.embedding[np.argmax(faces.face_short)])
    return np.array(vectors), [photo.parent.name for photo in photos]


def test_people_are_found_among_strangers(album: tuple[Float32, Sequence[str]]) -> None:
    vectors, names = album
    known = calibrate(vectors, recogniser="dlib_resnet.onnx")
    scores = evaluate(cluster_auto(vectors, calibration=known).labels, names)
    assert min(scores.pairwise_f1, scores.bcubed_f1) > 0.94
    unknown = calibrate(vectors)
    worse = evaluate(cluster_auto(vectors, calibration=unknown).labels, names)
    assert scores.bcubed_f1 > worse.bcubed_f1 + 0.02


def test_its_cut_rises_with_the_number_of_faces_and_is_measured_on_none_of_them() -> None:
    rng = np.random.default_rng(0)
    few, many = (calibrate(rng.standard_normal((n, 16)), recogniser="dlib_resnet.onnx") for n in (100, 3000))
    assert (few.typical, few.middle, few.spread) == (many.typical, many.middle, many.spread)
    assert 0.4 < few.link < many.link < many.core < 0.5
    assert many.several == many.link
