"""Faces are compared with prototypes, and assigned, suggested or left."""

import numpy as np
import pytest

from facesets.clustering import Calibration
from facesets.clustering.known_recognizers import ARCFACE, PairModel
from facesets.clustering.people.assigning import (
    KnownPeople,
    choose_people,
    measured_threshold,
    similar_people,
    thresholds,
)
from facesets.clustering.people.incremental import PersonMatches
from facesets.clustering.vectors import Float32, Int64, unit_rows

LIMITS = thresholds(0.6, 0.05, 0.5, ARCFACE)


def made_people(people: int, seed: int = 0) -> tuple[Float32, Int64, Float32, Float32]:
    """Three exemplars and a centroid of each person; their owners; and new faces, some of strangers."""
    rng = np.random.default_rng(seed)
    hearts = unit_rows(rng.standard_normal((people, 128)))

    def near(count: int) -> Float32:
        who = np.arange(people * count) // count
        noise = unit_rows(rng.standard_normal((people * count, 128)))
        return unit_rows(0.75 * hearts[who] + 0.66 * noise)

    exemplars = near(3)
    centroids = unit_rows(exemplars.reshape(people, 3, 128).sum(axis=1))
    vectors = np.concatenate([exemplars.reshape(people, 3, 128), centroids[:, None]], axis=1)
    strangers = unit_rows(rng.standard_normal((people, 128)))
    return vectors.reshape(-1, 128), np.repeat(np.arange(people), 4), near(2), strangers


def matches(*pairs: tuple[int, int, float]) -> PersonMatches:
    face, person, similarity = zip(*pairs, strict=True)
    return PersonMatches(np.array(face), np.array(person), np.array(similarity, np.float32))


def chosen(pairs: PersonMatches, images: list[int], **options: bool) -> tuple[object, object]:
    choice = choose_people(pairs, np.array(images), LIMITS, **options)
    given, review = choice.given, choice.review
    return (
        list(zip(given.face.tolist(), given.person.tolist(), strict=True)),
        list(zip(review.face.tolist(), review.person.tolist(), strict=True)),
    )


@pytest.mark.parametrize("with_centroids", [True, False], ids=["by centroids", "without any, by exemplars"])
def test_comparing_with_those_near_first_finds_what_comparing_with_all_finds(with_centroids: bool) -> None:
    vectors, person, known, strangers = made_people(300)
    is_exemplar = np.arange(len(person)) % 4 < 3
    used = is_exemplar | with_centroids
    rows = np.concatenate([known, strangers])
    found = KnownPeople(vectors[used], person[used], is_exemplar[used]).similar(rows, LIMITS)
    best = (rows @ vectors[used].T).reshape(len(rows), 300, -1).max(axis=2)
    face, who = np.nonzero(best >= 0.5)
    assert found.face.tolist() == face.tolist()
    assert found.person.tolist() == who.tolist()
    assert found.similarity == pytest.approx(best[face, who], abs=1e-5)
    assert len(found) > 500


def test_blocks_on_all_cores_give_what_one_block_gives() -> None:
    vectors, person, rows, _ = made_people(50)
    known = KnownPeople(vectors, person, np.arange(len(person)) % 4 < 3)
    whole = known.similar(rows, LIMITS)
    blocks = ((np.arange(start, start + 10) + 1000, rows[start : start + 10]) for start in range(0, 100, 10))
    parts = list(similar_people(blocks, known, LIMITS))
    assert [count for count, _ in parts] == [10] * 10
    assert np.concatenate([found.face for _, found in parts]).tolist() == (whole.face + 1000).tolist()
    assert np.concatenate([found.person for _, found in parts]).tolist() == whole.person.tolist()


def test_a_face_goes_to_the_most_similar_person_if_no_other_is_as_similar() -> None:
    pairs = matches((1, 0, 0.7), (1, 1, 0.6), (2, 0, 0.65), (2, 1, 0.63), (3, 2, 0.55), (4, 2, 0.45))
    assert chosen(pairs, [1, 1, 2, 2, 3, 4]) == ([(1, 0)], [(2, 0), (2, 1), (3, 2)])
    assert chosen(pairs.of(np.empty(0, np.int64)), []) == ([], [])


def test_the_more_similar_of_two_faces_in_an_image_is_the_person() -> None:
    pairs = matches((1, 0, 0.7), (2, 0, 0.9), (3, 0, 0.55), (3, 1, 0.52))
    assert chosen(pairs, [5, 5, 5, 5]) == ([(2, 0)], [(3, 1)])
    assert chosen(pairs, [5, 6, 7, 7])[0] == [(1, 0), (2, 0)]
    assert chosen(pairs, [5, 5, 5, 5], same_image_ok=True)[0] == [(1, 0), (2, 0)]


def test_equal_similarities_are_decided_by_number_whatever_the_order() -> None:
    pairs = matches((1, 0, 0.8), (2, 0, 0.8))
    assert chosen(pairs, [5, 5])[0] == [(1, 0)]
    assert chosen(pairs.of(np.array([1, 0])), [5, 5])[0] == [(1, 0)]


def test_at_most_three_people_are_suggested() -> None:
    pairs = matches(*((1, person, 0.62 - person / 1000) for person in range(5)))
    assert chosen(pairs, [1] * 5) == ([], [(1, 0), (1, 1), (1, 2)])


def test_the_measured_threshold_rises_with_the_number_of_prototypes_up_to_what_is_beyond_doubt() -> None:
    measured = Calibration(0.6, 0.01, 0.065, 10_000, "here")
    found = [measured_threshold(measured, count) for count in (1, 100, 10_000, 10_000_000)]
    assert found == sorted(found)
    assert found[0] == measured.link
    assert found[2] < found[3] <= measured.core
    pairs = PairModel(mean=0.636, spread=0.102, reached=0.376, decay=0.0354)
    open_pack = Calibration(0.613, 0.175, 0.07, 10_000, "here", pairs=pairs)
    assert measured_threshold(open_pack, 100) == pytest.approx(pairs.reached_by(5e-6))
    assert measured_threshold(open_pack, 10**12) == 1.0
