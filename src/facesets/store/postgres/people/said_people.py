"""Those of whom humans said something, with their faces as results know them."""

from facesets.library_records import KnownPerson
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.models import DetectorRow


def said_people(connection: Connection, detector: DetectorRow | None) -> list[KnownPerson]:
    """Everybody whom a human named, hid or spoke of, and the ids of their faces."""
    if detector is None:
        return []
    rows = connection.execute(
        """WITH known AS MATERIALIZED (
                SELECT p.id, p.status = 'hidden' AS hidden FROM persons p
                WHERE p.status <> 'merged' AND (EXISTS (SELECT FROM said_people s WHERE s.person_id = p.id)
                    OR EXISTS (SELECT FROM person_names n WHERE n.person_id = p.id))),
            searched AS MATERIALIZED (
                SELECT f.image_id FROM face_detections f JOIN known k ON k.id = f.person_id
                UNION SELECT f.image_id FROM face_detections f JOIN said_faces s ON s.face_id = f.id),
            numbered AS MATERIALIZED (
                SELECT f.id, f.person_id, i.sha256 || '#' || row_number() OVER (
                    PARTITION BY f.image_id ORDER BY f.ordinal, f.id) - 1 AS face
                FROM searched s JOIN face_detections f ON f.image_id = s.image_id
                JOIN images i ON i.id = f.image_id
                JOIN face_embeddings e ON e.face_id = f.id AND e.model_id = %(model)s
                WHERE f.detector_id = %(detector)s),
            faces AS (SELECT person_id, array_agg(face) AS faces FROM numbered GROUP BY 1),
            refused AS (SELECT s.person_id, array_agg(n.face) AS faces FROM numbered n
                JOIN said_faces s ON s.face_id = n.id AND NOT s.is_person GROUP BY 1),
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
