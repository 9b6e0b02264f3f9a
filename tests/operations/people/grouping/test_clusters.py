"""Clusters of a run: existing ones keep their ids, and faces go to similar people in them."""

from itertools import count
from uuid import UUID

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from facesets.operations.people.grouping.clusters import largest_in, matched_ids
from facesets.operations.people.grouping.library_faces import join_by_clusters
from facesets.store.postgres.people.assigned_faces import AssignedFaces


def fresh(number: int, numbers: "count[int]") -> list[str]:
    """New ids."""
    return [f"new_{next(numbers)}" for _ in range(number)]


LABELS = st.lists(st.integers(-1, 4), min_size=1, max_size=40)


@given(LABELS, st.data())
def test_ids_are_unique_and_stay_with_most_faces_of_a_cluster(before: list[int], data: st.DataObject) -> None:
    raw = np.array(data.draw(st.lists(st.integers(-1, 4), min_size=len(before), max_size=len(before))))
    used = np.unique(raw[raw >= 0])
    label = np.where(raw >= 0, np.searchsorted(used, raw), -1).astype(np.int64)
    earlier = np.array(before, np.int64)
    ids = [f"old_{number}" for number in range(5)]
    numbers = count()
    found = matched_ids(label, earlier, ids, lambda wanted: fresh(wanted, numbers))
    assert len(set(found)) == len(found) == len(used)
    for number, each in enumerate(found):
        if each.startswith("old_"):
            mine = earlier == ids.index(each)
            assert 2 * (mine & (label == number)).sum() > mine.sum()
    for old in np.unique(earlier[earlier >= 0]).tolist():
        homes = np.bincount(label[(earlier == old) & (label >= 0)], minlength=len(used))
        if 2 * homes.max(initial=0) > (earlier == old).sum() and ids[old] not in found:
            # Another earlier cluster, with at least as many faces there, gave its id.
            assert found[int(homes.argmax())].startswith("old_")


@given(LABELS)
def test_the_same_clusters_keep_their_ids(before: list[int]) -> None:
    raw = np.array(before, np.int64)
    used = np.unique(raw[raw >= 0])
    label = np.where(raw >= 0, np.searchsorted(used, raw), -1).astype(np.int64)
    ids = [f"old_{number}" for number in range(5)]
    assert matched_ids(label, raw, ids, lambda wanted: fresh(wanted, count())) == [ids[n] for n in used]


def test_the_id_of_a_person_is_not_handed_on() -> None:
    label = np.zeros(3, np.int64)
    assert matched_ids(label, label, ["person_1"], lambda _: ["clu_1"]) == ["clu_1"]


def test_the_cluster_that_holds_most_of_a_group_is_its_home() -> None:
    group = np.array([0, 0, 0, 1, 1, -1, 2])
    cluster = np.array([5, 7, 7, 3, -1, 5, -1])
    assert largest_in(group, cluster, 4).tolist() == [7, 3, -1, -1]


def at(degrees: float, axis: int = 1) -> list[float]:
    """A unit vector so far from the first axis, towards another."""
    vector = [np.cos(np.radians(degrees)), 0.0, 0.0, 0.0]
    vector[axis] = np.sin(np.radians(degrees))
    return vector


def decided(rows: list[tuple[int, int, list[float]]]) -> tuple[list[int], list[int], list[tuple[int, int]]]:
    """Persons and groups of the faces without a person, and questions, of (person, cluster, vector)."""
    person = np.array([each for each, _, _ in rows], np.int64)
    faces = AssignedFaces(
        detector_id=1,
        face_id=np.arange(len(rows), dtype=np.int64),
        image=np.arange(len(rows), dtype=np.int64),
        person=person,
        persons=[UUID(int=1 + number) for number in range(person.max() + 1)],
        embedding=np.array([vector for _, _, vector in rows], np.float32),
    )
    joined = join_by_clusters(
        faces,
        np.array([cluster for _, cluster, _ in rows], np.int64),
        min_cosine_similarity=0.9,
        min_in_cluster=0.5,
        min_size=2,
    )
    review = list(zip(joined.review.face.tolist(), joined.review.person.tolist(), strict=True))
    return joined.person.tolist(), joined.group.tolist(), review


def test_a_face_joins_the_person_of_its_cluster_unless_no_face_there_is_similar() -> None:
    person, group, review = decided([(0, 0, at(0)), (-1, 0, at(40)), (-1, 0, at(80)), (-1, 0, at(85))])
    assert person == [0, -1, -1]
    assert group == [-1, -1, -1]
    assert review == []


def test_of_several_people_in_a_cluster_the_nearest_gets_a_face_and_a_tie_is_asked_about() -> None:
    owners = [(0, 3, at(0)), (1, 3, at(60))]
    person, _, review = decided([*owners, (-1, 3, at(10)), (-1, 3, at(50)), (-1, 3, at(30.5))])
    assert person == [0, 1, -1]
    assert sorted(review) == [(2, 0), (2, 1)]


def test_a_cluster_without_a_person_becomes_one_and_unclustered_faces_join_similar_people() -> None:
    person, group, _ = decided(
        [(0, 0, at(0)), (-1, 1, at(90)), (-1, 1, at(85)), (-1, -1, at(5)), (-1, -1, at(90, 2))]
    )
    assert person == [-1, -1, 0, -1]
    assert group == [0, 0, -1, -1]
