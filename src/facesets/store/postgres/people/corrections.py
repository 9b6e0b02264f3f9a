"""Corrections of faces and people, stored by face, apart from the people that runs make."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from facesets.store.postgres.connection import Connection
from facesets.store.postgres.people.person_corrections import hand_over_birth
from facesets.store.postgres.people.steps import Step


@dataclass(frozen=True, slots=True)
class FaceCorrection:
    """A face shows a person, or does not."""

    face: int
    person: UUID
    is_person: bool


@dataclass(frozen=True, slots=True)
class FacePair:
    """Two faces show the same person, or different people."""

    first: int
    second: int
    same: bool


@dataclass(frozen=True, slots=True)
class PersonPair:
    """Two people are different."""

    first: UUID
    second: UUID


@dataclass(frozen=True, slots=True)
class Corrections:
    """All corrections."""

    faces: list[FaceCorrection] = field(default_factory=list)
    face_pairs: list[FacePair] = field(default_factory=list)
    person_pairs: list[PersonPair] = field(default_factory=list)


def load_corrections(connection: Connection) -> Corrections:
    """Return all corrections."""
    return Corrections(
        [
            FaceCorrection(*row)
            for row in connection.execute("SELECT face_id, person_id, is_person FROM face_corrections")
        ],
        [
            FacePair(*row)
            for row in connection.execute("SELECT face_a, face_b, same FROM face_pair_corrections")
        ],
        [
            PersonPair(*row)
            for row in connection.execute("SELECT person_a, person_b FROM person_pair_corrections")
        ],
    )


def store_face_corrections(step: Step, faces: Iterable[int], person: UUID, *, is_person: bool) -> None:
    """Store that faces show a person, or do not; a face shows at most one person."""
    ids = sorted(set(faces))
    if is_person:
        step.connection.execute(
            """DELETE FROM face_corrections
                WHERE face_id = ANY(%s::bigint[]) AND is_person AND person_id <> %s""",
            (ids, person),
        )
    step.connection.execute(
        """INSERT INTO face_corrections (face_id, person_id, is_person)
            SELECT unnest(%s::bigint[]), %s, %s
            ON CONFLICT (face_id, person_id)
                DO UPDATE SET is_person = excluded.is_person, corrected_at = now()
            WHERE face_corrections.is_person <> excluded.is_person""",
        (ids, person, is_person),
    )
    step.about(person)


def store_face_owners(step: Step, faces: Sequence[int], persons: Sequence[UUID]) -> None:
    """Store the person of each face, in bulk; see `store_face_corrections`."""
    ids, given = list(faces), list(persons)
    connection = step.connection
    connection.execute(
        """DELETE FROM face_corrections s USING unnest(%s::bigint[], %s::uuid[]) AS n (face, person)
            WHERE s.face_id = n.face AND s.person_id <> n.person AND s.is_person""",
        (ids, given),
    )
    connection.execute(
        """INSERT INTO face_corrections (face_id, person_id, is_person)
            SELECT n.face, n.person, true FROM unnest(%s::bigint[], %s::uuid[]) AS n (face, person)
            ON CONFLICT (face_id, person_id) DO UPDATE SET is_person = true, corrected_at = now()
            WHERE NOT face_corrections.is_person""",
        (ids, given),
    )
    step.about(*given)


def store_pair_correction(step: Step, first: int, second: int, *, same: bool) -> None:
    """Store that two faces show the same person, or different people."""
    low, high = sorted((first, second))
    step.connection.execute(
        """INSERT INTO face_pair_corrections (face_a, face_b, same) VALUES (%s, %s, %s)
            ON CONFLICT (face_a, face_b) DO UPDATE SET same = excluded.same, corrected_at = now()
            WHERE face_pair_corrections.same <> excluded.same""",
        (low, high, same),
    )


def store_different_people(step: Step, first: UUID, second: UUID) -> None:
    """Store that two people are different."""
    low, high = sorted((first, second))
    step.connection.execute(
        "INSERT INTO person_pair_corrections (person_a, person_b) VALUES (%s, %s) ON CONFLICT DO NOTHING",
        (low, high),
    )
    step.about(low, high)


def store_prototype_correction(step: Step, face: int, person: UUID, *, pinned: bool) -> None:
    """Store that a face is pinned as a reference face of a person, or dropped."""
    step.connection.execute(
        """INSERT INTO prototype_corrections (face_id, person_id, pinned) VALUES (%s, %s, %s)
            ON CONFLICT (face_id, person_id) DO UPDATE SET pinned = excluded.pinned, corrected_at = now()
            WHERE prototype_corrections.pinned <> excluded.pinned""",
        (face, person, pinned),
    )
    step.about(person)


def pin_only(step: Step, face: int, person: UUID) -> None:
    """Store that a face is a person's reference face and portrait; the latest counts."""
    step.connection.execute(
        """INSERT INTO prototype_corrections (face_id, person_id, pinned) VALUES (%s, %s, true)
            ON CONFLICT (face_id, person_id) DO UPDATE SET pinned = true, corrected_at = now()""",
        (face, person),
    )
    step.about(person)


def store_person_correction(step: Step, person: UUID) -> None:
    """Store a person's names and status beside the row, which a reset may remove."""
    store_person_corrections(step, [person])


def store_person_corrections(step: Step, persons: Sequence[UUID]) -> None:
    """Do as `store_person_correction`, for many people."""
    step.connection.execute(
        """INSERT INTO person_corrections (person_id, names, status)
            SELECT p.id, array(SELECT n.name FROM person_names n WHERE n.person_id = p.id ORDER BY n.id),
                p.status
            FROM persons p WHERE p.id = ANY(%s::uuid[]) AND p.status <> 'merged'
            ON CONFLICT (person_id) DO UPDATE
                SET names = excluded.names, status = excluded.status, corrected_at = now()
                WHERE (person_corrections.names, person_corrections.status)
                    IS DISTINCT FROM (excluded.names, excluded.status)""",
        (list(persons),),
    )


def hand_over(step: Step, old: UUID, new: UUID) -> bool:
    """Pass all corrections of one person to another; return whether there were any by a user."""
    connection = step.connection
    connection.execute(
        """DELETE FROM face_corrections s USING face_corrections known
            WHERE s.person_id = %s AND known.person_id = %s AND known.face_id = s.face_id""",
        (old, new),
    )
    connection.execute("UPDATE face_corrections SET person_id = %s WHERE person_id = %s", (new, old))
    connection.execute(
        """INSERT INTO prototype_corrections (face_id, person_id, pinned, corrected_at)
            SELECT face_id, %s, pinned, corrected_at FROM prototype_corrections WHERE person_id = %s
            ON CONFLICT DO NOTHING""",
        (new, old),
    )
    connection.execute("DELETE FROM prototype_corrections WHERE person_id = %s", (old,))
    hand_over_birth(step, old, new)
    for first, second in connection.execute(
        "DELETE FROM person_pair_corrections WHERE %s IN (person_a, person_b) RETURNING person_a, person_b",
        (old,),
    ).fetchall():
        store_different_people(step, new, second if first == old else first)
    spoken_of = connection.execute("DELETE FROM person_corrections WHERE person_id = %s", (old,)).rowcount
    return bool(spoken_of)


def tied_faces(connection: Connection, faces: Sequence[int]) -> list[int]:
    """Return faces, and those that corrections tie to them, also through others."""
    return connection.scalars(
        """WITH RECURSIVE tied AS (
                SELECT unnest(%s::bigint[]) AS face
                UNION SELECT CASE p.face_a WHEN t.face THEN p.face_b ELSE p.face_a END
                FROM tied t JOIN face_pair_corrections p ON p.same AND t.face IN (p.face_a, p.face_b))
            SELECT face FROM tied ORDER BY face""",
        (list(faces),),
    )


def broken_by(step: Step) -> list[FaceCorrection | FacePair]:
    """Return the corrections that a change no longer follows, by the faces it has assigned so far."""
    connection = step.connection
    faces = connection.execute(
        """SELECT s.face_id, s.person_id, s.is_person FROM step_faces c
            JOIN face_detections f ON f.id = c.face_id JOIN face_corrections s ON s.face_id = f.id
            WHERE c.step_id = %s AND f.person_id IS DISTINCT FROM c.person_before
                AND NOT s.is_person AND s.person_id = f.person_id""",
        (step.id,),
    )
    pairs = connection.execute(
        """SELECT p.face_a, p.face_b, p.same FROM face_pair_corrections p
            JOIN face_detections a ON a.id = p.face_a JOIN face_detections b ON b.id = p.face_b
            WHERE p.same <> (a.person_id = b.person_id) AND EXISTS (SELECT FROM step_faces c
                WHERE c.step_id = %s AND c.face_id IN (a.id, b.id) AND c.person_before IS DISTINCT FROM
                    CASE c.face_id WHEN a.id THEN a.person_id ELSE b.person_id END)""",
        (step.id,),
    )
    return [*(FaceCorrection(*row) for row in faces), *(FacePair(*row) for row in pairs)]


def broken_corrections(connection: Connection) -> list[FaceCorrection | FacePair | PersonPair]:
    """Return all corrections that are not followed."""
    faces = connection.execute(
        """SELECT s.face_id, s.person_id, s.is_person FROM face_corrections s
            JOIN face_detections f ON f.id = s.face_id
            WHERE s.is_person = (f.person_id IS DISTINCT FROM s.person_id) ORDER BY 1, 2"""
    )
    pairs = connection.execute(
        """SELECT p.face_a, p.face_b, p.same FROM face_pair_corrections p
            JOIN face_detections a ON a.id = p.face_a JOIN face_detections b ON b.id = p.face_b
            WHERE p.same <> (a.person_id = b.person_id)
                OR (p.same AND (a.person_id IS NULL) <> (b.person_id IS NULL)) ORDER BY 1, 2"""
    )
    people = connection.execute(
        """SELECT s.person_a, s.person_b FROM person_pair_corrections s
            JOIN persons a ON a.id = s.person_a JOIN persons b ON b.id = s.person_b
            WHERE coalesce(a.merged_into_id, a.id) = coalesce(b.merged_into_id, b.id) ORDER BY 1, 2"""
    )
    return [
        *(FaceCorrection(*row) for row in faces),
        *(FacePair(*row) for row in pairs),
        *(PersonPair(*row) for row in people),
    ]


def are_confirmed_different(connection: Connection, first: UUID, second: UUID) -> bool:
    """Whether corrections keep two people apart."""
    found: bool = connection.scalar(
        """SELECT EXISTS (SELECT FROM person_pair_corrections WHERE person_a = least(%(a)s, %(b)s)
                AND person_b = greatest(%(a)s, %(b)s))
            OR EXISTS (SELECT FROM face_corrections s JOIN face_detections f ON f.id = s.face_id
                WHERE NOT s.is_person AND s.person_id IN (%(a)s, %(b)s)
                    AND f.person_id IN (%(a)s, %(b)s) AND f.person_id <> s.person_id)
            OR EXISTS (SELECT FROM face_pair_corrections p JOIN face_detections a ON a.id = p.face_a
                JOIN face_detections b ON b.id = p.face_b
                WHERE NOT p.same AND a.person_id IN (%(a)s, %(b)s) AND b.person_id IN (%(a)s, %(b)s)
                    AND a.person_id <> b.person_id)""",
        {"a": first, "b": second},
    )
    return found
