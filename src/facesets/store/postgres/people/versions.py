"""How somebody stood when they were seen, so that two who change them at once notice each other."""

from collections.abc import Sequence
from uuid import UUID

from facesets.store.postgres.connection import Connection


def version_of_person(connection: Connection, person: UUID) -> int:
    """The number of the latest step about a person; 0 before the first."""
    found: int = connection.scalar(
        "SELECT coalesce(max(step_id), 0) FROM step_persons WHERE person_id = %s", (person,)
    )
    return found


def versions_of_people(connection: Connection, persons: Sequence[UUID]) -> dict[UUID, int]:
    """The number of the latest step about each of these people; 0 before the first."""
    rows = connection.execute(
        """SELECT p.id, coalesce((SELECT max(s.step_id) FROM step_persons s WHERE s.person_id = p.id), 0)
            FROM unnest(%s::uuid[]) AS p (id)""",
        (list(persons),),
    )
    return {person: int(version) for person, version in rows}


def version_of_cluster(connection: Connection, cluster: str) -> int:
    """A number that changes when faces of nobody come into a cluster or leave it."""
    found: int = connection.scalar(
        """SELECT coalesce(sum(hashint8(id)::bigint), 0)::bigint FROM present_faces
            WHERE cluster = %s AND person_id IS NULL""",
        (cluster,),
    )
    return found
