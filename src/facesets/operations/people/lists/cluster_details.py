"""A cluster closely: how it came about, who vouched for it, and which people it is nearest to."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from facesets.operations.people.corrections.who import called, require_person, short
from facesets.operations.people.lists.alike import people_like
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.models import detector_of_face
from facesets.store.postgres.people.clusters import find_cluster, fresh_centers
from facesets.store.postgres.people.prototypes import refresh_prototypes

_NEAREST = 3


@dataclass(frozen=True, slots=True)
class NearPerson:
    """Somebody a person or a cluster is like, by the cosine similarity of the nearest two centroids."""

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


def near_people(connection: Connection, found: Sequence[tuple[UUID, float]]) -> list[NearPerson]:
    """People as `people_like` finds them, with what to call them."""
    return [
        NearPerson(short(other), called(require_person(connection, other)), similarity)
        for other, similarity in found
    ]


def cluster_details(connection: Connection, cluster: str, faces: Sequence[int]) -> ClusterDetails:
    """What is known of a cluster with these faces."""
    detector = detector_of_face(connection, faces[0])
    centers = fresh_centers(connection, detector, [cluster])
    row = find_cluster(connection, cluster)
    if row is None:
        return ClusterDetails()
    refresh_prototypes(connection, detector)
    nearest = near_people(
        connection, people_like(connection, detector, centers.centroid, len(faces), _NEAREST)
    )
    return ClusterDetails(
        row.birth_lambda, row.persistence, row.stability, row.epsilon, row.medoid, row.verified, nearest
    )
