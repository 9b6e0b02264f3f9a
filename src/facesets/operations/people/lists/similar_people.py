"""Find people more similar than strangers in this library are."""

from uuid import UUID

import numpy as np

from facesets.clustering.people.questions import mean_vectors
from facesets.operations.people.review.finding import calibration_of
from facesets.operations.people.training.heads import active_head
from facesets.records import Float32
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.models import DetectorRow, usual_detector
from facesets.store.postgres.people.person_faces import nearest_people
from facesets.store.postgres.people.prototypes import faces_per_person, stored_prototypes

_COMPARED = 50
"""Number of people, nearest without a head, among whom the nearest by a head is searched."""


def people_like_person(connection: Connection, person: UUID, limit: int) -> list[tuple[UUID, float]]:
    """Return people similar to a person, by the stored centroids; see `people_like`."""
    detector = usual_detector(connection)
    if detector is None:
        return []
    mine = stored_prototypes(connection, detector, [person], exemplars=False)
    faces = int(faces_per_person(connection, detector, [person])[0])
    return people_like(connection, detector, mine.embedding, faces, limit, but=person)


def people_like(
    connection: Connection,
    detector: DetectorRow,
    centroids: Float32,
    faces: int,
    limit: int,
    *,
    but: UUID | None = None,
) -> list[tuple[UUID, float]]:
    """Return the active people most similar to some faces, if more similar than strangers are.

    Parameters
    ----------
    centroids : float32 array of shape (k, d)
        The prototypes of the faces, of unit length; several for different years.
    faces : int
        The number of faces.
    but : UUID, optional
        A person to leave out.

    Returns
    -------
    list of (person, cosine similarity)
        The similarity of the nearest two centroids. Whether it exceeds that of strangers is judged by the
        mean similarity of the faces, which is lower if these differ more.
    """
    near = nearest_people(connection, detector, centroids, _COMPARED, but)
    if not near:
        return []
    head = active_head(connection, detector.model_id)
    measured = calibration_of(connection, detector, head)
    known = stored_prototypes(connection, detector, near, exemplars=False)
    embeddings = known.embedding
    if head is not None:
        centroids, embeddings = head.project(centroids), head.project(embeddings)
    of_people = faces_per_person(connection, detector, known.persons)
    ours = mean_vectors(centroids, np.full(len(centroids), faces), measured)
    mean = mean_vectors(embeddings, of_people[known.person], measured) @ ours.T
    means_something = (mean >= measured.strangers).any(axis=1)
    best: dict[UUID, float] = {}
    for place in np.flatnonzero(means_something).tolist():
        person = known.persons[int(known.person[place])]
        best[person] = max(float((embeddings[place] @ centroids.T).max()), best.get(person, -1.0))
    found = sorted(best.items(), key=lambda each: (-each[1], each[0]))
    return [(person, round(similarity, 4)) for person, similarity in found[:limit]]
