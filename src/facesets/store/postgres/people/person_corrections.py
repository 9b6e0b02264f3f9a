"""Names, births and reference faces that users set, and the people these are about."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from facesets.library_records import KnownPerson
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.models import DetectorRow
from facesets.store.postgres.people.steps import Step


@dataclass(frozen=True, slots=True)
class BirthDate:
    """A birth that a user set: a year, or a day."""

    year: int
    day: date | None = None

    def __str__(self) -> str:
        """Return the day, else the year."""
        return str(self.year) if self.day is None else self.day.isoformat()


def load_births(connection: Connection, persons: Sequence[UUID] | None = None) -> dict[UUID, BirthDate]:
    """Return the births that users set, of some people or all."""
    rows = connection.execute(
        """SELECT person_id, year, born_on FROM birth_corrections
            WHERE %(persons)s::uuid[] IS NULL OR person_id = ANY(%(persons)s::uuid[]) ORDER BY 1""",
        {"persons": None if persons is None else list(persons)},
    )
    return {person: BirthDate(year, day) for person, year, day in rows}


def set_birth_date(step: Step, person: UUID, birth: BirthDate | None) -> None:
    """Store a birth; None removes it."""
    if birth is None:
        step.connection.execute("DELETE FROM birth_corrections WHERE person_id = %s", (person,))
    else:
        step.connection.execute(
            """INSERT INTO birth_corrections (person_id, year, born_on) VALUES (%s, %s, %s)
                ON CONFLICT (person_id) DO UPDATE
                    SET year = excluded.year, born_on = excluded.born_on, corrected_at = now()
                    WHERE (birth_corrections.year, birth_corrections.born_on)
                        IS DISTINCT FROM (excluded.year, excluded.born_on)""",
            (person, birth.year, birth.day),
        )
    step.about(person)


def hand_over_birth(step: Step, old: UUID, new: UUID) -> None:
    """Pass the birth of one person to another, who has none."""
    births = load_births(step.connection, [old, new])
    if old in births:
        set_birth_date(step, old, None)
        if new not in births:
            set_birth_date(step, new, births[old])


@dataclass(frozen=True, slots=True)
class LostPerson:
    """A person whom a user named or hid."""

    person: UUID
    names: list[str]
    status: str


def lost_people(connection: Connection) -> list[LostPerson]:
    """Return people whom a user named or hid and who are gone, such as after a reset."""
    rows = connection.execute(
        """SELECT s.person_id, s.names, s.status FROM person_corrections s
            WHERE NOT EXISTS (SELECT FROM persons p WHERE p.id = s.person_id) ORDER BY s.person_id"""
    )
    return [LostPerson(*row) for row in rows]


def displaced_faces(connection: Connection) -> list[tuple[int, UUID]]:
    """Return faces that are no longer with the person a user assigned them to, and that person."""
    rows = connection.execute(
        """SELECT s.face_id, s.person_id FROM face_corrections s JOIN face_detections f ON f.id = s.face_id
            WHERE s.is_person AND f.person_id IS DISTINCT FROM s.person_id ORDER BY s.face_id"""
    )
    return [(int(face), person) for face, person in rows]


@dataclass(frozen=True, slots=True)
class PrototypeCorrection:
    """A reference face that a user pinned or dropped."""

    face: int
    person: UUID
    pinned: bool


def load_prototype_corrections(connection: Connection) -> list[PrototypeCorrection]:
    """Return all pinned and dropped reference faces."""
    rows = connection.execute("SELECT face_id, person_id, pinned FROM prototype_corrections ORDER BY 1, 2")
    return [PrototypeCorrection(int(face), person, pinned) for face, person, pinned in rows]


def names_and_status(connection: Connection, persons: Sequence[UUID]) -> dict[UUID, tuple[list[str], str]]:
    """Return names and status of all people whom a user named or hid, and of these."""
    rows = connection.execute(
        """SELECT w.id, coalesce(nullif(array(SELECT n.name FROM person_names n
                    WHERE n.person_id = w.id ORDER BY n.id), '{}'), s.names, '{}'),
                CASE coalesce(p.status, s.status) WHEN 'hidden' THEN 'hidden' ELSE 'active' END
            FROM (SELECT person_id AS id FROM person_corrections UNION SELECT person_id FROM person_names
                UNION SELECT unnest(%s::uuid[])) w
            LEFT JOIN person_corrections s ON s.person_id = w.id LEFT JOIN persons p ON p.id = w.id
            WHERE p.status IS DISTINCT FROM 'merged' ORDER BY w.id""",
        (list(persons),),
    )
    return {person: (names, status) for person, names, status in rows}


def corrected_people(connection: Connection, detector: DetectorRow | None) -> list[KnownPerson]:
    """Return all people whom a user named, hid or corrected, and the ids of their faces."""
    if detector is None:
        return []
    rows = connection.execute(
        """WITH known AS MATERIALIZED (
                SELECT p.id, p.status = 'hidden' AS hidden FROM persons p
                WHERE p.status <> 'merged' AND (
                    EXISTS (SELECT FROM person_corrections s WHERE s.person_id = p.id)
                    OR EXISTS (SELECT FROM person_names n WHERE n.person_id = p.id))),
            searched AS MATERIALIZED (
                SELECT f.image_id FROM face_detections f JOIN known k ON k.id = f.person_id
                UNION SELECT f.image_id FROM face_detections f JOIN face_corrections s ON s.face_id = f.id),
            numbered AS MATERIALIZED (
                SELECT f.id, f.person_id, i.sha256 || '#' || row_number() OVER (
                    PARTITION BY f.image_id ORDER BY f.ordinal, f.id) - 1 AS face
                FROM searched s JOIN face_detections f ON f.image_id = s.image_id
                JOIN images i ON i.id = f.image_id
                JOIN face_embeddings e ON e.face_id = f.id AND e.model_id = %(model)s
                WHERE f.detector_id = %(detector)s),
            faces AS (SELECT person_id, array_agg(face) AS faces FROM numbered GROUP BY 1),
            refused AS (SELECT s.person_id, array_agg(n.face) AS faces FROM numbered n
                JOIN face_corrections s ON s.face_id = n.id AND NOT s.is_person GROUP BY 1),
            named AS (SELECT r.person, array_agg(DISTINCT r.name) AS names FROM step_rows s,
                    LATERAL (VALUES (s.before ->> 'person_id', s.before ->> 'name'),
                        (s.after ->> 'person_id', s.after ->> 'name')) r (person, name)
                WHERE s.in_table = 'person_names' AND r.name IS NOT NULL GROUP BY 1)
            SELECT k.id::text,
                array(SELECT n.name FROM person_names n WHERE n.person_id = k.id ORDER BY n.id),
                coalesce(m.names, '{}'), k.hidden, coalesce(f.faces, '{}'), coalesce(r.faces, '{}')
            FROM known k LEFT JOIN faces f ON f.person_id = k.id LEFT JOIN refused r ON r.person_id = k.id
            LEFT JOIN named m ON m.person = k.id::text ORDER BY k.id""",
        {"model": detector.model_id, "detector": detector.id},
    )
    return [
        KnownPerson(person, tuple(names), tuple(former), hidden, frozenset(faces), frozenset(refused))
        for person, names, former, hidden, faces, refused in rows
    ]
