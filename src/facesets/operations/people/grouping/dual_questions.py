"""Questions of `cluster --dual`: which of the known people a cluster that is nobody yet may be."""

from collections.abc import Sequence

import numpy as np

from facesets.clustering.recognisers import Recogniser
from facesets.clustering.vectors import Float32
from facesets.records import Int64
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.library import Library
from facesets.store.postgres.people.assignable import hidden_people
from facesets.store.postgres.people.clusters import fresh_centers
from facesets.store.postgres.people.prototypes import fresh_prototypes
from facesets.store.postgres.people.unknown_clusters import ClusterQuestion, rejected_for_clusters

_CLUSTERS_AT_ONCE = 1024
"""Compared with everybody at once: with 20 000 prototypes that takes 80 MiB."""


def cluster_questions(
    connection: Connection, library: Library, ids: Sequence[str], recogniser: Recogniser
) -> list[ClusterQuestion]:
    """For each of these clusters the person it is nearest to, of those it may be."""
    detector = library.detector(connection)
    if detector is None or not ids:
        return []
    centers = fresh_centers(connection, detector, ids)
    known = fresh_prototypes(connection, detector)
    if not len(known.person) or not len(centers.ids):
        return []
    place = {person: row for row, person in enumerate(known.persons)}
    hidden = [place[person] for person in hidden_people(connection) if person in place]
    refused: dict[str, list[int]] = {}
    for cluster, person in rejected_for_clusters(connection):
        if person in place:
            refused.setdefault(cluster, []).append(place[person])
    found: list[ClusterQuestion] = []
    for start in range(0, len(centers.ids), _CLUSTERS_AT_ONCE):
        some = slice(start, start + _CLUSTERS_AT_ONCE)
        similarity = _nearest_by_person(
            centers.centroid[some], known.embedding, known.person, len(known.persons)
        )
        similarity[:, hidden] = -np.inf
        for row, cluster in enumerate(centers.ids[some]):
            similarity[row, refused.get(cluster, [])] = -np.inf
            best = int(similarity[row].argmax())
            nearness = float(similarity[row, best])
            if np.isfinite(nearness):
                faces, likely = int(centers.faces[start + row]), _likely(nearness, recogniser)
                found.append(ClusterQuestion(cluster, known.persons[best], nearness, faces, likely))
    return found


def _nearest_by_person(rows: Float32, prototypes: Float32, person: Int64, people: int) -> Float32:
    """The highest similarity of each row to a prototype of each person; `person` ascends."""
    first = np.searchsorted(person, np.arange(people))
    nearest: Float32 = np.maximum.reduceat(rows @ prototypes.T, first, axis=1)
    return nearest


def _likely(similarity: float, recogniser: Recogniser) -> float:
    """How likely, roughly, a cluster is the person it is nearest to; 0 where strangers are as near."""
    strangers = recogniser.middle + 3 * recogniser.spread
    share = (similarity - strangers) / max(recogniser.assign - strangers, 1e-6)
    return round(min(max(share, 0.0), 1.0), 4)
