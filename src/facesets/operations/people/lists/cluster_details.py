"""A cluster closely: how it came about, who vouched for it, and which people it is nearest to."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from facesets.operations.people.corrections.who import called, require_person, short
from facesets.operations.people.training.heads import active_head
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.models import detector_of_face
from facesets.store.postgres.people.clusters import find_cluster, fresh_centers
from facesets.store.postgres.people.prototypes import fresh_prototypes

_NEAREST = 3


@dataclass(frozen=True, slots=True)
class NearPerson:
    """Somebody a cluster is like, by cosine similarity to the nearest of their prototypes."""

    person: str
    name: str
    cosine_similarity: float


@dataclass(frozen=True, slots=True)
class ClusterDetails:
    """What is known of a cluster.

    Attributes
    ----------
    birth_density, persistence, stability, epsilon : float or None
        Of a cluster of the kept hierarchy.
    medoid : int or None
        The face in its middle.
    verified : str
        When and by whom; empty where nobody did.
    """

    birth_density: float | None = None
    persistence: float | None = None
    stability: float | None = None
    epsilon: float | None = None
    medoid: int | None = None
    verified: str = ""
    nearest: list[NearPerson] = field(default_factory=list)


def cluster_details(connection: Connection, cluster: str, faces: Sequence[int]) -> ClusterDetails:
    """What is known of a cluster with these faces."""
    detector = detector_of_face(connection, faces[0])
    centers = fresh_centers(connection, detector, [cluster])
    row = find_cluster(connection, cluster)
    if row is None:
        return ClusterDetails()
    nearest = []
    if len(centers.ids):
        known = fresh_prototypes(connection, detector)
        head = active_head(connection, detector.model_id)
        stands, middle = known.embedding, centers.centroid
        if head is not None:
            stands, middle = head.project(stands), head.project(middle)
        best: dict[int, float] = {}
        for person, similarity in zip(known.person.tolist(), (stands @ middle[0]).tolist(), strict=True):
            best[person] = max(similarity, best.get(person, -1.0))
        for person in sorted(best, key=lambda each: -best[each])[:_NEAREST]:
            state = require_person(connection, known.persons[person])
            nearest.append(NearPerson(short(state.id), called(state), round(best[person], 4)))
    return ClusterDetails(
        row.birth_lambda, row.persistence, row.stability, row.epsilon, row.medoid, row.verified, nearest
    )
