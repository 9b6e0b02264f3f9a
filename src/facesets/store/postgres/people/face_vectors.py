"""Vectors of some faces, with what is needed to compare them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from facesets.records import Float32, Int64
from facesets.store.postgres.connection import Connection


@dataclass(frozen=True, slots=True)
class FaceVectors:
    """Faces of one model.

    Attributes
    ----------
    face_id, image : int64 arrays of shape (n,)
    embedding : float32 array of shape (n, d)
        Unit length.
    recogniser, recogniser_sha256 : str
        What made them.
    """

    face_id: Int64
    image: Int64
    embedding: Float32
    model: int
    recogniser: str
    recogniser_sha256: str = ""


def vectors_of_faces(connection: Connection, faces: Sequence[int]) -> list[FaceVectors]:
    """The vectors of some faces, of each model apart: the one with most faces comes first."""
    rows = connection.execute(
        """SELECT e.model_id, m.name, m.sha256, f.id, f.image_id, e.embedding
            FROM face_detections f JOIN face_embeddings e ON e.face_id = f.id
            JOIN models m ON m.id = e.model_id
            WHERE f.id = ANY(%s::bigint[]) ORDER BY f.id""",
        (list(faces),),
        binary=True,
    ).fetchall()
    models = {(int(row[0]), str(row[1]), str(row[2])) for row in rows}
    found = [
        FaceVectors(
            np.array([row[3] for row in rows if row[0] == model], np.int64),
            np.array([row[4] for row in rows if row[0] == model], np.int64),
            np.stack([row[5].to_numpy() for row in rows if row[0] == model]),
            model,
            name,
            sha256,
        )
        for model, name, sha256 in models
    ]
    return sorted(found, key=lambda each: (-len(each.face_id), each.model))
