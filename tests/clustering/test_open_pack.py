"""Clustering by itself with the open pack's recogniser."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from facesets.clustering import (
    Constraints,
    Scores,
    average_linkage,
    calibrate,
    cluster_auto,
    evaluate,
    violations,
)
from facesets.clustering.graph import Edges
from facesets.clustering.pairing import few_pairs_cut, matched, pair_cut
from facesets.clustering.recognisers import PairModel
from facesets.imaging.decode import decode
from facesets.inference.local import LocalEmbedder
from facesets.inference.packs import read_pack
from facesets.records import Float32

KNOWN, FACES, STRANGERS, WITH_TWO = 6, 6, 120, 30
CUTS = np.arange(0.4, 0.65, 0.01)

Album = tuple[Float32, Sequence[str]]


@pytest.fixture(scope="module")
def people(real_lfw: Path) -> Sequence[Sequence[Path]]:
    """The photos of each of LFW's people, of those with most photos first."""
    photos = [sorted(folder.glob("*.jpg")) for folder in real_lfw.iterdir()]
    return sorted(photos, key=lambda own: (-len(own), own[0]))


@pytest.fixture(scope="module")
def among_strangers(people: Sequence[Sequence[Path]]) -> Sequence[Path]:
    """A few people with several photos among many with one."""
    known = [photo for own in people[:KNOWN] for photo in own[:FACES]]
    return known + [own[0] for own in people[-STRANGERS:]]


@pytest.fixture(scope="module")
def two_each(people: Sequence[Sequence[Path]]) -> Sequence[Path]:
    """Two photos of everybody."""
    return [photo for own in people[:WITH_TWO] for photo in own[:2]]


@pytest.fixture(scope="module")
def vector_of(
    open_pack: Path, among_strangers: Sequence[Path], two_each: Sequence[Path]
) -> Mapping[Path, Float32]:
    """The vector of the largest face of each photo."""
    embedder = LocalEmbedder(read_pack(open_pack), det_size=256, min_det_score=0.5)
    vectors = {}
    for photo in dict.fromkeys([*among_strangers, *two_each]):
        faces = embedder.embed([decode(photo).pixels])[0]
        vectors[photo] = faces.embedding[np.argmax(faces.face_short)]
    return vectors


@pytest.fixture
def albums(
    among_strangers: Sequence[Path], two_each: Sequence[Path], vector_of: Mapping[Path, Float32]
) -> list[Album]:
    return [
        (np.array([vector_of[photo] for photo in photos]), [photo.parent.name for photo in photos])
        for photos in (among_strangers, two_each)
    ]


def grouped(vectors: Float32, names: Sequence[str]) -> Scores:
    known = calibrate(vectors, recogniser="dlib_resnet.onnx")
    return evaluate(cluster_auto(vectors, calibration=known).labels, names)


@pytest.mark.slow
def test_people_are_found_among_strangers(
    vector_of: Mapping[Path, Float32], among_strangers: Sequence[Path]
) -> None:
    vectors = np.array([vector_of[photo] for photo in among_strangers])
    names = [photo.parent.name for photo in among_strangers]
    scores = grouped(vectors, names)
    assert min(scores.pairwise_f1, scores.bcubed_f1) > 0.94
    unknown = calibrate(vectors)
    worse = evaluate(cluster_auto(vectors, calibration=unknown).labels, names)
    assert scores.bcubed_f1 > worse.bcubed_f1 + 0.02


@pytest.mark.slow
def test_no_cut_chosen_by_who_knows_the_people_is_much_better(albums: list[Album]) -> None:
    for vectors, names in albums:
        scores = grouped(vectors, names)
        assert min(scores.pairwise_f1, scores.bcubed_f1) > 0.95
        for cut in CUTS:
            other = evaluate(average_linkage(vectors, max_cosine_distance=float(cut)), names)
            assert other.pairwise_f1 < scores.pairwise_f1 + 0.005
            assert other.bcubed_f1 < scores.bcubed_f1 + 0.003


@pytest.mark.slow
def test_what_is_known_of_faces_holds(albums: list[Album]) -> None:
    for vectors, names in albums:
        name = np.array(names)
        apart = np.argwhere(np.triu(name[:, None] == name, 1))[:5]
        together = np.array([[0, len(name) - 1], [1, len(name) - 3]])
        together = together[name[together[:, 0]] != name[together[:, 1]]]
        constraints = Constraints(must_link=together, cannot_link=apart)
        known = calibrate(vectors, recogniser="dlib_resnet.onnx")
        result = cluster_auto(vectors, calibration=known, constraints=constraints)
        violated = violations(result.labels, constraints)
        kept = {tuple(sorted(pair)) for pair in result.contradictions.tolist()}
        assert {tuple(sorted(pair)) for pair in violated.tolist()} <= kept


@pytest.mark.slow
def test_the_order_of_the_faces_changes_nothing(albums: list[Album]) -> None:
    for vectors, _ in albums:
        known = calibrate(vectors, recogniser="dlib_resnet.onnx")
        order = np.random.default_rng(0).permutation(len(vectors))
        once, again = (cluster_auto(some, calibration=known).labels for some in (vectors, vectors[order]))
        assert np.array_equal(once[order][:, None] == once[order], again[:, None] == again)


def test_its_cut_rises_with_the_number_of_faces_and_is_measured_on_none_of_them() -> None:
    rng = np.random.default_rng(0)
    few, many = (calibrate(rng.standard_normal((n, 16)), recogniser="dlib_resnet.onnx") for n in (100, 3000))
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
