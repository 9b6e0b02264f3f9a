import numpy as np
import pytest
from numpy.typing import NDArray

from facesets.clustering import (
    Calibration,
    calibrate,
    cluster_auto,
    evaluate,
)
from tests.fixtures.vectors import People


@pytest.mark.slow
@pytest.mark.usefixtures("real_lfw")
def test_calibration_finds_what_one_persons_faces_share(real_people: People) -> None:
    measured = calibrate(real_people.embedding)
    assert measured.typical == pytest.approx(0.61, abs=0.03)
    assert measured.strangers < measured.link < measured.core < measured.typical


@pytest.mark.slow
def test_a_recogniser_with_other_similarities_gets_other_thresholds(real_people: People) -> None:
    # A constant part in every vector lifts all similarities, as some recognisers do.
    vectors = real_people.embedding[:3000]
    lifted = np.c_[vectors, np.full(len(vectors), 0.8, np.float32)]
    assert calibrate(lifted).offset
    assert calibrate(lifted).link > calibrate(vectors).link + 0.1


def recognisers(real_people: People) -> dict[str, NDArray[np.float32]]:
    """The same faces as other recognisers would see them."""
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
def test_auto_needs_no_setting_for_another_recogniser(real_people: People) -> None:
    some = np.isin(real_people.name, np.unique(real_people.name)[::3])
    offset = 0
    names = real_people.name[some]
    for what, vectors in recognisers(real_people).items():
        result = cluster_auto(vectors[some])
        offset += "Even strangers' faces were similar by 0.6" in result.reasons[0]
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


def test_too_few_faces_get_what_is_known_of_the_recogniser() -> None:
    assert calibrate(np.eye(5)).typical == 0.6
    assert "as usual with ArcFace: too few people" in calibrate(np.empty((0, 5))).source
    assert "measured of w600k_mbf" in calibrate(np.eye(5), recogniser="w600k_mbf.onnx").source


def test_bursts_of_one_person_are_one_person_to_a_known_recogniser(real_people: People) -> None:
    names, faces = np.unique(real_people.name, return_counts=True)
    moments = real_people.embedding[real_people.name == names[faces.argmax()]][::25]
    moments /= np.linalg.norm(moments, axis=1, keepdims=True)
    noise = np.random.default_rng(0).standard_normal((10 * len(moments), 512))
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    bursts = (np.repeat(moments, 10, axis=0) + 0.16 * noise).astype(np.float32)
    known = calibrate(bursts, recogniser="w600k_mbf.onnx")
    assert cluster_auto(bursts, calibration=known).labels.max() == 0


def test_one_persons_photos_are_not_taken_for_strangers(real_people: People) -> None:
    names, faces = np.unique(real_people.name, return_counts=True)
    one = real_people.embedding[real_people.name == names[faces.argmax()]]
    assert calibrate(one, recogniser="w600k_mbf.onnx").strangers < 0.3
    assert calibrate(one).strangers < 0.3
