"""`people merge | different` where clusters are meant that are no people yet."""

from collections.abc import Sequence

from facesets.errors import WrongUsage
from facesets.files import printable
from facesets.operations.people.corrections import correcting
from facesets.operations.people.corrections.absorbing import keeping_portrait
from facesets.operations.people.corrections.contradictions import require_consistent
from facesets.operations.people.corrections.correcting import (
    correcting_step,
    keep_known,
)
from facesets.operations.people.corrections.results import kept_step, result_of
from facesets.operations.people.corrections.statement_words import describing
from facesets.operations.people.corrections.who import called, find, find_person, require_person
from facesets.plurals import counted
from facesets.result import Result
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.people.clusters import verify
from facesets.store.postgres.people.persons import give_faces
from facesets.store.postgres.people.statements import FaceStatement, load_statements, say_of_faces
from facesets.store.postgres.people.steps import changing, making_step


def merge(database: Database, who: Sequence[str], into: str, *, drop_names: bool, by: str) -> Result:
    """Make several people, or clusters that are none yet, one person; errors as `correcting.merge`.

    Clusters come first, in a step of their own.
    """
    clusters = database.run(lambda connection: [each for each in who if _is_cluster(connection, each)])
    people = [each for each in who if each not in clusters]
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
    """Say that two faces, two people, or a cluster and a person are not one; errors as there."""
    said = None if faces else changing(database, _cluster_is_not, first, second, by)
    return said or correcting.different(database, first, second, faces=faces, by=by)


def _cluster_is_not(connection: Connection, first: str, second: str, by: str) -> Result | None:
    """Say that a cluster is not somebody; None where neither is a cluster."""
    if _is_cluster(connection, first):
        return _not_them(connection, first, second, by)
    return _not_them(connection, second, first, by) if _is_cluster(connection, second) else None


def _is_cluster(connection: Connection, who: str) -> bool:
    return find(connection, who).person is None


def _are_one(connection: Connection, who: str, other: str) -> bool:
    return find_person(connection, who).id == find_person(connection, other).id


def _add_clusters(connection: Connection, clusters: Sequence[str], into: str, by: str) -> Result:
    target = find_person(connection, into)
    said = load_statements(connection)
    refused = {each.face for each in said.faces if each.person == target.id and not each.is_person}
    names = ", ".join(printable(each) for each in clusters)
    moved = 0
    with correcting_step(connection, "merge", by, f"{names} merged into {called(target)}") as step:
        for cluster in clusters:
            every = find(connection, cluster).faces
            faces = [face for face in every if face not in refused]
            if not faces:
                raise WrongUsage(f"You said that {printable(cluster)} is not {called(target)}.")
            with keeping_portrait(step, target):
                give_faces(step, faces, target.id, "auto")
            verify(step, cluster.strip(), by)
            moved += len(faces)
        keep_known(step, target.id)
    return result_of(connection, target.id, f"{counted(moved, 'face')} merged", step)


def _not_them(connection: Connection, cluster: str, who: str, by: str) -> Result:
    """Say that the faces of a cluster are not somebody."""
    other = find(connection, who)
    if other.person is None:
        raise WrongUsage(f"{printable(cluster)} and {printable(who)} are clusters. Name one of them first.")
    person = require_person(connection, other.person)
    faces = find(connection, cluster).faces
    new = [FaceStatement(face, person.id, is_person=False) for face in faces]
    require_consistent(load_statements(connection), new, describing(connection))
    what = f"{printable(cluster)} is not {called(person)}"
    with making_step(connection, "different", by, what) as step:
        say_of_faces(step, faces, person.id, is_person=False)
        keep_known(step, person.id)
    return Result(said=what, step=kept_step(connection, step))
