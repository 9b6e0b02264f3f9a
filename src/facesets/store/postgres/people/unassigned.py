"""Faces that a run looked at and left without a person."""

import numpy as np

from facesets.records import Int64
from facesets.store.postgres.connection import Connection


def left_unassigned(connection: Connection, detector_id: int) -> Int64:
    """Numbers of a detector's faces that a run left without a person, and that have none still."""
    faces = connection.scalars(
        """SELECT f.id FROM unassigned_faces u JOIN face_detections f ON f.id = u.face_id
            WHERE f.detector_id = %s AND f.person_id IS NULL""",
        (detector_id,),
    )
    return np.array(faces, np.int64)


def note_unassigned(connection: Connection, detector_id: int, considered: Int64) -> None:
    """Keep since when faces are without a person and a cluster: of those that a run considered."""
    connection.execute(
        """DELETE FROM unassigned_faces u USING face_detections f
            WHERE f.id = u.face_id AND f.detector_id = %s
                AND (f.person_id IS NOT NULL OR f.cluster IS NOT NULL)""",
        (detector_id,),
    )
    connection.execute(
        """INSERT INTO unassigned_faces (face_id)
            SELECT id FROM face_detections WHERE id = ANY(%s::bigint[]) AND detector_id = %s
                AND person_id IS NULL AND cluster IS NULL
            ON CONFLICT DO NOTHING""",
        (considered.tolist(), detector_id),
    )
