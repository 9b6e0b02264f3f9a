"""Descriptions of photos by language models: store, show and search them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
from psycopg import sql
from psycopg.types.json import Jsonb

from facesets.descriptions.asking import EDGE, STAGE
from facesets.descriptions.prices import Usage
from facesets.library_records import PhotosOfStage
from facesets.records import Float32
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.paths import from_text
from facesets.store.postgres.photos.filter import PhotoFilter, conditions, word_query
from facesets.store.postgres.photos.stages import to_look_at

ERASED = "erased, because it named a forgotten person"
"""Why a description is gone; the photo is not sent again automatically."""


@dataclass(frozen=True, slots=True)
class AnswerSource:
    """The source of a description, with tokens and cost.

    Attributes
    ----------
    prompt : str
        SHA-256 of the prompt.
    duration_s : float or None
        None for a result of a batch.
    cost_usd : Decimal or None
        None if the price is unknown.
    """

    provider: str
    model: str
    prompt: str
    usage: Usage
    duration_s: float | None
    cost_usd: Decimal | None


@dataclass(frozen=True, slots=True)
class PhotoDescription:
    """The description of one photo.

    Attributes
    ----------
    answer : mapping
        The whole answer.
    """

    description: str
    tags: list[str]
    answer: Mapping[str, Any]
    provider: str
    model: str
    described_at: str
    cost_usd: float | None


def store_answer(
    connection: Connection, sha256: str, answer: Mapping[str, Any], source: AnswerSource
) -> None:
    """Store the description of a photo, replacing an earlier one, even if the photo is gone."""
    columns: dict[str, object] = {
        "description": answer["description"],
        "quality": answer["quality"]["score"],
        "season": answer["time"]["season"],
        "time_of_day": answer["time"]["time_of_day"],
        "environment": answer["location"]["environment"],
        "people": answer["people"]["count"],
        "activities": answer["activities"],
        "objects": answer["objects"],
        "text_in_image": answer["text_in_image"],
        "tags": answer["tags"],
        "emotional_tone": answer["emotional_tone"],
        "answer": Jsonb(answer),
        "provider": source.provider,
        "model": source.model,
        "prompt": source.prompt,
        "input_tokens": source.usage.input,
        "output_tokens": source.usage.output,
        "cache_read_tokens": source.usage.cache_read,
        "cache_write_tokens": source.usage.cache_write,
        "duration_s": source.duration_s,
        "cost_usd": source.cost_usd,
    }
    names = [sql.Identifier(name) for name in columns]
    connection.execute(
        sql.SQL(
            """INSERT INTO descriptions (sha256, image_id, {names})
                VALUES (%(sha256)s, (SELECT id FROM images WHERE sha256 = %(sha256)s), {values})
                ON CONFLICT (sha256) DO UPDATE SET image_id = excluded.image_id, ({names}) = ({new}),
                    described_at = now()"""
        ).format(
            names=sql.SQL(", ").join(names),
            values=sql.SQL(", ").join(sql.Placeholder(name) for name in columns),
            new=sql.SQL(", ").join(sql.SQL("excluded.{}").format(name) for name in names),
        ),
        columns | {"sha256": sha256},
    )


def of_image(connection: Connection, image_id: int) -> PhotoDescription | None:
    """Return the description of one photo, if any."""
    row = connection.execute(
        """SELECT description, tags, answer, provider, model,
                to_char(described_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), cost_usd::float8
            FROM descriptions WHERE image_id = %s""",
        (image_id,),
    ).fetchone()
    return None if row is None else PhotoDescription(*row)


def names_on(connection: Connection, image_ids: Sequence[int]) -> dict[int, list[str]]:
    """Return the names of visible people in images, from left to right."""
    found: dict[int, list[str]] = {}
    for image_id, name in connection.execute(
        """SELECT f.image_id, n.name FROM face_detections f
            JOIN persons p ON p.id = f.person_id AND p.status = 'active'
            CROSS JOIN LATERAL (SELECT name FROM person_names WHERE person_id = p.id ORDER BY id LIMIT 1) n
            WHERE f.image_id = ANY(%s) ORDER BY f.image_id, f.x1, f.id""",
        (list(image_ids),),
    ):
        names = found.setdefault(image_id, [])
        if name not in names:
            names.append(name)
    return found


def erase_descriptions(connection: Connection, pattern: str) -> None:
    """Erase descriptions that match a pattern; these photos are not sent again automatically."""
    connection.execute(
        "UPDATE description_requests SET reason = '' WHERE reason ~* %(pattern)s", {"pattern": pattern}
    )
    connection.execute(
        "UPDATE image_stages SET reason = '' WHERE stage = %(stage)s AND reason ~* %(pattern)s",
        {"pattern": pattern, "stage": STAGE},
    )
    connection.execute(
        """WITH deleted AS (DELETE FROM descriptions WHERE answer::text ~* %(pattern)s RETURNING image_id)
            UPDATE image_stages SET status = 'failed', reason = %(erased)s
            WHERE stage = %(stage)s AND image_id IN (SELECT image_id FROM deleted)""",
        {"pattern": pattern, "stage": STAGE, "erased": ERASED},
    )


MAX_RANKED = 500
"""Maximum number of candidates for the best matches."""


@dataclass(frozen=True, slots=True)
class DescribedPhoto:
    """A photo with the given words in its description."""

    path: str
    description: str
    taken: str


def described_photos(
    connection: Connection, photo_filter: PhotoFilter, *, limit: int
) -> list[DescribedPhoto]:
    """Find photos of a filter with words, best first.

    If very many photos have the words, ranking is slow and useless: then the latest come first.
    """
    statement = _BEST.format(
        conditions=conditions(photo_filter),
        query=word_query(photo_filter.words),
        most=MAX_RANKED,
        limit=limit,
    )
    rows = connection.execute(statement, prepare=False)
    return [DescribedPhoto(from_text(path), description, taken) for path, description, taken in rows]


_BEST = sql.SQL(
    """WITH fitting AS MATERIALIZED (SELECT i.id, i.taken FROM images i WHERE {conditions}),
        ranked AS (SELECT fitting.*, d.description, CASE
                WHEN (SELECT count(*) FROM (SELECT FROM fitting LIMIT {most} + 1) AS counted) <= {most}
                THEN ts_rank(d.words, {query}) END AS rank
            FROM fitting JOIN descriptions d ON d.image_id = fitting.id
            ORDER BY rank DESC, taken DESC NULLS LAST, id DESC LIMIT {limit})
        SELECT (SELECT p.path FROM image_paths p WHERE p.image_id = ranked.id AND p.reason = ''
                ORDER BY p.id LIMIT 1), description, coalesce(to_char(taken, 'YYYY-MM-DD HH24:MI:SS'), '')
        FROM ranked ORDER BY rank DESC, taken DESC NULLS LAST, id DESC"""
)


def is_looked_for(connection: Connection, words: str) -> bool:
    """Whether words contain more than stop words such as `the`."""
    statement = sql.SQL("SELECT numnode({}) > 0").format(word_query(words))
    return bool(connection.scalar(statement))


def all_faces(connection: Connection, image_ids: Sequence[int]) -> dict[int, Float32]:
    """Return the boxes (n, 4) of all faces of images, of all detectors."""
    boxes: dict[int, list[list[float]]] = {number: [] for number in image_ids}
    for image, *box in connection.execute(
        """SELECT image_id, x1, y1, x2, y2 FROM face_detections WHERE image_id = ANY(%(images)s)
            UNION ALL SELECT image_id, face_x1, face_y1, face_x2, face_y2 FROM bodies
                WHERE image_id = ANY(%(images)s) AND face_x1 IS NOT NULL""",
        {"images": list(image_ids)},
    ):
        boxes[image].append(box)
    return {image: np.array(some, np.float32).reshape(-1, 4) for image, some in boxes.items()}


def waiting_pixels(connection: Connection, photos: PhotosOfStage, limit: int | None) -> tuple[int, int]:
    """Return how many photos wait for a description, and the pixel sizes of some as sent."""
    condition, given = to_look_at(photos)
    count, pixels = connection.one(
        sql.SQL(
            """SELECT count(*), coalesce(sum(pixels), 0)::bigint FROM (
                SELECT ceil(i.width * least(1.0, %(edge)s::float8 / greatest(i.width, i.height, 1)))
                    * ceil(i.height * least(1.0, %(edge)s::float8 / greatest(i.width, i.height, 1))) AS pixels
                FROM images i WHERE {} ORDER BY i.id LIMIT %(limit)s) AS waiting"""
        ).format(condition),
        given | {"edge": EDGE, "limit": limit},
    )
    return int(count), int(pixels)
