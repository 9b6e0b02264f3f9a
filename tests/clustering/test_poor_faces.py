"""Poor faces make no person, and join similar ones."""

import numpy as np
import pytest

from facesets.clustering import Constraints, cluster_auto
from facesets.clustering.known_recognizers import NormLimits
from facesets.clustering.placement import Placement
from facesets.clustering.poor_faces import Clarities, Clarity, norm_limits, rate_clarity
from facesets.clustering.vectors import Bool, unit_rows
from tests.fixtures.vectors import Float32, Int64, people, same_partition

BLURRED = 12
Album = tuple[Float32, Int64]


@pytest.fixture(scope="module")
def album() -> Album:
    """Embeddings and their people."""
    return people(20, faces=8, dimension=64)


@pytest.fixture(scope="module")
def specks(album: Album) -> Float32:
    """Return faces as similar to one another as one person's."""
    rng = np.random.default_rng(5)
    dimension = album[0].shape[1]
    rows = rng.standard_normal(dimension) + 0.6 * rng.standard_normal((BLURRED, dimension))
    return unit_rows(rows)


def test_similar_poor_faces_make_no_person_and_others_keep_theirs(album: Album, specks: Float32) -> None:
    vectors = np.concatenate([album[0], specks])
    poor = np.arange(len(vectors)) >= len(album[0])
    alone = cluster_auto(album[0])
    seen = cluster_auto(vectors)
    assert len(np.unique(seen.labels[poor])) == 1
    result = cluster_auto(vectors, clarity=_little(poor), calibration=alone.calibration)
    assert len(np.unique(result.labels[poor])) == BLURRED
    assert (result.placement[poor] == Placement.POOR).all()
    assert same_partition(result.labels[~poor], alone.labels)
    assert f"{BLURRED} faces are too low quality to group" in " ".join(result.reasons)


def test_a_poor_face_joins_a_similar_person_but_not_with_a_face_of_the_same_photo(
    album: Album,
) -> None:
    of_first = np.flatnonzero(album[1] == album[1][0])
    poor = np.zeros(len(album[0]), bool)
    poor[of_first[:2]] = True
    free = cluster_auto(album[0], clarity=_little(poor))
    assert len(np.unique(free.labels[of_first])) == 1
    assert (free.placement[poor] == Placement.JOINED).all()
    apart = Constraints(cannot_link=np.array([[of_first[0], of_first[5]]]))
    bound = cluster_auto(album[0], clarity=_little(poor), constraints=apart)
    assert bound.labels[of_first[0]] != bound.labels[of_first[5]]
    assert bound.labels[of_first[1]] == bound.labels[of_first[5]]


def test_poor_faces_confirmed_as_one_person_are_one(album: Album, specks: Float32) -> None:
    vectors = np.concatenate([album[0], specks])
    first = len(album[0])
    poor = np.arange(len(vectors)) >= first
    output = Constraints(must_link=np.array([[first, first + 1]]))
    labels = cluster_auto(vectors, clarity=_little(poor), constraints=output).labels
    assert labels[first] == labels[first + 1]
    assert not np.isin(labels[first + 2 :], labels[: first + 2]).any()


def test_poor_faces_alone_make_no_person(specks: Float32) -> None:
    result = cluster_auto(specks, clarity=_little(np.ones(BLURRED, bool)))
    assert len(np.unique(result.labels)) == BLURRED


def test_a_face_that_shows_nothing_joins_no_person(album: Album) -> None:
    clarity = np.full(len(album[0]), Clarity.ENOUGH, np.uint8)
    clarity[:2] = Clarity.NOTHING, Clarity.LITTLE
    result = cluster_auto(album[0], clarity=clarity)
    assert result.placement[:2].tolist() == [Placement.POOR, Placement.JOINED]
    assert (result.labels == result.labels[0]).sum() == 1


def test_clarity_follows_from_norm_or_else_pixels() -> None:
    norm = np.array([13.9, 14, 15.9, 16, np.nan, np.nan], np.float32)
    poor = np.array([False, True, True, True, False, True])
    limits = NormLimits(founding=16, joining=14)
    output = [Clarity.NOTHING, Clarity.LITTLE, Clarity.LITTLE, Clarity.ENOUGH, Clarity.ENOUGH, Clarity.LITTLE]
    assert rate_clarity(norm, limits, poor).tolist() == output
    by_pixels = np.where(poor, Clarity.LITTLE, Clarity.ENOUGH).tolist()
    assert rate_clarity(norm, None, poor).tolist() == by_pixels
    assert rate_clarity(None, limits, poor).tolist() == by_pixels


@pytest.mark.parametrize("few_people", [False, True])
def test_limits_of_an_unknown_recognizer_are_measured_where_short_vectors_resemble_each_other(
    specks: Float32, few_people: bool
) -> None:
    """In a family's album, too, where random pairs are often one person's."""
    vectors, _ = people(4, faces=150, dimension=64) if few_people else people(200, faces=3, dimension=64)
    both = np.concatenate([vectors, specks, specks])
    norm = np.random.default_rng(0).normal(23, 2, len(both)).clip(17, 29).astype(np.float32)
    image = np.arange(len(both))
    norm[len(vectors) :] = 11
    limits = norm_limits("unknown.onnx", both, norm, image)
    assert limits is not None
    assert (limits.founding, limits.joining) == pytest.approx(
        (0.69 * np.median(norm), 0.6 * np.median(norm)), abs=0.051
    )
    meaningless = np.random.default_rng(1).permutation(norm)
    assert norm_limits("unknown.onnx", both, meaningless, image) is None
    assert norm_limits("unknown.onnx", both[-400:], norm[-400:], image[-400:]) is None
    assert norm_limits("unknown.onnx", both, None, image) is None


def test_limits_that_were_measured_beforehand_hold_for_any_number_of_faces(specks: Float32) -> None:
    norm, image = np.full(BLURRED, 10, np.float32), np.arange(BLURRED)
    assert norm_limits("w600k_mbf.onnx", specks, norm, image) == NormLimits(founding=16, joining=14)
    assert norm_limits("dlib_resnet.onnx", specks, norm, image) is None


def _little(poor: Bool) -> Clarities:
    return np.where(poor, Clarity.LITTLE, Clarity.ENOUGH).astype(np.uint8)
