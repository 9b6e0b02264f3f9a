"""The faces of a library as runs that group them see them, and what the kept hierarchy makes of them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from uuid import UUID

import numpy as np

from facesets.clustering.incremental import Joined
from facesets.clustering.one_an_image import leave_clashing
from facesets.clustering.poor_faces import HowMuch, Shows
from facesets.clustering.recognisers import recogniser_named
from facesets.operations.options.library import ClusterLibraryOptions
from facesets.operations.people.grouping.cluster_owners import join_by_clusters
from facesets.operations.people.grouping.hierarchy import (
    Hierarchy,
    Placed,
    load_hierarchy,
    parameters_of,
    place,
)
from facesets.operations.people.grouping.matching import Decision, Steps
from facesets.operations.people.grouping.regrouping import FacesBefore
from facesets.plurals import counted
from facesets.records import Bool
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.library import Library
from facesets.store.postgres.people import peopled_faces as people
from facesets.store.postgres.people import persons
from facesets.store.postgres.people.clusters import FaceClusters, clusters_of
from facesets.store.postgres.people.face_details import how_much_they_show
from facesets.store.postgres.people.peopled_faces import FaceScope, PeopledFaces, face_scope
from facesets.store.postgres.people.statements import Statements
from facesets.store.postgres.people.unassigned_faces import left_unassigned
from facesets.store.postgres.people.upkeep import SINGLE
from facesets.store.postgres.runs import last_options
from facesets.work import Work

_FEWEST_FOUNDERS = 2
"""Faces that show enough, without which no run makes a person."""

JOINING = 0.65
"""Mean cosine similarity from which a face joins somebody who is not in its cluster, if nothing is said."""


@dataclass(frozen=True, slots=True)
class LoadedFaces:
    """The faces that a run is about, and those of known people, with what is known of their clusters.

    `hierarchy` is that in force, where the run goes on with it; `left_out` counts faces it is not about;
    `shows` is how much each face shows of who it is.
    """

    model_id: int
    faces: PeopledFaces
    clusters: FaceClusters
    scope: FaceScope
    hierarchy: Hierarchy | None
    seen: FacesBefore
    shows: HowMuch
    left_out: int


def load_faces(connection: Connection, library: Library, options: ClusterLibraryOptions) -> LoadedFaces:
    """Read the faces that a run is about, as of one moment.

    Raises
    ------
    WrongUsage
        Nothing was indexed yet.
    DamagedFile
        The kept hierarchy cannot be read.
    """
    connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
    detector = library.require_detector(connection)
    faces = people.load_peopled_faces(connection, detector)
    scope = face_scope(connection, detector, faces.face_id, options.time_bucket)
    in_pool = scope.of(options.min_quality) & ~_singles(clusters_of(connection, detector, faces.face_id))
    shows = how_much_they_show(connection, detector, faces.face_id)
    # `auto` knows what to do with faces that show nothing; other methods would make somebody of them.
    wanted = (faces.person >= 0) | (in_pool & ((shows > Shows.NOTHING) | (options.method == "auto")))
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
        shows[wanted],
        int((~wanted).sum()),
    )


def without_smudges(loaded: LoadedFaces) -> tuple[PeopledFaces, int]:
    """The faces as if those people were nobody who would not be made today; and how many these are.

    They are people for whom no human vouches, with hardly a face that shows enough to make somebody.
    """
    faces, poor = loaded.faces, loaded.shows < Shows.ENOUGH
    count = len(faces.persons)
    mine = faces.person >= 0
    of_person = np.bincount(faces.person[mine], minlength=count)
    enough = np.bincount(faces.person[mine & ~poor], minlength=count)
    fixed = np.array([person in loaded.seen.fixed for person in faces.persons], bool)
    gone = ~fixed & (of_person > 0) & (enough < _FEWEST_FOUNDERS) & (2 * enough < of_person)
    if not gone.any():
        return faces, 0
    person = np.where(np.append(gone, False)[faces.person], -1, faces.person)
    return replace(faces, person=person), int(gone.sum())


def _singles(clusters: FaceClusters) -> Bool:
    """Which faces are clusters of their own since they were left over for long: no run compares them."""
    single = np.array([*(each.startswith(SINGLE) for each in clusters.ids), False])
    return single[clusters.number]


def by_hierarchy(
    loaded: LoadedFaces,
    said: Statements,
    options: ClusterLibraryOptions,
    work: Work,
    new_id: Callable[[], UUID],
    recogniser: str | None,
) -> tuple[Decision, Placed]:
    """What becomes of the faces without a person by the kept hierarchy, and where each face is in it."""
    reported = Steps(work, f"Grouping {counted(len(loaded.faces.face_id), 'face')}")
    placed = place(
        loaded.faces,
        loaded.clusters,
        loaded.scope,
        loaded.hierarchy,
        said,
        options,
        new_id,
        reported,
        recogniser=recogniser,
    )
    joined = join_by_clusters(
        loaded.faces,
        placed.cluster,
        min_cosine_similarity=JOINING if options.threshold is None else options.threshold,
        least_in_cluster=1.0 - recogniser_named(recogniser).max_from_centroid,
        min_size=options.min_size,
    )
    if not options.same_image_ok:
        joined = _one_face_a_photo(loaded.faces, joined)
    return Decision(joined, reasons=(placed.sentence(),)), placed


def _one_face_a_photo(faces: PeopledFaces, joined: Joined) -> Joined:
    """Let of two faces in one photo only one join a person: who has it already, else the more similar."""
    new = np.flatnonzero(faces.person < 0)
    after = faces.person.copy()
    after[new] = np.where(joined.group >= 0, joined.group + len(faces.persons), joined.person)
    leaving = np.isin(new, leave_clashing(faces.embedding, faces.image, faces.person, after))
    return replace(
        joined, person=np.where(leaving, -1, joined.person), group=np.where(leaving, -1, joined.group)
    )
