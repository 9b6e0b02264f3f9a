"""What `enrich` adds to faces: landmarks, pose, and the length of the embedding where it was not kept."""

from collections.abc import Sequence

import numpy as np

from facesets.records import Faces, Float32, ImageRecord, Int64, unknown_column
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.models import DetectorRow


def annotate_faces(connection: Connection, detector: DetectorRow, images: Sequence[ImageRecord]) -> None:
    """Store landmarks, pose, state and norm of the faces that lie in the very same boxes."""
    images = [image for image in images if len(image.faces)]
    if not images:
        return
    faces = Faces.concatenate([image.faces for image in images])
    count = len(faces)
    pose = faces.pose if faces.pose is not None else unknown_column("pose", count)
    zeros = np.zeros(count, np.uint8)
    rows = connection.execute(
        """UPDATE face_detections f SET pose = ARRAY[new.pitch, new.yaw, new.roll],
                pose_source = new.source, enrich_state = new.state,
                norm = CASE WHEN new.norm = 'NaN' THEN f.norm ELSE new.norm END
            FROM unnest(%(sha256)s::text[], %(x1)s::real[], %(y1)s::real[], %(x2)s::real[], %(y2)s::real[],
                %(pitch)s::real[], %(yaw)s::real[], %(roll)s::real[], %(source)s::smallint[],
                %(state)s::smallint[], %(norm)s::real[]) WITH ORDINALITY
                AS new (sha256, x1, y1, x2, y2, pitch, yaw, roll, source, state, norm, place)
            JOIN images i ON i.sha256 = new.sha256 JOIN face_detections old ON old.image_id = i.id
            WHERE f.id = old.id AND f.detector_id = %(detector)s AND f.x1 = new.x1 AND f.y1 = new.y1
                AND f.x2 = new.x2 AND f.y2 = new.y2
            RETURNING new.place - 1, f.id, old.norm = 'NaN' AND f.norm <> 'NaN'""",
        {
            "sha256": [image.sha256 for image in images for _ in range(len(image.faces))],
            **{name: faces.box[:, i].tolist() for i, name in enumerate(("x1", "y1", "x2", "y2"))},
            **{name: pose[:, i].tolist() for i, name in enumerate(("pitch", "yaw", "roll"))},
            "source": (zeros if faces.pose_source is None else faces.pose_source).tolist(),
            "state": (zeros if faces.enrich_state is None else faces.enrich_state).tolist(),
            "norm": (unknown_column("norm", count) if faces.norm is None else faces.norm).tolist(),
            "detector": detector.id,
        },
    ).fetchall()
    found = np.array(sorted(rows), np.int64).reshape(-1, 3)
    # What was left over as too small may show enough after all.
    connection.execute(
        "DELETE FROM unassigned_faces WHERE face_id = ANY(%s::bigint[])",
        (found[found[:, 2] > 0, 1].tolist(),),
    )
    insert_landmarks(connection, found[:, 1], faces.take(found[:, 0]))


def insert_landmarks(connection: Connection, ids: Int64, faces: Faces) -> None:
    """Store the landmarks of faces, in place of those they had."""
    flat, solid = faces.landmark_2d_106, faces.landmark_3d_68
    if flat is None and solid is None:
        return
    rows = [
        (int(face_id), _numbers(flat, i), _numbers(solid, i))
        for i, face_id in enumerate(ids)
        if _numbers(flat, i) is not None or _numbers(solid, i) is not None
    ]
    with connection.cursor() as cursor:
        cursor.executemany(
            """INSERT INTO face_landmarks (face_id, landmark_2d_106, landmark_3d_68)
                VALUES (%s, %s::real[], %s::real[])
                ON CONFLICT (face_id) DO UPDATE SET landmark_2d_106 = excluded.landmark_2d_106,
                    landmark_3d_68 = excluded.landmark_3d_68""",
            rows,
        )


def _numbers(column: Float32 | None, row: int) -> list[float] | None:
    if column is None or not np.isfinite(column[row]).any():
        return None
    numbers: list[float] = column[row].ravel().tolist()
    return numbers
