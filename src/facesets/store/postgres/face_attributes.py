"""What attribute models say of faces: age and sex beside the face, their own output apart."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facesets.face_attributes import FaceAttributes, sexes
from facesets.records import Faces, Finding, ImageRecord, unknown_column
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.copying import FLOAT4, text

ATTRIBUTES = {"age": FLOAT4, "sex": text(1), "male": FLOAT4}
"""Columns of a face and what they hold, for `copy_in`."""


def attribute_columns(faces: Faces) -> dict[str, NDArray[Any]]:
    """Age and sex of faces as they are copied; NaN and empty where they are not known."""
    age, male = (
        unknown_column(name, len(faces)) if column is None else column
        for name, column in (("age", faces.age), ("male", faces.male))
    )
    return {"age": age, "sex": sexes(male), "male": male}


@dataclass(frozen=True, slots=True)
class FaceAge:
    """How old a face looks, and of which sex; `U` where that is not known.

    Attributes
    ----------
    sex_probability : float
        Of that sex; of `U`, of the likelier one.
    raw : dict of str to float
        The model's own output.
    """

    face: int
    age: float
    sex: str
    sex_probability: float
    raw: dict[str, float]


def of_image(connection: Connection, image_id: int) -> list[FaceAge]:
    """What is known of the faces of an image, in their order."""
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
    """Delete age and sex of all faces, and all that was made of them; returns of how many faces.

    What humans said of births stays.
    """
    connection.execute("DELETE FROM face_attributes")
    connection.execute("DELETE FROM face_candidates WHERE kind = 'age' AND status = 'pending'")
    return connection.execute(
        """UPDATE face_detections SET age = NULL, sex = NULL, male = NULL
            WHERE age IS NOT NULL OR sex IS NOT NULL OR male IS NOT NULL"""
    ).rowcount


def write_attributes(connection: Connection, found: Sequence[tuple[int, ImageRecord, Finding]]) -> None:
    """Store age and sex of the faces that lie in the very same boxes, in place of what was known.

    Whoever asks questions next looks for those about ages again.
    """
    with_faces = [each for each in found if len(each[1].faces)]
    if not with_faces:
        return
    said: list[FaceAttributes] = [finding.value for _, _, finding in with_faces]
    box = np.concatenate([image.faces.box for _, image, _ in with_faces])
    male = np.concatenate([each.male for each in said])
    given = {
        "images": [number for number, image, _ in with_faces for _ in range(len(image.faces))],
        **{name: box[:, place].tolist() for place, name in enumerate(("x1", "y1", "x2", "y2"))},
        "age": np.concatenate([each.age for each in said]).tolist(),
        "male": male.tolist(),
        "sex": sexes(male).astype(str).tolist(),
        "raw": [raw for each in said for raw in _raw(each)],
    }
    connection.execute(
        """WITH said AS (
                SELECT DISTINCT ON (f.id) f.id, new.age, new.male, new.sex, new.raw
                FROM unnest(%(images)s::bigint[], %(x1)s::real[], %(y1)s::real[], %(x2)s::real[],
                    %(y2)s::real[], %(age)s::real[], %(male)s::real[], %(sex)s::text[], %(raw)s::jsonb[])
                    AS new (image, x1, y1, x2, y2, age, male, sex, raw)
                JOIN face_detections f ON f.image_id = new.image AND f.x1 = new.x1 AND f.y1 = new.y1
                    AND f.x2 = new.x2 AND f.y2 = new.y2),
            kept AS (
                INSERT INTO face_attributes (face_id, raw) SELECT id, raw FROM said
                ON CONFLICT (face_id) DO UPDATE SET raw = excluded.raw),
            changed AS (
                UPDATE face_detections f SET age = said.age, male = said.male, sex = said.sex
                FROM said WHERE f.id = said.id
                    AND (f.age, f.male, f.sex) IS DISTINCT FROM (said.age, said.male, said.sex)
                RETURNING f.person_id)
            UPDATE question_runs SET step_id = -1
            WHERE step_id >= 0 AND EXISTS (SELECT FROM changed WHERE person_id IS NOT NULL)""",
        given,
    )


def _raw(said: FaceAttributes) -> list[str]:
    return [
        json.dumps(dict(zip(said.says, (round(float(each), 6) for each in row), strict=True)))
        for row in said.raw
    ]
