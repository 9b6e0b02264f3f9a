"""Clusters named, hidden, merged and separated by their ids, like people."""

from collections.abc import Sequence
from uuid import UUID

from facesets.errors import Changed, WrongUsage
from facesets.files import printable
from facesets.operations.people.corrections import correcting
from facesets.operations.people.corrections.absorbing import preserving_portrait
from facesets.operations.people.corrections.contradictions import describing, require_consistent
from facesets.operations.people.corrections.correcting import (
    confirm_person,
    correcting_step,
)
from facesets.operations.people.corrections.lookup import (
    called,
    cluster_as_person,
    find,
    find_cluster,
    find_person,
    require_person,
    result_of,
    step_number,
)
from facesets.operations.people.corrections.naming import name_now, set_hidden_now
from facesets.plurals import counted
from facesets.result import Result
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.models import usual_detector
from facesets.store.postgres.people.clusters import hide, verify
from facesets.store.postgres.people.corrections import (
    FaceCorrection,
    load_corrections,
    store_face_corrections,
)
from facesets.store.postgres.people.face_groups import OF_PERSON
from facesets.store.postgres.people.persons import (
    faces_of_person,
    give_faces,
    persons_of_faces,
    version_of_cluster,
    version_of_person,
)
from facesets.store.postgres.people.prototypes import refresh_prototypes, stored_prototypes
from facesets.store.postgres.people.steps import changing, making_step


def merge(database: Database, names_or_ids: Sequence[str], into: str, *, drop_names: bool, by: str) -> Result:
    """Merge people and clusters into one person; errors as `correcting.merge`.

    Clusters are merged first, in a separate step.
    """
    clusters = database.run(
        lambda connection: [each for each in names_or_ids if _is_cluster(connection, each)]
    )
    people = [each for each in names_or_ids if each not in clusters]
    summary = None
    if clusters:
        summary = changing(database, _add_clusters, clusters, into, by)
        people = database.run(
            lambda connection: [each for each in people if not _are_one(connection, each, into)]
        )
    if people or summary is None:
        return correcting.merge(database, people, into, drop_names=drop_names, by=by)
    return summary


def different(database: Database, first: str, second: str, *, faces: bool, by: str) -> Result:
    """Confirm that two faces, two people, or a cluster and a person are different; errors as `correcting`."""
    result = None if faces else changing(database, _cluster_is_not, first, second, by)
    return result or correcting.different(database, first, second, faces=faces, by=by)


def _cluster_is_not(connection: Connection, first: str, second: str, by: str) -> Result | None:
    """Confirm that a cluster is not a person; None if neither is a cluster."""
    if _is_cluster(connection, first):
        return _not_them(connection, first, second, by)
    return _not_them(connection, second, first, by) if _is_cluster(connection, second) else None


def _is_cluster(connection: Connection, name_or_id: str) -> bool:
    return find(connection, name_or_id).person is None


def _are_one(connection: Connection, name_or_id: str, other: str) -> bool:
    return find_person(connection, name_or_id).id == find_person(connection, other).id


def _add_clusters(connection: Connection, clusters: Sequence[str], into: str, by: str) -> Result:
    target = find_person(connection, into)
    corrections = load_corrections(connection)
    refused = {each.face for each in corrections.faces if each.person == target.id and not each.is_person}
    names = ", ".join(printable(each) for each in clusters)
    moved = 0
    with correcting_step(connection, "merge", by, f"{names} merged into {called(target)}") as step:
        for cluster in clusters:
            every = find(connection, cluster).faces
            faces = [face for face in every if face not in refused]
            if not faces:
                raise WrongUsage(
                    f"You confirmed that {printable(cluster)} is not {called(target)}. Undo that first."
                )
            with preserving_portrait(step, target):
                give_faces(step, faces, target.id, "auto")
            verify(step, cluster.strip(), by)
            moved += len(faces)
        confirm_person(step, target.id)
    return result_of(connection, target.id, f"{counted(moved, 'face')} merged", step)


def _not_them(connection: Connection, cluster: str, name_or_id: str, by: str) -> Result:
    """Deny that the faces of a cluster show a person."""
    other = find(connection, name_or_id)
    if other.person is None:
        raise WrongUsage(
            f"{printable(cluster)} and {printable(name_or_id)} are unnamed clusters. Name one of them first."
        )
    person = require_person(connection, other.person)
    faces = find(connection, cluster).faces
    new = [FaceCorrection(face, person.id, is_person=False) for face in faces]
    require_consistent(load_corrections(connection), new, describing(connection))
    what = f"{printable(cluster)} is not {called(person)}"
    with making_step(connection, "different", by, what) as step:
        store_face_corrections(step, faces, person.id, is_person=False)
        confirm_person(step, person.id)
    return Result(said=what, step=step_number(connection, step))


def version_of(connection: Connection, cluster: str) -> int:
    """Return the version of a cluster: that of its person, else of its unassigned faces."""
    state = cluster_as_person(connection, cluster)
    return (
        version_of_cluster(connection, cluster) if state is None else version_of_person(connection, state.id)
    )


def label_cluster(database: Database, cluster: str, name: str, *, into: bool, by: str) -> Result:
    """Name a cluster; return its person, and the number of prototypes.

    Parameters
    ----------
    into : bool
        If another person has that name, they are merged.

    Raises
    ------
    NameTaken
        Another person has the name, and `into` is off.
    NotFound
        The cluster does not exist.
    WrongUsage
        The name is invalid, or it contradicts a correction.
    """

    def work(connection: Connection) -> Result:
        found = find_cluster(connection, cluster)
        faces = found.faces if found.person is None else faces_of_person(connection, found.person)
        summary = name_now(connection, cluster, name, into=into, face=False, by=by, finder=find_cluster)
        person = _owner_of(connection, faces, found.person)
        state = require_person(connection, person)
        owners = persons_of_faces(connection, faces)
        ours = sum(owners.get(face) == state.id for face in faces)
        return Result(
            person=state.id,
            name=called(state),
            faces=ours,  # of the cluster
            prototypes=_prototypes(connection, state.id),  # of the person
            step=summary.step,
        )

    return changing(database, work)


def _owner_of(connection: Connection, faces: Sequence[int], person: UUID | None) -> UUID:
    """Return the person of the faces of a named cluster."""
    if person is not None:
        return require_person(connection, person).id
    owners = {owner for owner in persons_of_faces(connection, faces).values() if owner is not None}
    if len(owners) != 1:
        raise Changed("The faces of this cluster were assigned to several people in the meantime. Reload it.")
    return owners.pop()


def _prototypes(connection: Connection, person: UUID) -> int:
    detector = usual_detector(connection)
    if detector is None:
        return 0
    refresh_prototypes(connection, detector, [person])
    return len(stored_prototypes(connection, detector, [person]).face_id)


def hide_cluster(database: Database, cluster: str, *, by: str) -> int | None:
    """Hide a cluster; return the change, or None if nothing changed.

    Raises
    ------
    NotFound
        The cluster does not exist.
    """

    def work(connection: Connection) -> int | None:
        found = find_cluster(connection, cluster)
        if found.person is not None:
            done: int | None = set_hidden_now(connection, str(found.person), hidden=True, by=by).step
            return done
        with correcting_step(connection, "hide", by, f"cluster {printable(cluster)} hidden") as step:
            hide(step, cluster)
        return step_number(connection, step)

    return changing(database, work)


def clusters_of_parts(database: Database, split: Result) -> list[str]:
    """Return the ids of the new clusters that a split made."""
    new = [part for part in split.parts if not part.stays] if split.step is not None else []

    def work(connection: Connection) -> list[str]:
        owners = persons_of_faces(connection, [part.faces[0] for part in new])
        owned = [(part, owners.get(part.faces[0])) for part in new]
        return [part.name if owner is None else f"{OF_PERSON}{owner}" for part, owner in owned]

    return database.run(work)
