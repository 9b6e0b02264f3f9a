"""`people list | show`: all people, and one in detail."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import UUID

import numpy as np

from facesets.operations.people.corrections.contradictions import describing
from facesets.operations.people.corrections.lookup import find, require_person
from facesets.operations.people.lists.similar_people import people_like_person
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.models import usual_detector
from facesets.store.postgres.people.corrections import load_corrections
from facesets.store.postgres.people.people_list import (
    PersonLine,
    Sort,
    Status,
    cluster_line,
    list_people,
    refresh_totals,
    refresh_totals_of,
)
from facesets.store.postgres.people.person_ages import PersonAge, ages_of
from facesets.store.postgres.people.person_faces import (
    FaceLine,
    OwnCluster,
    clusters_of_person,
    faces_of,
    vectors_of,
)
from facesets.store.postgres.people.prototypes import refresh_prototypes
from facesets.store.postgres.photos.bodies import count_bodies

if TYPE_CHECKING:
    from facesets.operations.people.corrections.contradictions import Correction

from collections.abc import Sequence

from facesets.operations.people.corrections.lookup import called, find_person, short
from facesets.operations.people.lists.similar_people import people_like
from facesets.result import Result
from facesets.store.postgres.models import detector_of_face
from facesets.store.postgres.people.clusters import find_cluster, fresh_centers
from facesets.store.postgres.photos.bodies import photos_suggested

_MEASURED = 5000
_NEAREST = 3
_REFRESHED = 50_000
"""Maximum faces for prototypes that are remade for a list, which takes a second or two."""


@dataclass(frozen=True, slots=True)
class NearPerson:
    """A person similar to another person or cluster, by the nearest two centroids."""

    person: str
    name: str
    cosine_similarity: float


@dataclass(frozen=True, slots=True)
class ClusterDetails:
    """Details of a cluster.

    Attributes
    ----------
    birth_density, persistence, stability, epsilon : float or None
        Values from the saved hierarchy.
    medoid : int or None
        The most central face.
    verified : str
        Time and user of verification; empty if not verified.
    """

    birth_density: float | None = None
    persistence: float | None = None
    stability: float | None = None
    epsilon: float | None = None
    medoid: int | None = None
    verified: str = ""
    nearest: list[NearPerson] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class PersonDetails:
    """One person in detail.

    Attributes
    ----------
    spread : float or None
        Mean cosine distance of the faces to their mean; None without faces.
    corrections : list of str
        Corrections, in words.
    shown : list of FaceLine
        The best faces.
    cluster : ClusterDetails or None
        Details of a cluster that is not a person yet.
    clusters : list of OwnCluster
        The clusters of the faces.
    nearest : list of NearPerson
        The most similar people, if more similar than strangers.
    age : PersonAge or None
        Birth and sex of the person; None for a cluster.
    bodies : int
        Bodies with a face of the person.
    """

    person: PersonLine
    spread: float | None
    corrections: list[str] = field(default_factory=list, metadata={"key": "statements"})
    shown: list[FaceLine] = field(default_factory=list)
    cluster: ClusterDetails | None = None
    clusters: list[OwnCluster] = field(default_factory=list)
    nearest: list[NearPerson] = field(default_factory=list)
    age: PersonAge | None = None
    bodies: int = 0


def people(database: Database, *, status: Status, unnamed: bool, sort: Sort) -> list[PersonLine]:
    """Return all people of a status, with totals.

    Prototypes that a large run made stale are counted as they were, because remaking them may take long.
    """

    def work(connection: Connection) -> list[PersonLine]:
        refresh_totals(connection, quick=_REFRESHED)
        return list_people(connection, status=status, unnamed=unnamed, sort=sort)

    return database.run(work)


def person(database: Database, name_or_id: str, *, faces: int) -> PersonDetails:
    """Return one person or unnamed cluster, with the best `faces`.

    Raises
    ------
    WrongUsage
        The person does not exist.
    """

    def work(connection: Connection) -> PersonDetails:
        if (match := find(connection, name_or_id)).person is None:
            shown = faces_of(connection, name_or_id.strip(), faces)
            details = cluster_details(connection, name_or_id.strip(), match.faces)
            return PersonDetails(
                cluster_line(connection, name_or_id.strip()), None, shown=shown, cluster=details
            )
        state = require_person(connection, match.person)
        refresh_totals_of(connection, [state.id])
        detector = usual_detector(connection)
        if detector is not None:
            refresh_prototypes(connection, detector, [state.id])
        (line,) = list_people(connection, status="all", person=state.id)
        return PersonDetails(
            line,
            _spread(connection, state.id),
            list(map(describing(connection), corrections_about(connection, state.id))),
            faces_of(connection, state.id, faces),
            clusters=clusters_of_person(connection, state.id),
            nearest=near_people(connection, people_like_person(connection, state.id, _NEAREST)),
            age=ages_of(connection, [state.id])[state.id],
            bodies=count_bodies(connection, state.id),
        )

    return database.run(work)


def corrections_about(connection: Connection, person: UUID) -> "list[Correction]":
    """Return the corrections about a person's faces, and about the person."""
    corrections = load_corrections(connection)
    return [
        *(each for each in corrections.faces if each.person == person),
        *(each for each in corrections.person_pairs if person in (each.first, each.second)),
    ]


def _spread(connection: Connection, person_id: UUID) -> float | None:
    """Return the mean cosine distance to the mean vector, for the model of most faces."""
    vectors = max(vectors_of(connection, person_id, _MEASURED).values(), key=len, default=None)
    if vectors is None or not len(vectors):
        return None
    mean = vectors.mean(axis=0)
    return round(float(1 - (vectors @ mean).mean() / np.linalg.norm(mean)), 4)


def near_people(connection: Connection, found: Sequence[tuple[UUID, float]]) -> list[NearPerson]:
    """Return people found by `people_like`, with their names."""
    return [
        NearPerson(short(other), called(require_person(connection, other)), similarity)
        for other, similarity in found
    ]


def cluster_details(connection: Connection, cluster: str, faces: Sequence[int]) -> ClusterDetails:
    """Return details of a cluster with these faces."""
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


def bodies_of_person(database: Database, name_or_id: str, *, limit: int) -> Result:
    """Return the bodies of a person, and at most `limit` photos that may show them.

    Raises
    ------
    WrongUsage
        There is no such person, or it is a cluster that is not a person yet.
    """

    def work(connection: Connection) -> Result:
        state = find_person(connection, name_or_id)
        return Result(
            person=short(state.id),
            name=called(state),
            bodies=count_bodies(connection, state.id),  # that have a face of the person
            suggested=photos_suggested(connection, state.id, limit=limit),  # the latest days first
        )

    return database.run(work)
