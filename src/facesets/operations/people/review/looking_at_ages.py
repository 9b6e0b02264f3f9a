"""Questions about faces that look older or younger than their person was on that photo."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

import numpy as np

from facesets.clustering.ages import contradicting_faces
from facesets.operations.people.corrections.contradictions import Settled
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.models import DetectorRow
from facesets.store.postgres.people.face_details import library_norm_limits
from facesets.store.postgres.people.person_ages import aged_faces
from facesets.store.postgres.people.prototypes import similarity_to_centroids
from facesets.store.postgres.people.said_people import said_births
from facesets.store.postgres.people.suggestions import FaceCandidate, replace_face_candidates

_MOST_OF_AGES = 5_000


def keep_questions_about_ages(
    connection: Connection,
    detector: DetectorRow,
    settled: Settled,
    active: set[UUID],
    persons: Sequence[UUID] | None = None,
) -> None:
    """Keep which faces' ages contradict when their people were born, by what was said or by all their faces.

    Parameters
    ----------
    persons : sequence of UUID, optional
        Only their faces are looked at; of the others all is as it was.
    """
    limits = library_norm_limits(connection, detector)
    faces = aged_faces(
        connection, persons, detector.id, least_norm=None if limits is None else limits.joining
    )
    said = said_births(connection, faces.persons)
    found = contradicting_faces(
        faces.person,
        faces.taken,
        faces.age,
        np.array([said[each].year if each in said else np.nan for each in faces.persons], np.float64),
    )
    asked: list[FaceCandidate] = []
    for place in np.argsort(-found.likely, kind="stable").tolist():
        row = int(found.row[place])
        face, person = int(faces.face_id[row]), faces.persons[int(faces.person[row])]
        if person in active and not settled.is_settled(face, person):
            likely, expected = float(found.likely[place]), float(found.expected[place])
            asked.append(FaceCandidate(face, person, "age", 0.0, likely, float(faces.age[row]), expected))
        if len(asked) == _MOST_OF_AGES:
            break
    similarity = similarity_to_centroids(connection, detector, [each.face for each in asked])
    asked = [replace(each, cosine_similarity=similarity.get(each.face, 0.0)) for each in asked]
    replace_face_candidates(connection, detector.model_id, asked, ("age",), persons)
