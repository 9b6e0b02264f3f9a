"""Groups of faces by the id of their cluster: named and hidden, and what they were split into."""

from collections.abc import Sequence
from uuid import UUID

from facesets.errors import Changed
from facesets.files import printable
from facesets.operations.people.corrections.correcting import correcting_step
from facesets.operations.people.corrections.naming import name_now, set_hidden_now
from facesets.operations.people.corrections.results import kept_step
from facesets.operations.people.corrections.who import called, cluster_as_person, find_cluster, require_person
from facesets.result import Result
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.models import usual_detector
from facesets.store.postgres.people.clusters import hide
from facesets.store.postgres.people.face_groups import OF_PERSON
from facesets.store.postgres.people.persons import (
    faces_of_person,
    persons_of_faces,
    version_of_cluster,
    version_of_person,
)
from facesets.store.postgres.people.prototypes import kept_prototypes, refresh_prototypes
from facesets.store.postgres.people.steps import changing


def version_of(connection: Connection, cluster: str) -> int:
    """How a cluster stands: the version of the person that it is, else of its faces of nobody."""
    state = cluster_as_person(connection, cluster)
    return (
        version_of_cluster(connection, cluster) if state is None else version_of_person(connection, state.id)
    )


def label_cluster(database: Database, cluster: str, name: str, *, into: bool, by: str) -> Result:
    """Say who a cluster is; returns whose its faces are now, and how many prototypes they have.

    Parameters
    ----------
    into : bool
        Where somebody else has that name, they are one person.

    Raises
    ------
    NameTaken
        Somebody else has it, and `into` is off.
    NotFound
        There is no such cluster.
    WrongUsage
        The name is none, or it contradicts what was said.
    """

    def work(connection: Connection) -> Result:
        meant = find_cluster(connection, cluster)
        faces = meant.faces if meant.person is None else faces_of_person(connection, meant.person)
        summary = name_now(connection, cluster, name, into=into, face=False, by=by, finder=find_cluster)
        person = _whose(connection, faces, meant.person)
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


def _whose(connection: Connection, faces: Sequence[int], person: UUID | None) -> UUID:
    """Whose the faces of a cluster are that was named."""
    if person is not None:
        return require_person(connection, person).id
    owners = {owner for owner in persons_of_faces(connection, faces).values() if owner is not None}
    if len(owners) != 1:
        raise Changed("The faces of that cluster went to several people meanwhile. Look at it again.")
    return owners.pop()


def _prototypes(connection: Connection, person: UUID) -> int:
    detector = usual_detector(connection)
    if detector is None:
        return 0
    refresh_prototypes(connection, detector, [person])
    return len(kept_prototypes(connection, detector, [person]).face_id)


def hide_cluster(database: Database, cluster: str, *, by: str) -> int | None:
    """Say that it does not matter who a cluster is; returns the step, None where nothing changed.

    Raises
    ------
    NotFound
        There is no such cluster.
    """

    def work(connection: Connection) -> int | None:
        meant = find_cluster(connection, cluster)
        if meant.person is not None:
            done: int | None = set_hidden_now(connection, str(meant.person), hidden=True, by=by).step
            return done
        with correcting_step(connection, "hide", by, f"cluster {printable(cluster)} hidden") as step:
            hide(step, cluster)
        return kept_step(connection, step)

    return changing(database, work)


def clusters_of_parts(database: Database, split: Result) -> list[str]:
    """The new clusters that one fell into, by their ids."""
    new = [part for part in split.parts if not part.stays] if split.step is not None else []

    def work(connection: Connection) -> list[str]:
        owners = persons_of_faces(connection, [part.faces[0] for part in new])
        whose = [(part, owners.get(part.faces[0])) for part in new]
        return [part.name if owner is None else f"{OF_PERSON}{owner}" for part, owner in whose]

    return database.run(work)
