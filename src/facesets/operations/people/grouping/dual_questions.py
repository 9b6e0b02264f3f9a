"""Questions of `cluster --dual`: which of the known people a cluster that is nobody yet may be."""

import numpy as np

from facesets.clustering.recognisers import recogniser_named
from facesets.clustering.vectors import Float32
from facesets.operations.people.training.heads import Head
from facesets.records import Int64
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.models import DetectorRow
from facesets.store.postgres.people.clusters import Centers
from facesets.store.postgres.people.face_details import people_shown_by_nothing
from facesets.store.postgres.people.prototypes import fresh_prototypes
from facesets.store.postgres.people.unassigned_faces import hidden_people
from facesets.store.postgres.people.unknown_clusters import ClusterQuestion, rejected_for_clusters

_CLUSTERS_AT_ONCE = 1024
"""Compared with everybody at once: with 20 000 prototypes that takes 80 MiB."""


def cluster_questions(
    connection: Connection,
    detector: DetectorRow,
    centers: Centers,
    head: Head | None,
) -> list[ClusterQuestion]:
    """For each of these clusters the person it is nearest to, of those it may be.

    With a head in use they are compared by what it makes of their vectors.
    """
    nobody = people_shown_by_nothing(connection, detector)
    known = fresh_prototypes(connection, detector).without(nobody)
    if not len(known.person) or not len(centers.ids):
        return []
    limits = _limits(detector, head)
    prototypes = known.embedding if head is None else head.project(known.embedding)
    place = {person: row for row, person in enumerate(known.persons)}
    hidden = [place[person] for person in hidden_people(connection) if person in place]
    refused: dict[str, list[int]] = {}
    for cluster, person in rejected_for_clusters(connection):
        if person in place:
            refused.setdefault(cluster, []).append(place[person])
    found: list[ClusterQuestion] = []
    for start in range(0, len(centers.ids), _CLUSTERS_AT_ONCE):
        some = slice(start, start + _CLUSTERS_AT_ONCE)
        middle = centers.centroid[some] if head is None else head.project(centers.centroid[some])
        similarity = _nearest_by_person(middle, prototypes, known.person, len(known.persons))
        similarity[:, hidden] = -np.inf
        for row, cluster in enumerate(centers.ids[some]):
            similarity[row, refused.get(cluster, [])] = -np.inf
            best = int(similarity[row].argmax())
            nearness = float(similarity[row, best])
            if np.isfinite(nearness):
                faces = int(centers.faces[start + row])
                likely = _likely(nearness, *limits)
                found.append(ClusterQuestion(cluster, known.persons[best], nearness, faces, likely))
    return found


def _limits(detector: DetectorRow, head: Head | None) -> tuple[float, float]:
    """Up to which similarity a cluster is as near as strangers are, and from which on it is somebody's."""
    usual = recogniser_named(detector.settings.recogniser)
    made = usual if head is None else head.thresholds
    return made.middle + 3 * made.spread, made.assign


def _nearest_by_person(rows: Float32, prototypes: Float32, person: Int64, people: int) -> Float32:
    """The highest similarity of each row to a prototype of each person; `person` ascends."""
    first = np.searchsorted(person, np.arange(people))
    nearest: Float32 = np.maximum.reduceat(rows @ prototypes.T, first, axis=1)
    return nearest


def _likely(similarity: float, strangers: float, enough: float) -> float:
    """How likely, roughly, a cluster is the person it is nearest to; 0 where strangers are as near."""
    share = (similarity - strangers) / max(enough - strangers, 1e-6)
    return round(min(max(share, 0.0), 1.0), 4)
