"""Attributes of faces: landmarks, pose, norm, age and sex."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facesets.face_attributes import FaceAttributes, sexes
from facesets.records import Faces, Finding, Float32, ImageRecord, Int64, unknown_column
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.copying import FLOAT4, text
from facesets.store.postgres.models import DetectorRow


def annotate_faces(connection: Connection, detector: DetectorRow, images: Sequence[ImageRecord]) -> None:
    """Store landmarks, pose, state and norm of the faces in the same boxes."""
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
    # Faces that were rejected as too small may be clear enough after all.
    connection.execute(
        "DELETE FROM unassigned_faces WHERE face_id = ANY(%s::bigint[])",
        (found[found[:, 2] > 0, 1].tolist(),),
    )
    insert_landmarks(connection, found[:, 1], faces.take(found[:, 0]))


def insert_landmarks(connection: Connection, ids: Int64, faces: Faces) -> None:
    """Store the landmarks of faces, replacing earlier ones."""
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


ATTRIBUTES = {"age": FLOAT4, "sex": text(1), "male": FLOAT4}
"""Columns of a face and what they hold, for `copy_in`."""


def attribute_columns(faces: Faces) -> dict[str, NDArray[Any]]:
    """Return age and sex of faces for COPY; NaN and empty if unknown."""
    age, male = (
        unknown_column(name, len(faces)) if column is None else column
        for name, column in (("age", faces.age), ("male", faces.male))
    )
    return {"age": age, "sex": sexes(male), "male": male}


@dataclass(frozen=True, slots=True)
class FaceAge:
    """The estimated age and sex of a face; `U` if unknown.

    Attributes
    ----------
    sex_probability : float
        Probability of that sex; for `U`, of the likelier one.
    raw : dict of str to float
        The model's own output.
    """

    face: int
    age: float
    sex: str
    sex_probability: float
    raw: dict[str, float]


def of_image(connection: Connection, image_id: int) -> list[FaceAge]:
    """Return age and sex of the faces of an image, in order."""
    rows = connection.execute(
        """SELECT f.id, f.age, coalesce(f.sex, 'U'), greatest(f.male, 1 - f.male), coalesce(a.raw, '{}')
            FROM face_detections f LEFT JOIN face_attributes a ON a.face_id = f.id
            WHERE f.image_id = %s AND f.age IS NOT NULL ORDER BY f.detector_id, f.ordinal, f.id""",
        (image_id,),
    )
    return [
        FaceAge(int(face), round(age, 1), sex, round(likely, 4), raw) for face, age, sex, likely, raw in rows
    ]


def delete_attributes(connection: Connection) -> int:
    """Delete age and sex of all faces and what was derived from them; return the number of faces.

    Births that users set stay.
    """
    connection.execute("DELETE FROM face_attributes")
    connection.execute("DELETE FROM face_candidates WHERE kind = 'age' AND status = 'pending'")
    return connection.execute(
        """UPDATE face_detections SET age = NULL, sex = NULL, male = NULL
            WHERE age IS NOT NULL OR sex IS NOT NULL OR male IS NOT NULL"""
    ).rowcount


def write_attributes(connection: Connection, found: Sequence[tuple[int, ImageRecord, Finding]]) -> None:
    """Store age and sex of the faces in the same boxes, replacing earlier values.

    The next search for suggestions checks ages again.
    """
    with_faces = [each for each in found if len(each[1].faces)]
    if not with_faces:
        return
    attributes: list[FaceAttributes] = [finding.value for _, _, finding in with_faces]
    box = np.concatenate([image.faces.box for _, image, _ in with_faces])
    male = np.concatenate([each.male for each in attributes])
    given = {
        "images": [number for number, image, _ in with_faces for _ in range(len(image.faces))],
        **{name: box[:, place].tolist() for place, name in enumerate(("x1", "y1", "x2", "y2"))},
        "age": np.concatenate([each.age for each in attributes]).tolist(),
        "male": male.tolist(),
        "sex": sexes(male).astype(str).tolist(),
        "raw": [raw for each in attributes for raw in _raw(each)],
    }
    connection.execute(
        """WITH given AS (
                SELECT DISTINCT ON (f.id) f.id, new.age, new.male, new.sex, new.raw
                FROM unnest(%(images)s::bigint[], %(x1)s::real[], %(y1)s::real[], %(x2)s::real[],
                    %(y2)s::real[], %(age)s::real[], %(male)s::real[], %(sex)s::text[], %(raw)s::jsonb[])
                    AS new (image, x1, y1, x2, y2, age, male, sex, raw)
                JOIN face_detections f ON f.image_id = new.image AND f.x1 = new.x1 AND f.y1 = new.y1
                    AND f.x2 = new.x2 AND f.y2 = new.y2),
            stored AS (
                INSERT INTO face_attributes (face_id, raw) SELECT id, raw FROM given
                ON CONFLICT (face_id) DO UPDATE SET raw = excluded.raw),
            changed AS (
                UPDATE face_detections f SET age = given.age, male = given.male, sex = given.sex
                FROM given WHERE f.id = given.id
                    AND (f.age, f.male, f.sex) IS DISTINCT FROM (given.age, given.male, given.sex)
                RETURNING f.person_id)
            UPDATE question_runs SET step_id = -1
            WHERE step_id >= 0 AND EXISTS (SELECT FROM changed WHERE person_id IS NOT NULL)""",
        given,
    )


def _raw(attributes: FaceAttributes) -> list[str]:
    return [
        json.dumps(dict(zip(attributes.says, (round(float(each), 6) for each in row), strict=True)))
        for row in attributes.raw
    ]
