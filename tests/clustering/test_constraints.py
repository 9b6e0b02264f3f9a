from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facesets.clustering import (
    Constraints,
    HdbscanResult,
    average_linkage,
    cluster_auto,
    connected_components,
    dbscan,
    evaluate,
    hdbscan,
    linkage,
    merge_close,
    same_image_pairs,
    violations,
)
from facesets.clustering.constraints import resolve
from tests.fixtures.soak import examples
from tests.fixtures.vectors import Float32, Int64, People, people, same_partition, unit_vectors


@pytest.mark.slow
@examples(60)
@given(unit_vectors(max_rows=40), st.integers(0, 2**32 - 1), st.sampled_from([0, 5, 3000]), st.booleans())
def test_no_cannot_link_shares_a_cluster_and_no_must_link_is_split(
    vectors: Float32, seed: int, largest_piece: int, lenient: bool
) -> None:
    rng = np.random.default_rng(seed)
    constraints = Constraints(
        rng.integers(0, len(vectors), (4, 2)), rng.integers(0, len(vectors), (len(vectors), 2))
    )
    groups = resolve(constraints, len(vectors))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(linkage, "_LARGEST_PIECE", largest_piece)
        labels = average_linkage(vectors, max_cosine_distance=1.5, constraints=constraints, lenient=lenient)
    # Only pairs that must-links tie together may break a cannot-link, and those are reported.
    broken = {tuple(sorted(pair)) for pair in violations(labels, constraints).tolist()}
    assert broken == {tuple(sorted(pair)) for pair in groups.contradictions.tolist()}


def test_a_wrong_pair_costs_a_face_and_not_half_a_person() -> None:
    vectors, whose = people(3, faces=40, dimension=64)
    wrong = Constraints(cannot_link=np.array([np.flatnonzero(whose == 0)[[3, 30]]]))
    for lenient, largest in ((True, 39), (False, 30)):
        labels = average_linkage(vectors, max_cosine_distance=0.5, constraints=wrong, lenient=lenient)
        biggest = np.bincount(labels[whose == 0]).max()
        assert biggest == largest if lenient else biggest < largest
        assert labels[wrong.cannot_link[0, 0]] != labels[wrong.cannot_link[0, 1]]


def test_a_right_pair_keeps_two_people_apart_beyond_the_cut() -> None:
    vectors, whose = people(2, faces=40, dimension=64)
    assert len(np.unique(average_linkage(vectors, max_cosine_distance=1.2))) == 1
    right = np.array([[np.flatnonzero(whose == 0)[5], np.flatnonzero(whose == 1)[7]]])
    for lenient in (True, False):
        labels = average_linkage(
            vectors, max_cosine_distance=1.2, constraints=Constraints(cannot_link=right), lenient=lenient
        )
        assert same_partition(labels, whose)


@pytest.mark.slow
@pytest.mark.parametrize("cut", [0.55, 0.65])
def test_lenience_keeps_what_right_pairs_say_and_survives_wrong_ones(real_people: People, cut: float) -> None:
    vectors, name = real_people.embedding[:1500], real_people.name[:1500]
    whose = np.unique(name, return_inverse=True)[1]
    rng = np.random.default_rng(5)

    def score(pairs: Int64, *, lenient: bool) -> float:
        known = Constraints(cannot_link=pairs)
        labels = average_linkage(vectors, max_cosine_distance=cut, constraints=known, lenient=lenient)
        return evaluate(labels, name).bcubed_f1

    any_two = rng.integers(0, len(vectors), (200_000, 2))
    strangers = any_two[whose[any_two[:, 0]] != whose[any_two[:, 1]]]
    similarity = np.einsum("ij,ij->i", vectors[strangers[:, 0]], vectors[strangers[:, 1]])
    right = strangers[np.argsort(-similarity)[:200]]
    assert score(right, lenient=True) >= score(right, lenient=False) - 1e-6
    often = np.flatnonzero(np.bincount(whose) >= 4)
    wrong = np.array([rng.choice(np.flatnonzero(whose == rng.choice(often)), 2, False) for _ in range(20)])
    assert score(wrong, lenient=True) > score(wrong, lenient=False) + 0.003


def closest_allowed_pair_first(vectors: Float32, cannot: np.ndarray, cut: float) -> list[list[int]]:
    groups = [[row] for row in range(len(vectors))]
    barred = {(a, b) for a, b in cannot.tolist()} | {(b, a) for a, b in cannot.tolist()}
    while len(groups) > 1:
        means = np.array([vectors[g].astype(np.float64).mean(0) for g in groups])
        similarity = means @ means.T
        for a, one in enumerate(groups):
            for b, other in enumerate(groups):
                if a == b or any((x, y) in barred for x in one for y in other):
                    similarity[a, b] = -9
        a, b = sorted(np.unravel_index(similarity.argmax(), similarity.shape))
        if similarity[a, b] < 1 - cut:
            break
        groups[a] += groups.pop(b)
    return sorted(sorted(group) for group in groups)


@examples(25)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.4, 0.8, 1.2]), st.sampled_from([0, 4, 3000]))
def test_constrained_average_linkage_merges_the_closest_allowed_pair_first(
    seed: int, cut: float, largest_piece: int
) -> None:
    rng = np.random.default_rng(seed)
    vectors, _ = people(4, faces=6, dimension=8, seed=seed)
    cannot = np.unique(np.sort(rng.integers(0, 24, (15, 2)), axis=1), axis=0)
    cannot = cannot[cannot[:, 0] != cannot[:, 1]]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(linkage, "_LARGEST_PIECE", largest_piece)
        labels = average_linkage(
            vectors, max_cosine_distance=cut, constraints=Constraints(cannot_link=cannot)
        )
    groups = sorted(np.flatnonzero(labels == c).tolist() for c in range(labels.max() + 1))
    assert groups == closest_allowed_pair_first(vectors, cannot, cut)


def test_faces_in_one_image_are_kept_apart_unless_one_is_a_copy_of_the_other() -> None:
    vectors = np.array([[1, 0, 0], [0.6, 0.8, 0], [1, 0.01, 0], [0.7, 0.7, 0.1]])
    pairs = same_image_pairs(vectors, [5, 5, 5, -1]).cannot_link
    assert sorted(map(tuple, np.sort(pairs, axis=1).tolist())) == [(0, 1), (1, 2)]


def test_a_constraint_on_a_face_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="outside the 3 faces"):
        average_linkage(np.eye(3), max_cosine_distance=0.5, constraints=Constraints(np.array([[0, 3]])))


@pytest.mark.slow
def test_auto_never_puts_two_faces_of_one_image_together(real_people: People) -> None:
    vectors = real_people.embedding[:1500]
    image = np.arange(1500) // 3
    result = cluster_auto(vectors, image_index=image)
    assert not len(violations(result.labels, same_image_pairs(vectors, image)))


@pytest.mark.slow
def test_auto_groups_real_faces_by_person_without_any_setting(real_people: People) -> None:
    result = cluster_auto(real_people.embedding)
    scores = evaluate(result.labels, real_people.name)
    assert scores.pairwise_f1 >= 0.996
    assert scores.bcubed_f1 >= 0.9955
    assert len(result.placement) == len(result.labels)
    assert result.reasons


@pytest.mark.slow
def test_auto_does_not_depend_on_the_order_of_rows(real_people: People) -> None:
    vectors = real_people.embedding[:2000]
    shuffled = np.random.default_rng(1).permutation(len(vectors))
    labels = cluster_auto(vectors).labels[shuffled]
    assert same_partition(cluster_auto(vectors[shuffled]).labels, labels)


def test_auto_keeps_what_must_be_together_together_and_reports_contradictions() -> None:
    vectors, _ = people(6, faces=10, dimension=64)
    known = Constraints(np.array([[0, 1], [1, 2]]), np.array([[0, 2]]))
    result = cluster_auto(vectors, constraints=known)
    assert result.labels[0] == result.labels[1] == result.labels[2]
    assert result.contradictions.tolist() == [[0, 2]]


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_faces_give_the_obvious_answer(count: int) -> None:
    assert cluster_auto(np.eye(4)[:count]).labels.tolist() == list(range(count))


def joined_one_by_one(vectors: Float32, labels: Int64, cannot: Int64, limit: float) -> list[list[int]]:
    groups = [np.flatnonzero(labels == label).tolist() for label in np.unique(labels)]
    barred = {frozenset(pair) for pair in cannot.tolist()}
    while True:
        sums = np.array([vectors[group].astype(np.float64).sum(0) for group in groups])
        unit = sums / np.linalg.norm(sums, axis=1, keepdims=True)
        similarity = unit @ unit.T
        for a, one in enumerate(groups):
            for b, other in enumerate(groups):
                if a == b or any(frozenset((x, y)) in barred for x in one for y in other):
                    similarity[a, b] = -9
        a, b = sorted(np.unravel_index(similarity.argmax(), similarity.shape))
        if similarity[a, b] < 1 - limit:
            return sorted(sorted(group) for group in groups)
        groups[a] += groups.pop(b)


@examples(40)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.3, 0.7, 1.2]))
def test_close_clusters_are_joined_closest_first_among_those_that_may_be(seed: int, limit: float) -> None:
    rng = np.random.default_rng(seed)
    vectors, _ = people(4, faces=6, dimension=8, seed=seed)
    labels = np.arange(len(vectors)) // 2
    cannot = rng.integers(0, len(vectors), (6, 2))
    merged = merge_close(
        vectors, labels, max_cosine_distance=limit, constraints=Constraints(cannot_link=cannot)
    )
    groups = sorted(np.flatnonzero(merged == label).tolist() for label in np.unique(merged))
    between = cannot[labels[cannot[:, 0]] != labels[cannot[:, 1]]]
    assert groups == joined_one_by_one(vectors, labels, between, limit)


def test_clusters_of_one_person_are_joined_however_far_apart_and_noise_constrains_nothing() -> None:
    vectors = np.eye(4)[[0, 1, 2, 2, 3]]
    known = Constraints(must_link=np.array([[0, 1], [2, 4]]), cannot_link=np.array([[0, 1], [2, 3], [3, 4]]))
    merged = merge_close(vectors, [0, 1, 2, 3, -1], max_cosine_distance=0.3, constraints=known)
    assert merged.tolist() == [0, 0, 1, 2, -1]


def strongest_allowed_first(vectors: Float32, known: Constraints, limit: float) -> list[list[int]]:
    groups = [{row} for row in range(len(vectors))]
    barred = {frozenset(pair) for pair in known.cannot_link.tolist()}
    similarity = vectors.astype(np.float64) @ vectors.T.astype(np.float64)
    i, j = np.triu_indices(len(vectors), 1)
    order = np.argsort(-similarity[i, j], kind="stable")
    pairs = [*known.must_link.tolist()]
    pairs += [(i[at], j[at]) for at in order if similarity[i[at], j[at]] >= limit]
    for number, (a, b) in enumerate(pairs):
        one = next(group for group in groups if a in group)
        other = next(group for group in groups if b in group)
        free = not any(frozenset((x, y)) in barred for x in one for y in other)
        if one is not other and (free or number < len(known.must_link)):
            groups.remove(other)
            one |= other
    return sorted(sorted(group) for group in groups)


@examples(60)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.2, 0.5, 0.8]))
def test_constrained_components_join_the_strongest_allowed_pair_first(seed: int, limit: float) -> None:
    rng = np.random.default_rng(seed)
    vectors, _ = people(4, faces=6, dimension=8, seed=seed)
    known = Constraints(rng.integers(0, 24, (3, 2)), rng.integers(0, 24, (10, 2)))
    labels = connected_components(vectors, min_cosine_similarity=limit, constraints=known)
    groups = sorted(np.flatnonzero(labels == label).tolist() for label in np.unique(labels))
    assert groups == strongest_allowed_first(vectors, known, limit)


METHODS: dict[str, Callable[[Float32, Constraints], Int64]] = {
    "components": lambda vectors, known: connected_components(
        vectors, min_cosine_similarity=0.4, constraints=known
    ),
    "linkage": lambda vectors, known: average_linkage(vectors, max_cosine_distance=0.8, constraints=known),
    "hdbscan": lambda vectors, known: (
        hdbscan(vectors, min_cluster_size=3, min_samples=2, constraints=known).labels
    ),
    "dbscan": lambda vectors, known: dbscan(vectors, eps=0.6, constraints=known),
    "auto": lambda vectors, known: cluster_auto(vectors, constraints=known).labels,
    "merging": lambda vectors, known: merge_close(
        vectors, np.arange(len(vectors)), max_cosine_distance=0.8, constraints=known
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
@examples(40)
@given(unit_vectors(max_rows=50), st.integers(0, 2**32 - 1))
def test_no_method_breaks_a_constraint_but_where_they_contradict_each_other(
    method: str, vectors: Float32, seed: int
) -> None:
    rng, count = np.random.default_rng(seed), len(vectors)
    must, cannot = rng.integers(0, count, (4, 2)), rng.integers(0, count, (count, 2))
    cannot = cannot[cannot[:, 0] != cannot[:, 1]]
    known = Constraints(must[must[:, 0] != must[:, 1]], cannot)
    broken = {tuple(sorted(pair)) for pair in violations(METHODS[method](vectors, known), known).tolist()}
    assert broken == {tuple(sorted(pair)) for pair in resolve(known, count).contradictions.tolist()}


@pytest.mark.parametrize("method", METHODS)
def test_constraints_that_say_nothing_new_change_nothing(method: str) -> None:
    vectors, whose = people(6, faces=8, spread=0.5)
    different = np.array([[0, np.flatnonzero(whose != whose[0])[0]]])
    same = np.flatnonzero(whose == whose[0])[None, :2]
    free = METHODS[method](vectors, Constraints())
    assert same_partition(METHODS[method](vectors, Constraints(same, different)), free)


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
    vectors, whose = people(12, faces=20, spread=0.75)
    one, other = np.flatnonzero(whose == 0)[:4], np.flatnonzero(whose == 1)[:4]
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
    assert (whose[pairs[:, 0]] != whose[pairs[:, 1]]).all()


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
