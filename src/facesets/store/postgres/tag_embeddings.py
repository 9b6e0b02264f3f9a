"""Photos that are to be tagged, and the vectors by CLIP that tell how: of photos, and of crops of faces."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from psycopg import sql

from facesets.library_records import PhotosOfStage, TagTarget
from facesets.records import Float32, Int64
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.copying import INT8, copy_out, gathered, vector
from facesets.store.postgres.photo_stages import to_look_at


@dataclass(frozen=True, slots=True)
class EmbeddedBy:
    """A CLIP model, and the way of finding faces whose crops it embedded.

    Attributes
    ----------
    detector_id : int or None
        None while no photo was searched for faces.
    """

    model_id: int
    dimension: int
    detector_id: int | None = None

    def parameters(self) -> dict[str, object]:
        """For the statements below."""
        return {"model": self.model_id, "dimension": self.dimension, "detector": self.detector_id}


_EMBEDDED: Mapping[TagTarget, sql.SQL] = {
    "scene": sql.SQL(
        """EXISTS (SELECT FROM image_embeddings e WHERE e.image_id = i.id AND e.model_id = %(model)s
            AND vector_dims(e.embedding) = %(dimension)s)"""
    ),
    "face": sql.SQL(
        """EXISTS (SELECT FROM face_scans s WHERE s.image_id = i.id AND s.detector_id = %(detector)s)
            AND NOT EXISTS (SELECT FROM face_detections f
                WHERE f.image_id = i.id AND f.detector_id = %(detector)s
                    AND NOT EXISTS (SELECT FROM face_clip_embeddings e WHERE e.face_id = f.id
                        AND e.model_id = %(model)s AND vector_dims(e.embedding) = %(dimension)s))"""
    ),
}
_VECTORS: Mapping[TagTarget, sql.SQL] = {
    "scene": sql.SQL(
        """SELECT e.image_id, e.image_id AS owner, e.embedding FROM image_embeddings e
            WHERE e.model_id = %(model)s AND e.image_id = ANY(%(images)s)"""
    ),
    "face": sql.SQL(
        """SELECT f.image_id, f.id AS owner, e.embedding FROM face_detections f
            JOIN face_clip_embeddings e ON e.face_id = f.id AND e.model_id = %(model)s
            WHERE f.detector_id = %(detector)s AND f.image_id = ANY(%(images)s)"""
    ),
}


def images_to_tag(
    connection: Connection,
    photos: PhotosOfStage,
    target: TagTarget,
    by: EmbeddedBy,
    *,
    after: int,
    limit: int,
) -> list[tuple[int, str]]:
    """The next images that a stage is to look at and that are embedded, ascending by their numbers.

    Returns
    -------
    list of (int, str)
        Number, and the version in which the stage looked at it before; empty for not at all.
    """
    condition, given = to_look_at(photos)
    return connection.execute(
        sql.SQL(
            """SELECT i.id, coalesce(v.version, '') FROM images i
                LEFT JOIN image_stages s ON s.image_id = i.id AND s.stage = %(stage)s
                    AND s.status = 'completed'
                LEFT JOIN stage_versions v ON v.id = s.version_id
                WHERE i.id > %(after)s AND {pending} AND {embedded} ORDER BY i.id LIMIT %(limit)s"""
        ).format(pending=condition, embedded=_EMBEDDED[target]),
        given | by.parameters() | {"after": after, "limit": limit},
    ).fetchall()


def count_to_tag(connection: Connection, photos: PhotosOfStage, target: TagTarget, by: EmbeddedBy) -> int:
    """How many images there are for `images_to_tag`."""
    condition, given = to_look_at(photos)
    found: int = connection.scalar(
        sql.SQL("SELECT count(*) FROM images i WHERE {} AND {}").format(condition, _EMBEDDED[target]),
        given | by.parameters(),
    )
    return found


def embeddings_of(
    connection: Connection, target: TagTarget, by: EmbeddedBy, images: Sequence[int]
) -> tuple[Int64, Int64, Float32]:
    """For images, or the faces on them: numbers of the images, of images or faces, and CLIP's vectors."""
    found = gathered(
        copy_out(
            connection,
            sql.SQL("COPY ({} ORDER BY 1, 2) TO STDOUT (FORMAT BINARY)").format(_VECTORS[target]),
            by.parameters() | {"images": list(images)},
            {"image_id": INT8, "owner": INT8, "embedding": vector(by.dimension)},
        ),
        [("image_id", np.int64), ("owner", np.int64), ("embedding", np.float32)],
    )
    return found["image_id"], found["owner"], found["embedding"]
