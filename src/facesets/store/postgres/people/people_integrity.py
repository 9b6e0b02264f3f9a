"""What a hand-edited database may have wrong about people, and how it is put right.

What the documented resets leave behind is not wrong: the next `cluster` brings people back.
"""

from typing import TYPE_CHECKING, LiteralString

from facesets.store.postgres.people.person_edits import give_faces, take_faces
from facesets.store.postgres.people.steps import Step

if TYPE_CHECKING:
    from uuid import UUID

_ELSEWHERE: LiteralString = """FROM said_faces s JOIN face_detections f ON f.id = s.face_id
    JOIN persons p ON p.id = s.person_id AND p.status <> 'merged'
    WHERE s.is_person AND f.person_id <> s.person_id"""
_DENIED: LiteralString = """FROM said_faces s JOIN face_detections f ON f.id = s.face_id
    WHERE NOT s.is_person AND f.person_id = s.person_id"""
_TORN: LiteralString = """FROM said_of_faces p JOIN face_detections a ON a.id = p.face_a
    JOIN face_detections b ON b.id = p.face_b WHERE p.same <> (a.person_id = b.person_id)"""
_ANSWERED: LiteralString = """FROM face_candidates c JOIN face_detections f ON f.id = c.face_id
    WHERE c.status = 'pending' AND c.kind = 'near' AND f.person_id IS NOT NULL"""
_NO_ROW: LiteralString = """FROM face_detections f WHERE f.cluster IS NOT NULL
    AND NOT EXISTS (SELECT FROM clusters c WHERE c.id = f.cluster)"""

REPAIRED: tuple[tuple[str, LiteralString, str], ...] = (
    ("faces that are not whose a human said", _ELSEWHERE, "they are given back"),
    ("faces of whom a human said that they are not", _DENIED, "they are unassigned"),
    ("faces of clusters that have no row", _NO_ROW, "it is made"),
    ("questions about faces that have a person by now", _ANSWERED, "they go"),
)
"""What `repair_people` puts right: what is wrong, what finds it, and what becomes of it."""
FOR_A_HUMAN: tuple[tuple[str, LiteralString, str], ...] = (
    (
        "pairs of faces that are not as a human said",
        _TORN,
        "`maintain violations` lists them; `people move` or `people merge` decides",
    ),
)


def repair_people(step: Step) -> None:
    """Put right what follows from statements."""
    connection = step.connection
    back: dict[UUID, list[int]] = {}
    for face, person in connection.execute("SELECT s.face_id, s.person_id " + _ELSEWHERE).fetchall():
        back.setdefault(person, []).append(face)
    for person, faces in back.items():
        give_faces(step, faces, person, "manual")
    take_faces(step, connection.scalars("SELECT s.face_id " + _DENIED))
    connection.execute(
        """DELETE FROM face_candidates c USING face_detections f
            WHERE f.id = c.face_id AND c.status = 'pending' AND c.kind = 'near' AND f.person_id IS NOT NULL"""
    )
    missing = connection.scalars("SELECT DISTINCT f.cluster " + _NO_ROW)
    connection.execute(
        """INSERT INTO clusters (id, model_id) SELECT DISTINCT ON (f.cluster) f.cluster, d.model_id
            FROM face_detections f JOIN detectors d ON d.id = f.detector_id
            WHERE f.cluster = ANY(%s) ORDER BY f.cluster, f.id ON CONFLICT DO NOTHING""",
        (missing,),
    )
