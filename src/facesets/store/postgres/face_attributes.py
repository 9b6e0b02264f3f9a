"""What attribute models say of faces: age and sex beside the face, their own output apart."""

import json
from collections.abc import Sequence

import numpy as np

from facesets.records import FaceAttributes, Finding, ImageRecord, sexes
from facesets.store.postgres.connection import Connection


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
