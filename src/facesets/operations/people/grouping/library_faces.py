"""The faces of a library as grouping sees them, and the people of clusters."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from uuid import UUID

import numpy as np

from facesets.clustering.centroids import unit_centers
from facesets.clustering.known_recognizers import known_recognizer
from facesets.clustering.membership import leave_clashing
from facesets.clustering.people.incremental import UNASSIGNED, FaceDecisions, PersonMatches, join_people
from facesets.clustering.poor_faces import Clarities, Clarity
from facesets.operations.options.people import ClusterLibraryOptions
from facesets.operations.people.grouping.hierarchy import (
    Hierarchy,
    Placed,
    load_hierarchy,
    parameters_of,
    place,
)
from facesets.operations.people.grouping.matching import JoinDecision, Steps, means_of_people
from facesets.operations.people.grouping.regrouping import FacesBefore
from facesets.plurals import counted
from facesets.records import Bool, Int64
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.library import Library
from facesets.store.postgres.people import assigned_faces as people
from facesets.store.postgres.people import persons
from facesets.store.postgres.people.assigned_faces import AssignedFaces, FaceScope, face_scope
from facesets.store.postgres.people.clusters import FaceClusters, clusters_of
from facesets.store.postgres.people.corrections import Corrections
from facesets.store.postgres.people.face_details import quality_of_faces
from facesets.store.postgres.people.unassigned_faces import left_unassigned
from facesets.store.postgres.people.upkeep import SINGLE
from facesets.store.postgres.runs import last_options
from facesets.work import Work

_MIN_FOUNDERS = 2
"""Minimum faces of sufficient quality for a new person."""

JOINING = 0.65
"""Default minimum mean similarity for a face to join a person of another cluster."""


@dataclass(frozen=True, slots=True)
class LoadedFaces:
    """The faces that a run groups, those of known people, and their clusters.

    `hierarchy` is the current one, if the run continues it; `left_out` counts excluded faces; `clarity` is
    the clarity of each face.
    """

    model_id: int
    faces: AssignedFaces
    clusters: FaceClusters
    scope: FaceScope
    hierarchy: Hierarchy | None
    seen: FacesBefore
    clarity: Clarities
    left_out: int


def load_faces(connection: Connection, library: Library, options: ClusterLibraryOptions) -> LoadedFaces:
    """Load the faces that a run groups, as of one moment.

    Raises
    ------
    WrongUsage
        Nothing was indexed yet.
    DamagedFile
        The saved hierarchy cannot be read.
    """
    connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
    detector = library.require_detector(connection)
    faces = people.load_assigned_faces(connection, detector)
    scope = face_scope(connection, detector, faces.face_id, options.time_bucket)
    in_pool = scope.of(options.min_quality) & ~_singles(clusters_of(connection, detector, faces.face_id))
    clarity = quality_of_faces(connection, detector, faces.face_id)
    # `auto` handles unclear faces; other methods would make people from them.
    wanted = (faces.person >= 0) | (in_pool & ((clarity > Clarity.NOTHING) | (options.method == "auto")))
    faces = faces.take(wanted)
    hierarchy = None
    if options.method == "hdbscan" and not options.full:
        hierarchy = load_hierarchy(connection, detector.model_id, parameters_of(options))
    return LoadedFaces(
        detector.model_id,
        faces,
        clusters_of(connection, detector, faces.face_id),
        scope.take(wanted),
        hierarchy,
        FacesBefore(
            persons.fixed_persons(connection),
            left_unassigned(connection, detector.id),
            last_options(connection, "cluster"),
        ),
        clarity[wanted],
        int((~wanted).sum()),
    )


def without_smudges(loaded: LoadedFaces) -> tuple[AssignedFaces, int]:
    """Return the faces without unnamed people of low quality, and how many of these there are.

    They are people without corrections, with hardly any face clear enough for a new person.
    """
    faces, poor = loaded.faces, loaded.clarity < Clarity.ENOUGH
    count = len(faces.persons)
    mine = faces.person >= 0
    of_person = np.bincount(faces.person[mine], minlength=count)
    enough = np.bincount(faces.person[mine & ~poor], minlength=count)
    fixed = np.array([person in loaded.seen.fixed for person in faces.persons], bool)
    unclear = ~fixed & (of_person > 0) & (enough < _MIN_FOUNDERS) & (2 * enough < of_person)
    if not unclear.any():
        return faces, 0
    person = np.where(np.append(unclear, False)[faces.person], -1, faces.person)
    return replace(faces, person=person), int(unclear.sum())


def _singles(clusters: FaceClusters) -> Bool:
    """Return which faces are single clusters, made of long unassigned faces, which no run compares."""
    single = np.array([*(each.startswith(SINGLE) for each in clusters.ids), False])
    return single[clusters.number]


def by_hierarchy(
    loaded: LoadedFaces,
    corrections: Corrections,
    options: ClusterLibraryOptions,
    work: Work,
    new_id: Callable[[], UUID],
    recognizer: str | None,
) -> tuple[JoinDecision, Placed]:
    """Decide about unassigned faces by the saved hierarchy, and return the place of each face in it."""
    reported = Steps(work, f"Grouping {counted(len(loaded.faces.face_id), 'face')}")
    placed = place(
        loaded.faces,
        loaded.clusters,
        loaded.scope,
        loaded.hierarchy,
        corrections,
        options,
        new_id,
        reported,
        recognizer=recognizer,
    )
    joined = join_by_clusters(
        loaded.faces,
        placed.cluster,
        min_cosine_similarity=JOINING if options.threshold is None else options.threshold,
        min_in_cluster=1.0 - known_recognizer(recognizer).max_from_centroid,
        min_size=options.min_size,
    )
    if not options.same_image_ok:
        joined = _keep_one_face_by_cluster(loaded.faces, joined)
    return JoinDecision(np.flatnonzero(loaded.faces.person < 0), joined, (placed.sentence(),)), placed


def _keep_one_face_by_cluster(faces: AssignedFaces, joined: FaceDecisions) -> FaceDecisions:
    """Keep only one of two faces in a photo with a person: the one that was there, else the more similar."""
    new = np.flatnonzero(faces.person < 0)
    after = faces.person.copy()
    after[new] = joined.owners(len(faces.persons))
    leaving = np.isin(new, leave_clashing(faces.embedding, faces.image, faces.person, after))
    return replace(
        joined, person=np.where(leaving, -1, joined.person), group=np.where(leaving, -1, joined.group)
    )


MARGIN = 0.05
"""Minimum lead over the second-best person of a cluster."""
_AT_ONCE = 16_384


def join_by_clusters(
    faces: AssignedFaces,
    cluster: Int64,
    *,
    min_cosine_similarity: float,
    min_in_cluster: float,
    min_size: int,
) -> FaceDecisions:
    """Decide about unassigned faces by the clusters that all faces are in.

    A face joins the person of its cluster. If the cluster has several people, it joins the nearest one if the
    lead is large enough; otherwise it becomes a suggestion. A face similar to none of them stays unassigned.
    Faces of other clusters join a known person if similar to that person's faces on average; otherwise each
    cluster becomes a new person.

    Parameters
    ----------
    cluster : int64 array of shape (n,)
        -1 for none.
    min_cosine_similarity : float
        Minimum similarity for a face of another cluster to join a known person.
    min_in_cluster : float
        Minimum similarity for a face to join a person of its own cluster, to the mean direction of their
        faces in it.
    """
    new = np.flatnonzero(faces.person < 0)
    person = np.full(len(new), UNASSIGNED, np.int64)
    near = _owners_of(faces, cluster, new)
    left = np.setdiff1d(np.arange(len(new)), near.face)
    review = [_nearest_owner(near, person, min_in_cluster)]
    means, known = means_of_people(faces.embedding, faces.person, len(faces.persons))
    rest = join_people(
        faces.embedding[new[left]],
        means,
        known,
        lambda some: cluster[new[left[some]]],
        min_cosine_similarity=min_cosine_similarity,
        min_size=min_size,
    )
    person[left] = rest.person
    group = np.full(len(new), UNASSIGNED, np.int64)
    group[left] = rest.group
    review.append(replace(rest.review, face=left[rest.review.face]))
    return FaceDecisions(person, group, PersonMatches.joined(review), rest.checked)


def _owners_of(faces: AssignedFaces, cluster: Int64, new: Int64) -> PersonMatches:
    """Compare new faces, by position in `new`, with the people who have faces in their cluster."""
    owned = np.flatnonzero((faces.person >= 0) & (cluster >= 0))
    both = np.stack([cluster[owned], faces.person[owned]], axis=1)
    pairs, of_face = np.unique(both, axis=0, return_inverse=True)
    number = np.full(len(cluster), UNASSIGNED, np.int64)
    number[owned] = of_face.reshape(-1)
    centres = unit_centers(faces.embedding, number, np.arange(len(pairs)))
    first = np.searchsorted(pairs[:, 0], cluster[new])
    count = np.searchsorted(pairs[:, 0], cluster[new], side="right") - first
    count[cluster[new] < 0] = 0
    face = np.repeat(np.arange(len(new)), count)
    pair = np.repeat(first, count) + np.arange(len(face)) - np.repeat(np.cumsum(count) - count, count)
    similarity = np.empty(len(face), np.float32)
    for start in range(0, len(face), _AT_ONCE):
        some = slice(start, start + _AT_ONCE)
        similarity[some] = np.einsum("ij,ij->i", faces.embedding[new[face[some]]], centres[pair[some]])
    return PersonMatches(face, pairs[pair, 1], similarity)


def _nearest_owner(near: PersonMatches, person: Int64, min_similarity: float) -> PersonMatches:
    """Assign faces to the nearest person of their cluster; return the suggestions."""
    order = np.lexsort((near.person, -near.similarity, near.face))
    face, owner, similarity = near.face[order], near.person[order], near.similarity[order]
    first = np.flatnonzero(np.diff(face, prepend=-1))
    following = np.append(similarity, -np.inf)[np.minimum(first + 1, len(face))]
    alone = np.append(face, -1)[np.minimum(first + 1, len(face))] != face[first]
    like = similarity[first] >= min_similarity
    sure = like & (alone | (similarity[first] - following >= MARGIN))
    person[face[first[sure]]] = owner[first[sure]]
    return near.of(np.isin(near.face, face[first[like & ~sure]]))
