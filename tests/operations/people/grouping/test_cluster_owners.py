"""Whose the faces of clusters are: like somebody who is in the cluster, or like nobody."""

from uuid import UUID

import numpy as np

from facesets.operations.people.grouping.library_faces import join_by_clusters
from facesets.store.postgres.people.peopled_faces import PeopledFaces


def at(degrees: float, axis: int = 1) -> list[float]:
    """A unit vector so far from the first axis, towards another."""
    vector = [np.cos(np.radians(degrees)), 0.0, 0.0, 0.0]
    vector[axis] = np.sin(np.radians(degrees))
    return vector


def decided(rows: list[tuple[int, int, list[float]]]) -> tuple[list[int], list[int], list[tuple[int, int]]]:
    """Persons and groups of the faces without a person, and questions, of (person, cluster, vector)."""
    person = np.array([each for each, _, _ in rows], np.int64)
    faces = PeopledFaces(
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
        least_in_cluster=0.5,
        min_size=2,
    )
    review = list(zip(joined.review.face.tolist(), joined.review.person.tolist(), strict=True))
    return joined.person.tolist(), joined.group.tolist(), review


def test_a_face_joins_the_person_of_its_cluster_unless_it_is_like_nobody_there() -> None:
    person, group, review = decided([(0, 0, at(0)), (-1, 0, at(40)), (-1, 0, at(80)), (-1, 0, at(85))])
    assert person == [0, -1, -1]
    assert group == [-1, -1, -1]
    assert review == []


def test_of_several_people_in_a_cluster_the_nearest_gets_a_face_and_a_tie_is_asked_about() -> None:
    owners = [(0, 3, at(0)), (1, 3, at(60))]
    person, _, review = decided([*owners, (-1, 3, at(10)), (-1, 3, at(50)), (-1, 3, at(30.5))])
    assert person == [0, 1, -1]
    assert sorted(review) == [(2, 0), (2, 1)]


def test_a_cluster_without_a_person_becomes_one_and_what_is_in_none_joins_whom_it_is_like() -> None:
    person, group, _ = decided(
        [(0, 0, at(0)), (-1, 1, at(90)), (-1, 1, at(85)), (-1, -1, at(5)), (-1, -1, at(90, 2))]
    )
    assert person == [-1, -1, 0, -1]
    assert group == [0, 0, -1, -1]
