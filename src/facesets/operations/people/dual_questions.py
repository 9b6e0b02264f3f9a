"""Questions of `cluster --dual`: which of the known people a cluster that is nobody yet may be."""

from collections.abc import Sequence

import numpy as np

from facesets.clustering.recognisers import Recogniser
from facesets.clustering.vectors import Float32
from facesets.records import Int64
from facesets.store.postgres.assignable import hidden_people
from facesets.store.postgres.clusters import fresh_centers
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.library import Library
from facesets.store.postgres.prototypes import fresh_prototypes
from facesets.store.postgres.unknown_clusters import ClusterQuestion, rejected_for_clusters


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
    refused, hidden = rejected_for_clusters(connection), hidden_people(connection)
    place = {person: row for row, person in enumerate(known.persons)}
    similarity = _nearest_by_person(centers.centroid, known.embedding, known.person, len(known.persons))
    similarity[:, [place[person] for person in hidden if person in place]] = -np.inf
    for row, cluster in enumerate(centers.ids):
        out = [place[person] for other, person in refused if other == cluster and person in place]
        similarity[row, out] = -np.inf
    best = similarity.argmax(axis=1)
    return [
        ClusterQuestion(
            cluster,
            known.persons[best[row]],
            float(similarity[row, best[row]]),
            int(centers.faces[row]),
            _likely(float(similarity[row, best[row]]), recogniser),
        )
        for row, cluster in enumerate(centers.ids)
        if np.isfinite(similarity[row, best[row]])
    ]


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
