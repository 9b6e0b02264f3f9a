"""Faces of people who have a name: what can be learnt from."""

from dataclasses import dataclass

import numpy as np

from facesets.records import Float32, Int64
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.copying import INT8, UUID, copy_out, gathered
from facesets.store.postgres.faces import load_embeddings
from facesets.store.postgres.models import DetectorRow


@dataclass(frozen=True, slots=True)
class NamedFaces:
    """Faces by their numbers, ascending, and whose they are: people are numbered by their first face."""

    face_id: Int64
    person: Int64

    def take(self, rows: Int64) -> "NamedFaces":
        """Some of them, and only the people that these show."""
        return NamedFaces(self.face_id[rows], _by_first_face(self.person[rows]))


def load_named_faces(connection: Connection, detector: DetectorRow, min_quality: float) -> NamedFaces:
    """Faces of that quality whose people have a name and are not hidden, whoever assigned them."""
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
    """Those of these faces that have a vector, and their vectors."""
    vectors, found = load_embeddings(connection, detector, faces.face_id)
    if found.all():
        return faces, vectors
    return faces.take(np.flatnonzero(found)), vectors[found]


def _by_first_face(person: "np.ndarray") -> Int64:
    """Numbers of people in the order of their first faces."""
    _, first, index = np.unique(person, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[index] if len(first) else np.empty(0, np.int64)
