"""Storing the tags that stages find while photos are in memory."""

from collections.abc import Sequence

import numpy as np

from facesets.library_records import FoundTags, TagTarget
from facesets.records import ClipModel, Finding, ImageRecord
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.copying import INT2, INT8, copy_in, vector
from facesets.store.postgres.models import ensure_model
from facesets.store.postgres.photo_tags import TagRows, replace_tags

_Found = Sequence[tuple[int, ImageRecord, Finding]]


def keep_image_tags(connection: Connection, found: _Found) -> None:
    """Store tags of images, in place of those that CLIP gave them before."""
    for model, some in _by_model(found):
        number = ensure_model(connection, "clip", model.name, model.sha256, some[0][2].value.dimension)
        owners = [image for image, _, _ in some]
        rows = [
            (image, tag, confidence)
            for image, _, finding in some
            for _, tag, confidence in finding.value.rows()
        ]
        _replace(connection, "scene", number, owners, rows)


def keep_face_tags(connection: Connection, found: _Found) -> None:
    """Store tags of faces, and CLIP's vectors of their crops, in place of those from before.

    A face is known by its image and its very box. One that is gone meanwhile, or was forgotten, is left out.
    """
    for model, some in _by_model(found):
        dimension = some[0][2].value.dimension
        number = ensure_model(connection, "clip", model.name, model.sha256, dimension)
        faces: list[int] = []
        vectors = []
        rows: list[tuple[int, int, float]] = []
        numbers = _faces_in(connection, some)
        for image, record, finding in some:
            value: FoundTags = finding.value
            ids = [numbers.get((image, box.tobytes()), []) for box in record.faces.box]
            faces += [face for same in ids for face in same]
            if value.embeddings is not None:
                vectors += [value.embeddings[row] for row, same in enumerate(ids) for _ in range(len(same))]
            rows += [(face, tag, confidence) for row, tag, confidence in value.rows() for face in ids[row]]
        connection.execute(
            "DELETE FROM face_clip_embeddings WHERE model_id = %s AND face_id = ANY(%s)", (number, faces)
        )
        if faces:
            copy_in(
                connection,
                "COPY face_clip_embeddings (face_id, model_id, embedding) FROM STDIN (FORMAT BINARY)",
                {"face_id": INT8, "model_id": INT2, "embedding": vector(dimension)},
                {
                    "face_id": np.array(faces, np.int64),
                    "model_id": np.full(len(faces), number),
                    "embedding": np.array(vectors, np.float32),
                },
            )
        _replace(connection, "face", number, faces, rows)


def _by_model(found: _Found) -> list[tuple[ClipModel, list[tuple[int, ImageRecord, Finding]]]]:
    by_model: dict[ClipModel, list[tuple[int, ImageRecord, Finding]]] = {}
    for each in found:
        by_model.setdefault(each[2].value.model, []).append(each)
    return list(by_model.items())


def _faces_in(connection: Connection, found: _Found) -> dict[tuple[int, bytes], list[int]]:
    """The faces of images by image and box: two ways of finding faces may find one in the same box."""
    known: dict[tuple[int, bytes], list[int]] = {}
    for face, image, *box in connection.execute(
        "SELECT id, image_id, x1, y1, x2, y2 FROM face_detections WHERE image_id = ANY(%s) ORDER BY id",
        ([image for image, _, _ in found],),
    ):
        known.setdefault((image, np.array(box, np.float32).tobytes()), []).append(face)
    return known


def _replace(
    connection: Connection,
    target: TagTarget,
    model_id: int,
    owners: Sequence[int],
    rows: Sequence[tuple[int, int, float]],
) -> None:
    categories = connection.scalars(
        "SELECT id FROM tag_categories WHERE source = 'clip' AND target = %s", (target,)
    )
    owner, tag, confidence = zip(*rows, strict=True) if rows else ((), (), ())
    replace_tags(connection, target, model_id, owners, categories, TagRows(owner, tag, confidence))
