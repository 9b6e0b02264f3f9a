"""Tags of photos and faces."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import LiteralString, NamedTuple

import numpy as np

from facesets.library_records import FoundTags, TagTarget
from facesets.records import ClipModel, Finding, ImageRecord
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.copying import INT2, INT8, copy_in, vector
from facesets.store.postgres.models import ensure_model

_DELETE: Mapping[TagTarget, LiteralString] = {
    "scene": """DELETE FROM image_tags t USING tags w
        WHERE w.id = t.tag_id AND w.category_id = ANY(%s) AND t.image_id = ANY(%s)""",
    "face": """DELETE FROM face_tags t USING tags w
        WHERE w.id = t.tag_id AND w.category_id = ANY(%s) AND t.face_id = ANY(%s)""",
}
_INSERT: Mapping[TagTarget, LiteralString] = {
    "scene": """INSERT INTO image_tags (image_id, tag_id, model_id, confidence)
        SELECT i.id, w.id, %s, new.confidence
        FROM unnest(%s::bigint[], %s::integer[], %s::real[]) AS new (owner, tag, confidence)
        JOIN tags w ON w.id = new.tag JOIN images i ON i.id = new.owner""",
    "face": """INSERT INTO face_tags (face_id, tag_id, model_id, confidence)
        SELECT new.owner, w.id, %s, new.confidence
        FROM unnest(%s::bigint[], %s::integer[], %s::real[]) AS new (owner, tag, confidence)
        JOIN tags w ON w.id = new.tag""",
}


class TagRows(NamedTuple):
    """Tags to store as columns: the numbers of images or faces, those of tags, confidences."""

    owner: Sequence[int]
    tag: Sequence[int]
    confidence: Sequence[float]


def replace_tags(
    connection: Connection,
    target: TagTarget,
    model_id: int,
    owners: Sequence[int],
    categories: Sequence[int],
    rows: TagRows,
) -> None:
    """Store the tags of images or faces by a model, replacing those in these categories.

    Tags removed from their category meanwhile are omitted.
    """
    connection.execute(_DELETE[target], (list(categories), list(owners)))
    connection.execute(_INSERT[target], (model_id, list(rows.owner), list(rows.tag), list(rows.confidence)))


class KnownTag(NamedTuple):
    """A tag of the library."""

    number: int
    name: str
    category: str
    target: TagTarget


def tags_named(connection: Connection, name: str, category: str | None = None) -> list[KnownTag]:
    """Find tags by name, optionally in a category, ignoring case."""
    return [
        KnownTag(*row)
        for row in connection.execute(
            """SELECT w.id, w.name, c.name, c.target FROM tags w JOIN tag_categories c ON c.id = w.category_id
                WHERE lower(w.name) = lower(%(name)s)
                    AND (%(category)s::text IS NULL OR lower(c.name) = lower(%(category)s)) ORDER BY c.id""",
            {"name": name, "category": category},
        )
    ]


def all_tag_names(connection: Connection) -> list[str]:
    """Return the names of all tags."""
    return [name for (name,) in connection.execute("SELECT DISTINCT name FROM tags ORDER BY 1")]


def analyze_tags(connection: Connection) -> None:
    """Update PostgreSQL's statistics of tags, for fast searches."""
    connection.execute("ANALYZE image_tags, face_tags")


@dataclass(frozen=True, slots=True)
class PhotoTag:
    """A tag of a photo or a face; the model name is empty for another source."""

    category: str
    tag: str
    confidence: float
    source: str
    model: str


@dataclass(frozen=True, slots=True)
class PhotoTags:
    """The tags of a photo, and of its faces by number; by category, best first."""

    scene: list[PhotoTag]
    faces: dict[int, list[PhotoTag]]

    def distinct(self) -> list[PhotoTag]:
        """Return all tags, each face tag once with its highest confidence."""
        found = {(each.category, each.tag): each for each in self.scene}
        of_faces = sorted(chain(*self.faces.values()), key=lambda each: each.confidence)
        return list((found | {(each.category, each.tag): each for each in of_faces}).values())


def of_image(connection: Connection, image_id: int) -> PhotoTags:
    """Return the tags of an image and its faces."""
    scene: list[PhotoTag] = []
    faces: dict[int, list[PhotoTag]] = {}
    for face, *tag in connection.execute(
        """SELECT found.face, c.name, w.name, found.confidence, c.source, coalesce(m.name, '')
            FROM (SELECT NULL::bigint AS face, tag_id, model_id, confidence FROM image_tags
                    WHERE image_id = %(image)s
                UNION ALL SELECT t.face_id, t.tag_id, t.model_id, t.confidence FROM face_tags t
                    JOIN face_detections f ON f.id = t.face_id WHERE f.image_id = %(image)s) AS found
            JOIN tags w ON w.id = found.tag_id JOIN tag_categories c ON c.id = w.category_id
            LEFT JOIN models m ON m.id = found.model_id
            ORDER BY found.face, c.id, found.confidence DESC, w.place""",
        {"image": image_id},
    ):
        (scene if face is None else faces.setdefault(face, [])).append(PhotoTag(*tag))
    return PhotoTags(scene, faces)


def tags_of_image(connection: Connection, image_id: int) -> PhotoTags | None:
    """Return the same; None if there are none."""
    found = of_image(connection, image_id)
    return found if found.scene or found.faces else None


def tag_counts(connection: Connection) -> dict[int, int]:
    """Count the photos or faces with each tag, by tag number."""
    return dict(
        connection.execute(
            """SELECT tag_id, count(*) FROM image_tags t WHERE NOT EXISTS (
                    SELECT FROM images m WHERE m.id = t.image_id AND m.missing_since IS NOT NULL) GROUP BY 1
                UNION ALL SELECT tag_id, count(*) FROM face_tags t WHERE NOT EXISTS (
                    SELECT FROM face_detections f JOIN images m ON m.id = f.image_id
                    WHERE f.id = t.face_id AND m.missing_since IS NOT NULL) GROUP BY 1"""
        ).fetchall()
    )


_Found = Sequence[tuple[int, ImageRecord, Finding]]


def store_image_tags(connection: Connection, found: _Found) -> None:
    """Store tags of images, replacing earlier CLIP tags."""
    for model, some in _by_model(found):
        number = ensure_model(connection, "clip", model.name, model.sha256, some[0][2].value.dimension)
        owners = [image for image, _, _ in some]
        rows = [
            (image, tag, confidence)
            for image, _, finding in some
            for _, tag, confidence in finding.value.rows()
        ]
        _replace(connection, "scene", number, owners, rows)


def store_face_tags(connection: Connection, found: _Found) -> None:
    """Store tags of faces, and the CLIP embeddings of their crops, replacing earlier ones.

    A face is identified by its image and exact box. Faces deleted or forgotten meanwhile are omitted.
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
    """Return the faces of images by image and box, for all detectors."""
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
