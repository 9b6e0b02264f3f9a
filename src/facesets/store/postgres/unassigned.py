"""Faces that a run looked at and left without a person."""

import numpy as np

from facesets.records import Int64
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.copying import INT8, copy_in


def left_unassigned(connection: Connection, detector_id: int) -> Int64:
    """Numbers of a detector's faces that a run left without a person, and that have none still."""
    rows = connection.execute(
        """SELECT f.id FROM unassigned_faces u JOIN face_detections f ON f.id = u.face_id
            WHERE f.detector_id = %s AND f.person_id IS NULL""",
        (detector_id,),
    )
    return np.array([face for (face,) in rows], np.int64)


def keep_unassigned(connection: Connection, detector_id: int, face_ids: Int64) -> None:
    """Note that a run left these of a detector's faces without a person; for others this is over."""
    connection.execute("CREATE TEMPORARY TABLE left_alone (face_id bigint) ON COMMIT DROP")
    copy_in(
        connection,
        "COPY left_alone (face_id) FROM STDIN (FORMAT BINARY)",
        {"face_id": INT8},
        {"face_id": face_ids},
    )
    connection.execute("ANALYZE left_alone")
    connection.execute(
        """DELETE FROM unassigned_faces u USING face_detections f
            WHERE f.id = u.face_id AND f.detector_id = %s
                AND NOT EXISTS (SELECT FROM left_alone l WHERE l.face_id = f.id)""",
        (detector_id,),
    )
    # Faces may have been deleted, or given to somebody, since they were read.
    connection.execute(
        """INSERT INTO unassigned_faces (face_id)
            SELECT f.id FROM left_alone l JOIN face_detections f ON f.id = l.face_id
            WHERE f.person_id IS NULL ON CONFLICT DO NOTHING"""
    )
