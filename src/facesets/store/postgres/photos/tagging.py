"""Data for tagging: categories, the embeddings of their prompts, and waiting photos."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from psycopg import sql

from facesets.errors import WrongUsage
from facesets.files import printable
from facesets.library_records import PhotosOfStage, StoredCategory, TagCategory, TagTarget, TagWord
from facesets.records import Float32, Int64
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.copying import INT8, copy_out, gathered, vector
from facesets.store.postgres.photos.stages import to_look_at

CLIP = "clip"
"""The source of the categories: prompts compared by a CLIP model."""


class StoredVectors(NamedTuple):
    """The embeddings of a category by a model, and the fingerprint of their prompts."""

    prompts_sha256: str
    logit_scale: float
    vectors: Float32


def stored_categories(connection: Connection, target: TagTarget | None = None) -> list[StoredCategory]:
    """Return the CLIP categories, optionally of one target, in order of creation."""
    words: dict[int, list[tuple[int, TagWord]]] = {}
    for category, number, name, phrases in connection.execute(
        "SELECT category_id, id, name, phrases FROM tags ORDER BY category_id, place"
    ):
        words.setdefault(category, []).append((number, TagWord(name, tuple(phrases))))
    rows = connection.execute(
        """SELECT id, name, target, selection_mode, min_confidence, templates, none_prompts
            FROM tag_categories WHERE source = %s AND (target = %s OR %s::text IS NULL) ORDER BY id""",
        (CLIP, target, target),
    ).fetchall()
    return [
        StoredCategory(
            number,
            TagCategory(
                name,
                about,
                mode,
                least,
                tuple(templates),
                tuple(word for _, word in words.get(number, [])),
                tuple(none),
            ),
            tuple(tag for tag, _ in words.get(number, [])),
        )
        for number, name, about, mode, least, templates, none in rows
    ]


def store_categories(
    connection: Connection, categories: Sequence[TagCategory], *, only: bool = False
) -> None:
    """Store categories, replacing those of the same names.

    Removed tags are deleted at once, also from photos and faces. The others stay until they are recomputed.

    Parameters
    ----------
    only : bool
        Delete all other CLIP categories.

    Raises
    ------
    WrongUsage
        A category of that name comes from another source.
    """
    connection.execute("LOCK TABLE tag_categories IN SHARE ROW EXCLUSIVE MODE")
    names = [each.name for each in categories]
    foreign = connection.execute(
        "SELECT name, source FROM tag_categories WHERE source <> %s AND name = ANY(%s)", (CLIP, names)
    ).fetchone()
    if foreign is not None:
        name, source = foreign
        raise WrongUsage(
            f"The category {printable(name)} belongs to {printable(source)}. Choose another name."
        )
    if only:
        connection.execute("DELETE FROM tag_categories WHERE source = %s AND name <> ALL(%s)", (CLIP, names))
    before = {each.category.name: each for each in stored_categories(connection)}
    for category in categories:
        known = before.get(category.name)
        if known is not None and known.category.target != category.target:
            connection.execute("DELETE FROM tag_categories WHERE id = %s", (known.number,))
            known = None
        if known is None or known.category != category:
            _store(connection, category, known)


def _store(connection: Connection, category: TagCategory, known: StoredCategory | None) -> None:
    number = connection.scalar(
        """INSERT INTO tag_categories (name, target, selection_mode, min_confidence, templates, none_prompts)
            VALUES (%s, %s, %s, %s, %s, %s)
            ON CONFLICT (name) DO UPDATE SET selection_mode = excluded.selection_mode,
                min_confidence = excluded.min_confidence, templates = excluded.templates,
                none_prompts = excluded.none_prompts, changed_at = now()
            RETURNING id""",
        (
            category.name,
            category.target,
            category.selection_mode,
            category.min_confidence,
            list(category.templates),
            list(category.none_of_these),
        ),
    )
    numbers = (
        {}
        if known is None
        else {word.name.lower(): tag for word, tag in zip(known.category.words, known.tags, strict=True)}
    )
    left = {word.name.lower() for word in category.words}
    removed = [tag for name, tag in numbers.items() if name not in left]
    connection.execute("DELETE FROM tags WHERE id = ANY(%s)", (removed,))
    for place, word in enumerate(category.words):
        values = (place, word.name, list(word.phrases))
        if word.name.lower() in numbers:
            connection.execute(
                "UPDATE tags SET place = %s, name = %s, phrases = %s WHERE id = %s",
                (*values, numbers[word.name.lower()]),
            )
        else:
            connection.execute(
                "INSERT INTO tags (place, name, phrases, category_id) VALUES (%s, %s, %s, %s)",
                (*values, number),
            )


def stored_vectors(connection: Connection, model_id: int) -> dict[int, StoredVectors]:
    """Return the embeddings by a model, by category number."""
    rows = connection.execute(
        "SELECT category_id, prompts_sha256, logit_scale, vectors FROM tag_vectors WHERE model_id = %s",
        (model_id,),
    ).fetchall()
    return {
        category: StoredVectors(prompts, scale, np.array(vectors, np.float32))
        for category, prompts, scale, vectors in rows
    }


def store_vectors(connection: Connection, model_id: int, category: int, stored: StoredVectors) -> None:
    """Store the embeddings of a category by a model, replacing earlier ones."""
    connection.execute(
        """INSERT INTO tag_vectors (category_id, model_id, prompts_sha256, logit_scale, vectors)
            SELECT id, %s, %s, %s, %s::real[] FROM tag_categories WHERE id = %s
            ON CONFLICT (category_id, model_id) DO UPDATE SET prompts_sha256 = excluded.prompts_sha256,
                logit_scale = excluded.logit_scale, vectors = excluded.vectors""",
        (model_id, stored.prompts_sha256, stored.logit_scale, stored.vectors.tolist(), category),
    )


@dataclass(frozen=True, slots=True)
class EmbeddedBy:
    """A CLIP model, and the detector of the faces that it embedded.

    Attributes
    ----------
    detector_id : int or None
        None while no photo was searched for faces.
    """

    model_id: int
    dimension: int
    detector_id: int | None = None

    def parameters(self) -> dict[str, object]:
        """The parameters of the statements below."""
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
    """Return the next embedded images for a tagging step, ascending by number.

    Returns
    -------
    list of (int, str)
        Number, and the version of the step that processed it before; empty if none.
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
    """Count the images for `images_to_tag`."""
    condition, given = to_look_at(photos)
    found: int = connection.scalar(
        sql.SQL("SELECT count(*) FROM images i WHERE {} AND {}").format(condition, _EMBEDDED[target]),
        given | by.parameters(),
    )
    return found


def embeddings_of(
    connection: Connection, target: TagTarget, by: EmbeddedBy, images: Sequence[int]
) -> tuple[Int64, Int64, Float32]:
    """Return the CLIP embeddings of images or their faces, with their numbers."""
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
