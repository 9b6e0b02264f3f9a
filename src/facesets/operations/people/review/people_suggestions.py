"""Suggestions found and stored: people who may be the same, clusters, and faces of an unlikely age."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

import numpy as np

from facesets.clustering import Calibration
from facesets.clustering.centroids import unit_or_zero
from facesets.clustering.people.ages import contradicting_faces
from facesets.clustering.people.questions import Pairs, find_duplicate_people, mean_vectors
from facesets.operations.people.corrections.contradictions import Settled
from facesets.operations.people.training.heads import Head
from facesets.records import Bool, Int64
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.models import DetectorRow
from facesets.store.postgres.people.face_details import library_norm_limits, low_quality_people
from facesets.store.postgres.people.person_ages import aged_faces
from facesets.store.postgres.people.person_corrections import load_births
from facesets.store.postgres.people.prototypes import (
    faces_per_person,
    similarity_to_centroids,
    stored_prototypes,
)
from facesets.store.postgres.people.suggestions import (
    ChangedPeople,
    FaceCandidate,
    PeopleCandidate,
    replace_face_candidates,
    replace_people_candidates,
)
from facesets.store.postgres.people.unknown_clusters import (
    ClusterMeans,
    means_of_clusters,
    people_in_one_photo,
)

_MAX_OF_PEOPLE = 5_000


def store_people_suggestions(
    connection: Connection,
    detector: DetectorRow,
    measured: Calibration,
    settled: Settled,
    active: set[UUID],
    head: Head | None,
    changed: ChangedPeople | None = None,
) -> None:
    """Store suggestions about people and unnamed clusters, by the stored prototypes.

    Parameters
    ----------
    head : Head or None
        Compare the projections of this head.
    changed : ChangedPeople, optional
        People changed since the last search; suggestions about the others stay.
    """
    low_quality = low_quality_people(connection, detector)
    prototypes = stored_prototypes(connection, detector, exemplars=False).without(low_quality)
    limits = library_norm_limits(connection, detector)
    persons, person = prototypes.persons, prototypes.person
    clusters = means_of_clusters(connection, detector, None if limits is None else limits.joining)
    of_people = faces_per_person(connection, detector, persons)
    faces = np.concatenate([of_people, clusters.faces])
    middle, of_clusters = prototypes.embedding, clusters.mean
    if head is not None:
        middle = head.project(middle)
        of_clusters = mean_vectors(
            head.project(unit_or_zero(of_clusters.astype(np.float64))), clusters.faces, measured
        )
    pairs = find_duplicate_people(
        np.concatenate([mean_vectors(middle, of_people[person], measured), of_clusters]),
        np.concatenate([person, len(persons) + np.arange(len(clusters.ids))]),
        faces,
        measured,
        None if changed is None else _changed(changed, persons, clusters),
    )
    found: list[PeopleCandidate] = []
    for place in np.argsort(-_settles(pairs, faces) * pairs.likely, kind="stable").tolist():
        candidate = _about_two(pairs, place, persons, clusters, faces)
        if candidate is None or not {candidate.person, candidate.other or candidate.person} <= active:
            continue
        if not settled.is_settled(candidate.person, candidate.other or candidate.rest):
            found.append(candidate)
        if len(found) == _MAX_OF_PEOPLE:
            break
    together = people_in_one_photo(connection, [(each.person, each.other or each.person) for each in found])
    replace_people_candidates(
        connection,
        [each for place, each in enumerate(found) if each.other is None or place not in together],
        ("same", "cluster"),
        changed,
    )


def _changed(changed: ChangedPeople, persons: list[UUID], clusters: ClusterMeans) -> Bool:
    """Return which of the people and clusters changed."""
    return np.array(
        [
            *(each in changed.persons for each in persons),
            *(each in changed.clusters for each in clusters.ids),
        ],
        bool,
    )


def _settles(pairs: Pairs, faces: Int64) -> Int64:
    """Return how many faces an answer about each pair settles: those of the smaller one."""
    return np.minimum(faces[pairs.first], faces[pairs.second])


def _about_two(
    pairs: Pairs, place: int, persons: list[UUID], clusters: ClusterMeans, faces: Int64
) -> PeopleCandidate | None:
    """Return a pair as a question about the larger person; None if both are clusters."""
    first, second = int(pairs.first[place]), int(pairs.second[place])
    if first >= len(persons):
        return None
    is_cluster = second >= len(persons)
    one, other = (first, second) if is_cluster or faces[first] >= faces[second] else (second, first)
    return PeopleCandidate(
        id=0,
        kind="cluster" if is_cluster else "same",
        person=persons[one],
        other=None if is_cluster else persons[other],
        cluster=clusters.ids[second - len(persons)] if is_cluster else None,
        cosine_similarity=float(pairs.similarity[place]),
        faces=int(faces[other]),
        uncertainty=float(pairs.likely[place]),
        rest=clusters.first[second - len(persons)] if is_cluster else 0,
    )


_MAX_OF_AGES = 5_000


def store_age_suggestions(
    connection: Connection,
    detector: DetectorRow,
    settled: Settled,
    active: set[UUID],
    persons: Sequence[UUID] | None = None,
) -> None:
    """Store suggestions about faces whose age contradicts their person's birth.

    Parameters
    ----------
    persons : sequence of UUID, optional
        Check only their faces; suggestions about others stay.
    """
    limits = library_norm_limits(connection, detector)
    faces = aged_faces(connection, persons, detector.id, min_norm=None if limits is None else limits.joining)
    births = load_births(connection, faces.persons)
    found = contradicting_faces(
        faces.person,
        faces.taken,
        faces.age,
        np.array([births[each].year if each in births else np.nan for each in faces.persons], np.float64),
    )
    candidates: list[FaceCandidate] = []
    for place in np.argsort(-found.likely, kind="stable").tolist():
        row = int(found.row[place])
        face, person = int(faces.face_id[row]), faces.persons[int(faces.person[row])]
        if person in active and not settled.is_settled(face, person):
            likely, expected = float(found.likely[place]), float(found.expected[place])
            candidates.append(
                FaceCandidate(face, person, "age", 0.0, likely, float(faces.age[row]), expected)
            )
        if len(candidates) == _MAX_OF_AGES:
            break
    similarity = similarity_to_centroids(connection, detector, [each.face for each in candidates])
    candidates = [replace(each, cosine_similarity=similarity.get(each.face, 0.0)) for each in candidates]
    replace_face_candidates(connection, detector.model_id, candidates, ("age",), persons)
