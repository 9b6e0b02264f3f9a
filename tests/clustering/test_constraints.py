import numpy as np

from facesets.clustering import (
    Constraints,
    HdbscanResult,
    average_linkage,
    hdbscan,
    same_image_pairs,
)
from tests.fixtures.vectors import people, same_partition


def test_a_wrong_pair_costs_a_face_and_not_half_a_person() -> None:
    vectors, owner = people(3, faces=40, dimension=64)
    wrong = Constraints(cannot_link=np.array([np.flatnonzero(owner == 0)[[3, 30]]]))
    for lenient, largest in ((True, 39), (False, 30)):
        labels = average_linkage(vectors, max_cosine_distance=0.5, constraints=wrong, lenient=lenient)
        biggest = np.bincount(labels[owner == 0]).max()
        assert biggest == largest if lenient else biggest < largest
        assert labels[wrong.cannot_link[0, 0]] != labels[wrong.cannot_link[0, 1]]


def test_a_right_pair_keeps_two_people_apart_beyond_the_cut() -> None:
    vectors, owner = people(2, faces=40, dimension=64)
    assert len(np.unique(average_linkage(vectors, max_cosine_distance=1.2))) == 1
    right = np.array([[np.flatnonzero(owner == 0)[5], np.flatnonzero(owner == 1)[7]]])
    for lenient in (True, False):
        labels = average_linkage(
            vectors, max_cosine_distance=1.2, constraints=Constraints(cannot_link=right), lenient=lenient
        )
        assert same_partition(labels, owner)


def test_faces_in_one_image_are_separated_unless_they_are_copies() -> None:
    vectors = np.array([[1, 0, 0], [0.6, 0.8, 0], [1, 0.01, 0], [0.7, 0.7, 0.1]])
    pairs = same_image_pairs(vectors, [5, 5, 5, -1]).cannot_link
    assert sorted(map(tuple, np.sort(pairs, axis=1).tolist())) == [(0, 1), (1, 2)]


def test_a_cluster_that_holds_two_people_gives_way_to_its_parts() -> None:
    rng = np.random.default_rng(0)
    spot = np.array([[2, 0, 0], [2, 0.7, 0], [-2, 0, 0], [0, 0, -2]], np.float64)
    rows = np.repeat(spot, 40, axis=0) + rng.normal(0, 0.15, (160, 3))
    free = hdbscan(rows, min_cluster_size=5)
    assert len(np.unique(free.labels[:80])) == 1
    apart = Constraints(cannot_link=np.c_[np.arange(3), np.arange(40, 43)])
    held = hdbscan(rows, min_cluster_size=5, constraints=apart)
    one, other = held.labels[:40], held.labels[40:80]
    most = [np.bincount(labels[labels >= 0]) for labels in (one, other)]
    assert min(count.max() for count in most) > 30
    assert most[0].argmax() != most[1].argmax()
    again = HdbscanResult.from_arrays(held.to_arrays())
    np.testing.assert_array_equal(again.labels, held.labels)


def test_a_collage_of_one_person_is_known_by_the_company_that_its_faces_keep() -> None:
    vectors, owner = people(12, faces=20, spread=0.75)
    one, other = np.flatnonzero(owner == 0)[:4], np.flatnonzero(owner == 1)[:4]
    similarity = vectors[one] @ vectors[one].T
    assert similarity[~np.eye(4, dtype=bool)].max() < 0.8
    image = np.arange(len(vectors)) + 1
    image[one] = 0
    assert len(same_image_pairs(vectors, image).cannot_link) == 0
    image[one[2:]] = one[2:] + 1
    assert len(same_image_pairs(vectors, image).cannot_link) == 1
    image[one] = 0
    image[other] = 0
    pairs = same_image_pairs(vectors, image).cannot_link
    assert len(pairs) == 16
    assert (owner[pairs[:, 0]] != owner[pairs[:, 1]]).all()


def test_twins_who_are_often_on_one_photo_stay_two() -> None:
    rng = np.random.default_rng(0)
    for similarity in (0.5, 0.62):
        one, other = rng.standard_normal((2, 512))
        one /= np.linalg.norm(one)
        other -= one * (one @ other)
        other = similarity * one + np.sqrt(1 - similarity**2) * other / np.linalg.norm(other)
        noise = rng.standard_normal((20, 2, 512)) * 0.45 / np.sqrt(512)
        vectors = (np.stack([one, other]) + noise).reshape(-1, 512)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        assert 0.4 < (vectors[::2] @ vectors[1::2].T).mean() < 0.6
        assert len(same_image_pairs(vectors, np.arange(40) // 2).cannot_link) == 20
