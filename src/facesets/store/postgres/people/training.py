"""Named faces for training, and projection heads, of which a model uses at most one."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from psycopg.types.json import Jsonb

from facesets.records import Float32, Int64
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.copying import INT8, UUID, copy_out, gathered
from facesets.store.postgres.models import DetectorRow
from facesets.store.postgres.photos.faces import load_embeddings


@dataclass(frozen=True, slots=True)
class NamedFaces:
    """Faces in ascending order, and their people, numbered by their first face."""

    face_id: Int64
    person: Int64

    def take(self, rows: Int64) -> "NamedFaces":
        """Return some of the faces, and only the people they show."""
        return NamedFaces(self.face_id[rows], _by_first_face(self.person[rows]))


def load_named_faces(connection: Connection, detector: DetectorRow, min_quality: float) -> NamedFaces:
    """Return faces of at least that quality, of named people who are not hidden."""
    blocks = copy_out(
        connection,
        """COPY (SELECT f.id, f.person_id FROM face_detections f
                JOIN persons p ON p.id = f.person_id AND p.status = 'active'
            WHERE f.detector_id = %(detector)s AND f.quality >= %(quality)s
                AND EXISTS (SELECT FROM person_names n WHERE n.person_id = p.id)
            ORDER BY f.id) TO STDOUT (FORMAT BINARY)""",
        {"detector": detector.id, "quality": min_quality},
        {"id": INT8, "person": UUID},
    )
    columns = gathered(blocks, [("id", np.int64), ("person", UUID)])
    person = np.ascontiguousarray(columns["person"]).view("S16") if len(columns["id"]) else columns["id"]
    return NamedFaces(columns["id"], _by_first_face(person))


def load_vectors(
    connection: Connection, detector: DetectorRow, faces: NamedFaces
) -> tuple[NamedFaces, Float32]:
    """Return those of these faces that have an embedding, and the embeddings."""
    vectors, found = load_embeddings(connection, detector, faces.face_id)
    if found.all():
        return faces, vectors
    return faces.take(np.flatnonzero(found)), vectors[found]


def _by_first_face(person: "np.ndarray") -> Int64:
    """Number people in the order of their first faces."""
    _, first, index = np.unique(person, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[index] if len(first) else np.empty(0, np.int64)


@dataclass(frozen=True, slots=True)
class HeadRow:
    """A head as stored, without its network."""

    id: int
    model_id: int
    name: str
    dimension: int
    metrics: Mapping[str, Any]
    calibration: Mapping[str, Any]
    active: bool
    made_at: datetime


def list_heads(connection: Connection) -> list[HeadRow]:
    """Return all heads, in the order in which they were made."""
    rows = connection.execute(
        """SELECT id, model_id, name, dimension, metrics, calibration, active, made_at
            FROM projection_heads ORDER BY id"""
    )
    return [HeadRow(*row) for row in rows]


def active_row(connection: Connection, model_id: int) -> tuple[HeadRow, bytes] | None:
    """Return the head in use for a model, with its network; None if there is none."""
    row = connection.execute(
        """SELECT id, model_id, name, dimension, metrics, calibration, active, made_at, onnx
            FROM projection_heads WHERE model_id = %s AND active""",
        (model_id,),
    ).fetchone()
    return None if row is None else (HeadRow(*row[:-1]), bytes(row[-1]))


def store_head(
    connection: Connection,
    model_id: int,
    kind: str,
    onnx: bytes,
    dimension: int,
    metrics: Mapping[str, Any],
    calibration: Mapping[str, Any],
) -> HeadRow:
    """Store a head as KIND-1, KIND-2 and so on; the same network gets its new figures."""
    found = connection.execute(
        """UPDATE projection_heads SET metrics = %s, calibration = %s WHERE model_id = %s AND onnx = %s
            RETURNING id, model_id, name, dimension, metrics, calibration, active, made_at""",
        (Jsonb(metrics), Jsonb(calibration), model_id, onnx),
    ).fetchone()
    if found is not None:
        return HeadRow(*found)
    number = connection.scalar(
        """SELECT coalesce(max(substring(name FROM '[0-9]+$')::integer), 0) + 1
            FROM projection_heads WHERE name ~ %s""",
        (f"^{kind}-[0-9]+$",),
    )
    made = connection.one(
        """INSERT INTO projection_heads (model_id, name, onnx, dimension, metrics, calibration)
            VALUES (%s, %s, %s, %s, %s, %s)
            RETURNING id, model_id, name, dimension, metrics, calibration, active, made_at""",
        (model_id, f"{kind}-{number}", onnx, dimension, Jsonb(metrics), Jsonb(calibration)),
    )
    return HeadRow(*made)


def use_head(connection: Connection, model_id: int, head: int | None) -> None:
    """Use this head for a model's embeddings; None for none.

    Suggestions found by another head are searched for again.
    """
    connection.execute(
        "UPDATE projection_heads SET active = false WHERE model_id = %s AND active", (model_id,)
    )
    if head is not None:
        connection.execute("UPDATE projection_heads SET active = true WHERE id = %s", (head,))
    connection.execute("DELETE FROM question_runs WHERE model_id = %s", (model_id,))
