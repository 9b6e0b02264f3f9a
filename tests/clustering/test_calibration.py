"""Clustering by itself as a recognizer needs it: measured on the faces, or known as of the open pack's."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from facesets.clustering import Calibration, average_linkage, calibrate, cluster_auto, evaluate
from facesets.clustering.graph import Edges
from facesets.clustering.known_recognizers import PairModel
from facesets.clustering.pairing import few_pairs_cut, matched, pair_cut
from facesets.clustering.vectors import unit_rows
from facesets.imaging.decode import decode
from facesets.inference.local import LocalEmbedder
from facesets.inference.packs import read_pack
from tests.fixtures.vectors import Float32, People


@pytest.mark.slow
@pytest.mark.usefixtures("real_lfw")
def test_calibration_finds_what_one_persons_faces_share(real_people: People) -> None:
    measured = calibrate(real_people.embedding)
    assert measured.typical == pytest.approx(0.61, abs=0.03)
    assert measured.strangers < measured.link < measured.core < measured.typical


@pytest.mark.slow
def test_a_recognizer_with_other_similarities_gets_other_thresholds(real_people: People) -> None:
    # A constant part in every vector lifts all similarities, as some recognizers do.
    vectors = real_people.embedding[:3000]
    lifted = np.c_[vectors, np.full(len(vectors), 0.8, np.float32)]
    assert calibrate(lifted).offset
    assert calibrate(lifted).link > calibrate(vectors).link + 0.1


def recognizers(real_people: People) -> dict[str, Float32]:
    """Return the same faces as embedded by other recognizers."""
    rng = np.random.default_rng(0)
    unit = real_people.embedding / np.linalg.norm(real_people.embedding, axis=1, keepdims=True)
    noise = rng.standard_normal(unit.shape)
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    found = {
        "even strangers are similar by two thirds": np.c_[unit, np.full(len(unit), 1.4)],
        "one person's faces are similar by a third only": np.c_[unit * 0.6**0.5, noise * 0.4**0.5],
        "half as many numbers": unit @ rng.standard_normal((512, 256)),
        "a quarter as many": unit @ rng.standard_normal((512, 128)),
    }
    return {name: vectors.astype(np.float32) for name, vectors in found.items()}


@pytest.mark.slow
def test_auto_needs_no_setting_for_another_recognizer(real_people: People) -> None:
    some = np.isin(real_people.name, np.unique(real_people.name)[::3])
    offset = 0
    names = real_people.name[some]
    for what, vectors in recognizers(real_people).items():
        result = cluster_auto(vectors[some])
        offset += "Even faces of different people had a similarity of 0.6" in result.reasons[0]
        scores = evaluate(result.labels, names)
        assert scores.pairwise_f1 >= 0.98, what
        assert scores.bcubed_f1 >= 0.98, what
    assert offset == 1


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_an_album_of_few_people_is_sorted_too(real_people: People, count: int) -> None:
    names, faces = np.unique(real_people.name, return_counts=True)
    album = np.isin(real_people.name, names[np.argsort(-faces, kind="stable")[:count]])
    result = cluster_auto(real_people.embedding[album])
    assert evaluate(result.labels, real_people.name[album]).bcubed_f1 >= 0.999


def test_more_faces_take_more_similarity_to_be_linked() -> None:
    few, many = (Calibration(0.6, 0.0, 0.1, faces, "") for faces in (100, 100_000))
    assert few.link < many.link <= many.core
    assert many.several < many.link


def test_too_few_faces_use_the_recognizers_known_values() -> None:
    assert calibrate(np.eye(5)).typical == 0.6
    assert "typical for ArcFace: too few people" in calibrate(np.empty((0, 5))).source
    assert "measured for w600k_mbf" in calibrate(np.eye(5), recognizer="w600k_mbf.onnx").source


def test_bursts_of_one_person_are_one_person_to_a_known_recognizer(real_people: People) -> None:
    names, faces = np.unique(real_people.name, return_counts=True)
    moments = unit_rows(real_people.embedding[real_people.name == names[faces.argmax()]][::25])
    noise = unit_rows(np.random.default_rng(0).standard_normal((10 * len(moments), 512)))
    bursts = (np.repeat(moments, 10, axis=0) + 0.16 * noise).astype(np.float32)
    known = calibrate(bursts, recognizer="w600k_mbf.onnx")
    assert cluster_auto(bursts, calibration=known).labels.max() == 0


def test_one_persons_photos_are_not_taken_for_strangers(real_people: People) -> None:
    names, faces = np.unique(real_people.name, return_counts=True)
    one = real_people.embedding[real_people.name == names[faces.argmax()]]
    assert calibrate(one, recognizer="w600k_mbf.onnx").strangers < 0.3
    assert calibrate(one).strangers < 0.3


KNOWN, FACES, STRANGERS, WITH_TWO = 6, 6, 120, 30

Album = tuple[Float32, Sequence[str]]


@pytest.fixture(scope="module")
def albums(real_lfw: Path, open_pack: Path) -> list[Album]:
    """Return albums: a few people with several photos among many with one, and two photos of each."""
    photos = [sorted(folder.glob("*.jpg")) for folder in real_lfw.iterdir()]
    people = sorted(photos, key=lambda own: (-len(own), own[0]))
    known = [photo for own in people[:KNOWN] for photo in own[:FACES]]
    embedder = LocalEmbedder(read_pack(open_pack), det_size=256, min_det_score=0.5)

    def vector(photo: Path) -> Float32:
        faces = embedder.embed([decode(photo).pixels])[0]
        largest: Float32 = faces.embedding[np.argmax(faces.face_short)]
        return largest

    return [
        (np.array([vector(photo) for photo in album]), [photo.parent.name for photo in album])
        for album in (
            known + [own[0] for own in people[-STRANGERS:]],
            [photo for own in people[:WITH_TWO] for photo in own[:2]],
        )
    ]


@pytest.mark.slow
def test_people_are_found_almost_as_well_as_with_the_best_cut(albums: list[Album]) -> None:
    for vectors, names in albums:
        known = calibrate(vectors, recognizer="dlib_resnet.onnx")
        scores = evaluate(cluster_auto(vectors, calibration=known).labels, names)
        assert min(scores.pairwise_f1, scores.bcubed_f1) > 0.95
        for cut in np.arange(0.4, 0.65, 0.01):
            other = evaluate(average_linkage(vectors, max_cosine_distance=float(cut)), names)
            assert other.pairwise_f1 < scores.pairwise_f1 + 0.005
            assert other.bcubed_f1 < scores.bcubed_f1 + 0.003


def test_its_cut_rises_with_the_number_of_faces_and_is_measured_on_none_of_them() -> None:
    rng = np.random.default_rng(0)
    few, many = (calibrate(rng.standard_normal((n, 16)), recognizer="dlib_resnet.onnx") for n in (100, 3000))
    assert (few.typical, few.middle, few.spread) == (many.typical, many.middle, many.spread)
    assert 0.4 < few.link < many.link < many.core < 0.5
    assert many.several == many.link


MODEL = PairModel(mean=0.636, spread=0.102, reached=0.376, decay=0.0354)


def test_a_pair_must_be_more_similar_among_many_strangers_than_among_many_pairs() -> None:
    similar = np.linspace(0.85, 0.44, 80)
    assert pair_cut(similar, 160, MODEL, 0.43) < 0.45
    by_chance = np.linspace(0.55, 0.44, 30)
    assert 0.5 < pair_cut(by_chance, 200, MODEL, 0.43) < pair_cut(by_chance, 2000, MODEL, 0.43)
    assert pair_cut(np.empty(0), 0, MODEL, 0.43) == pytest.approx(0.43, abs=0.005)


def test_few_pairs_say_less_the_more_small_clusters_there_are() -> None:
    pairs_only, people = np.repeat([1, 2], [40, 60]), np.repeat([1, 2, 8], [15, 5, 12])
    assert few_pairs_cut(people, MODEL, 0.43, 0.5) < 0.44
    assert few_pairs_cut(pairs_only, MODEL, 0.43, 0.5) > 0.46
    assert few_pairs_cut(np.array([7]), MODEL, 0.43, 0.5) == 0.43


def test_the_most_similar_are_paired_first() -> None:
    edges = Edges(
        np.array([0, 1, 2, 0], np.int32),
        np.array([1, 2, 3, 3], np.int32),
        np.array([0.5, 0.9, 0.6, 0.5], np.float32),
    )
    similarity, pairs = matched(edges)
    assert pairs.tolist() == [[1, 2], [0, 3]]
    assert similarity == pytest.approx([0.9, 0.5])
    assert matched(Edges.empty())[1].shape == (0, 2)
