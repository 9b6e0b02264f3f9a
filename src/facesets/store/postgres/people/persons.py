"""People, their names and their faces: read, and changed as part of a change.

A version identifies the state of a person when they were seen: two users who change them at once notice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

from facesets.store.postgres.connection import Connection
from facesets.store.postgres.people.steps import Step

LARGEST = 2**63 - 1
"""The largest bigint."""
_DIGITS = 32


@dataclass(frozen=True, slots=True)
class PersonState:
    """A person as it is now.

    Attributes
    ----------
    names : list of str
        The first is the main name.
    """

    id: UUID
    status: str
    merged_into: UUID | None
    names: list[str]
    faces: int


def person_state(connection: Connection, person: UUID) -> PersonState | None:
    """Return a person, whatever its status; None if there is none."""
    return person_states(connection, [person]).get(person)


def person_states(connection: Connection, persons: Sequence[UUID]) -> dict[UUID, PersonState]:
    """Return people by their ids; missing ones are omitted."""
    rows = connection.execute(
        """SELECT p.id, p.status, p.merged_into_id,
                array(SELECT n.name FROM person_names n WHERE n.person_id = p.id ORDER BY n.id),
                (SELECT count(*) FROM present_faces f WHERE f.person_id = p.id)
            FROM persons p WHERE p.id = ANY(%s::uuid[])""",
        (list(persons),),
    )
    return {row[0]: PersonState(*row) for row in rows}


def all_names(connection: Connection) -> list[tuple[str, UUID]]:
    """Return every name, and its person."""
    return [(name, person) for name, person in connection.execute("SELECT name, person_id FROM person_names")]


def named_people(connection: Connection) -> set[UUID]:
    """Return all named people."""
    return set(connection.scalars("SELECT DISTINCT person_id FROM person_names"))


def person_of_name(connection: Connection, name: str) -> UUID | None:
    """Return the person with a name as the server compares names, which are unique."""
    found: UUID | None = connection.scalar(
        "SELECT person_id FROM person_names WHERE lower(name) = lower(%s)", (name,)
    )
    return found


def people_called(connection: Connection, names: Sequence[str]) -> dict[str, UUID]:
    """Return the people of some names as the server compares them; unknown names are omitted."""
    rows = connection.execute(
        """SELECT n.name, p.person_id FROM unnest(%s::text[]) AS n (name)
            JOIN person_names p ON lower(p.name) = lower(n.name)""",
        (list(names),),
    )
    return dict(rows.fetchall())


def lowered(connection: Connection, names: Sequence[str]) -> dict[str, str]:
    """Return names as the server compares them."""
    rows = connection.execute("SELECT n, lower(n) FROM unnest(%s::text[]) AS n", (list(names),))
    return dict(rows.fetchall())


def persons_by_prefix(connection: Connection, prefix: str) -> list[UUID]:
    """Return people whose id begins with these hexadecimal digits."""
    digits = prefix.replace("-", "").lower()
    if len(digits) > _DIGITS:
        return []
    return connection.scalars(
        "SELECT id FROM persons WHERE id BETWEEN %s AND %s ORDER BY id LIMIT 10",
        (UUID(digits.ljust(_DIGITS, "0")), UUID(digits.ljust(_DIGITS, "f"))),
    )


def unassigned_faces_of_cluster(connection: Connection, cluster: str) -> list[int]:
    """Return the unassigned faces of a cluster."""
    return connection.scalars(
        "SELECT id FROM present_faces WHERE cluster = %s AND person_id IS NULL ORDER BY id", (cluster,)
    )


def faces_of_person(connection: Connection, person: UUID) -> list[int]:
    """Return all faces of a person."""
    return connection.scalars("SELECT id FROM face_detections WHERE person_id = %s ORDER BY id", (person,))


def persons_of_faces(connection: Connection, faces: Sequence[int]) -> dict[int, UUID | None]:
    """Return the people of these faces; faces that do not exist are omitted."""
    rows = connection.execute(
        "SELECT id, person_id FROM face_detections WHERE id = ANY(%s::bigint[])",
        ([face for face in faces if 0 < face <= LARGEST],),
    )
    return {int(face): person for face, person in rows}


def make_person(step: Step, person: UUID | None = None) -> UUID:
    """Create an unnamed person."""
    person = person or uuid4()
    make_people(step, [person])
    return person


def make_people(step: Step, persons: Sequence[UUID]) -> None:
    """Create unnamed people."""
    step.connection.execute("INSERT INTO persons (id) SELECT unnest(%s::uuid[])", (list(persons),))


def set_status(step: Step, person: UUID, status: str, merged_into: UUID | None = None) -> None:
    """Make a person active, hidden or merged."""
    step.connection.execute(
        "UPDATE persons SET status = %s, merged_into_id = %s, updated_at = now() WHERE id = %s",
        (status, merged_into, person),
    )


def add_name(step: Step, person: UUID, name: str) -> None:
    """Give a person a further name."""
    add_names(step, {person: name})


def add_names(step: Step, names: Mapping[UUID, str]) -> None:
    """Give each of these people a further name."""
    step.connection.execute(
        "INSERT INTO person_names (person_id, name) SELECT * FROM unnest(%s::uuid[], %s::text[])",
        (list(names), list(names.values())),
    )
    step.about(*names)


def drop_names(step: Step, person: UUID) -> list[str]:
    """Remove a person's names; return them."""
    rows = step.connection.execute(
        "SELECT id, name FROM person_names WHERE person_id = %s ORDER BY id", (person,)
    ).fetchall()
    step.connection.execute("DELETE FROM person_names WHERE person_id = %s", (person,))
    step.about(person)
    return [name for _, name in rows]


def give_faces(step: Step, faces: Sequence[int], person: UUID, how: str = "") -> None:
    """Assign faces to a person; `how` goes into `assigned_by`, which stays if empty."""
    _give(step, faces, person, how)


def give_each(step: Step, faces: Sequence[int], persons: Sequence[UUID], how: str) -> None:
    """Assign each face to the person at its position; see `give_faces`."""
    step.connection.execute(
        """UPDATE face_detections f SET person_id = n.person, assigned_at = now(), assigned_by = %(how)s
            FROM unnest(%(faces)s::bigint[], %(persons)s::uuid[]) AS n (face, person)
            WHERE f.id = n.face AND (f.person_id IS DISTINCT FROM n.person
                OR f.assigned_by IS DISTINCT FROM %(how)s)""",
        {"faces": list(faces), "persons": list(persons), "how": how},
    )


def take_faces(step: Step, faces: Sequence[int]) -> None:
    """Unassign faces."""
    _give(step, faces, None, None)


def _give(step: Step, faces: Sequence[int], person: UUID | None, how: str | None) -> None:
    step.connection.execute(
        """UPDATE face_detections f SET person_id = %(person)s, assigned_at = now(),
                assigned_by = CASE %(how)s::text WHEN '' THEN f.assigned_by ELSE %(how)s END
            WHERE f.id = ANY(%(faces)s::bigint[]) AND (f.person_id IS DISTINCT FROM %(person)s
                OR (%(how)s IS DISTINCT FROM '' AND f.assigned_by IS DISTINCT FROM %(how)s))""",
        {"person": person, "how": how, "faces": list(faces)},
    )


def exemplars(connection: Connection, person: UUID, count: int) -> list[int]:
    """Return a person's best faces by stored quality, at most one per image."""
    return exemplars_of_people(connection, [person], count)[person]


def exemplars_of_people(connection: Connection, persons: Sequence[UUID], count: int) -> dict[UUID, list[int]]:
    """Return the same as `exemplars`, for each of these people."""
    rows = connection.execute(
        """SELECT p.id, array(SELECT id FROM (
                SELECT DISTINCT ON (image_id) id, quality FROM present_faces
                WHERE person_id = p.id ORDER BY image_id, quality DESC, id) AS best
            ORDER BY quality DESC, id LIMIT %s)
            FROM unnest(%s::uuid[]) AS p (id)""",
        (count, list(persons)),
    )
    return dict(rows.fetchall())


def active_people(connection: Connection) -> set[UUID]:
    """Return all people who are neither hidden nor merged."""
    return set(connection.scalars("SELECT id FROM persons WHERE status = 'active'"))


def any_person(connection: Connection) -> bool:
    """Whether there is a person."""
    return bool(connection.scalar("SELECT EXISTS (SELECT FROM persons)"))


def merged_into(connection: Connection, persons: Sequence[UUID]) -> list[UUID]:
    """Return these people, with merged ones replaced by those they were merged into."""
    rows = connection.execute(
        """WITH RECURSIVE now AS (
                SELECT id, id AS person FROM persons WHERE id = ANY(%s::uuid[]) AND status = 'merged'
                UNION SELECT now.id, p.merged_into_id FROM now JOIN persons p ON p.id = now.person
                WHERE p.status = 'merged' AND p.merged_into_id IS NOT NULL)
            SELECT now.id, now.person FROM now JOIN persons p ON p.id = now.person
            WHERE p.status <> 'merged'""",
        (list(set(persons)),),
    )
    others: dict[UUID, UUID] = dict(rows.fetchall())
    return [others.get(person, person) for person in persons]


def create_persons(connection: Connection, uuids: Sequence[UUID]) -> None:
    """Create unnamed people with these ids."""
    connection.execute("INSERT INTO persons (id) SELECT unnest(%s::uuid[])", (list(uuids),))


def fixed_persons(connection: Connection) -> set[UUID]:
    """Return people whom a user named, hid or merged, or about whom there are corrections."""
    people = connection.scalars(
        """SELECT id FROM persons WHERE status <> 'active'
            UNION SELECT merged_into_id FROM persons WHERE merged_into_id IS NOT NULL
            UNION SELECT person_id FROM person_names
            UNION SELECT person_id FROM person_corrections
            UNION SELECT person_id FROM face_corrections
            UNION SELECT person_a FROM person_pair_corrections
            UNION SELECT person_b FROM person_pair_corrections
            UNION SELECT person_id FROM prototype_corrections
            UNION SELECT person_id FROM birth_corrections
            UNION SELECT person_id FROM face_detections
                WHERE person_id IS NOT NULL AND assigned_by <> 'auto'
            UNION SELECT f.person_id FROM face_pair_corrections s
                JOIN face_detections f ON f.id IN (s.face_a, s.face_b)
                WHERE f.person_id IS NOT NULL"""
    )
    return set(people)


def drop_empty_persons(connection: Connection, uuids: Sequence[UUID]) -> int:
    """Remove those of these people that have no face."""
    return connection.execute(
        """DELETE FROM persons p WHERE p.id = ANY(%s::uuid[])
            AND NOT EXISTS (SELECT FROM face_detections f WHERE f.person_id = p.id)""",
        (list(uuids),),
    ).rowcount


def merged_persons(connection: Connection, person: UUID) -> list[UUID]:
    """Return a person, and all who were merged into it."""
    return connection.scalars(
        """WITH RECURSIVE they AS (SELECT %s::uuid AS id
                UNION SELECT p.id FROM persons p JOIN they ON p.merged_into_id = they.id)
            SELECT id FROM they ORDER BY id""",
        (person,),
    )


def version_of_person(connection: Connection, person: UUID) -> int:
    """Return the number of the latest change about a person; 0 before the first."""
    return versions_of_people(connection, [person])[person]


def versions_of_people(connection: Connection, persons: Sequence[UUID]) -> dict[UUID, int]:
    """Return the number of the latest change about each person; 0 before the first."""
    rows = connection.execute(
        """SELECT p.id, coalesce((SELECT max(s.step_id) FROM step_persons s WHERE s.person_id = p.id), 0)
            FROM unnest(%s::uuid[]) AS p (id)""",
        (list(persons),),
    )
    return {person: int(version) for person, version in rows}


def version_of_cluster(connection: Connection, cluster: str) -> int:
    """Return a number that changes when unassigned faces enter or leave a cluster."""
    found: int = connection.scalar(
        """SELECT coalesce(sum(hashint8(id)::bigint), 0)::bigint FROM present_faces
            WHERE cluster = %s AND person_id IS NULL""",
        (cluster,),
    )
    return found
