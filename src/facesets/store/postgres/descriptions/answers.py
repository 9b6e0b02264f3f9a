"""What language models said of photos: kept, and shown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from psycopg import sql
from psycopg.types.json import Jsonb

from facesets.descriptions.asking import STAGE
from facesets.descriptions.prices import Usage
from facesets.store.postgres.connection import Connection

ERASED = "erased, with the name of somebody forgotten"
"""Why there is no description any more; the photo is not sent and paid again by itself."""


@dataclass(frozen=True, slots=True)
class AnswerSource:
    """Who said it, and what that took.

    Attributes
    ----------
    prompt : str
        SHA-256 of what was asked.
    duration_s : float or None
        None for what came in a batch.
    cost_usd : Decimal or None
        None where the price is not known.
    """

    provider: str
    model: str
    prompt: str
    usage: Usage
    duration_s: float | None
    cost_usd: Decimal | None


@dataclass(frozen=True, slots=True)
class PhotoDescription:
    """What is known by a model of one photo.

    Attributes
    ----------
    answer : mapping
        All that it said.
    """

    description: str
    tags: list[str]
    answer: Mapping[str, Any]
    provider: str
    model: str
    described_at: str
    cost_usd: float | None


def keep_answer(connection: Connection, sha256: str, answer: Mapping[str, Any], source: AnswerSource) -> None:
    """Store what was said of a photo, in place of what was said before, though the photo be gone."""
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
    """What a model said of one photo, if one did."""
    row = connection.execute(
        """SELECT description, tags, answer, provider, model,
                to_char(described_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), cost_usd::float8
            FROM descriptions WHERE image_id = %s""",
        (image_id,),
    ).fetchone()
    return None if row is None else PhotoDescription(*row)


def names_on(connection: Connection, image_ids: Sequence[int]) -> dict[int, list[str]]:
    """The names of the people on images, from left to right; nobody who is hidden."""
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
    """Erase what was said of photos where a pattern fits; they are not sent and paid again by themselves."""
    connection.execute(
        "UPDATE description_requests SET reason = '' WHERE reason ~* %(pattern)s", {"pattern": pattern}
    )
    connection.execute(
        "UPDATE image_stages SET reason = '' WHERE stage = %(stage)s AND reason ~* %(pattern)s",
        {"pattern": pattern, "stage": STAGE},
    )
    connection.execute(
        """WITH gone AS (DELETE FROM descriptions WHERE answer::text ~* %(pattern)s RETURNING image_id)
            UPDATE image_stages SET status = 'failed', reason = %(erased)s
            WHERE stage = %(stage)s AND image_id IN (SELECT image_id FROM gone)""",
        {"pattern": pattern, "stage": STAGE, "erased": ERASED},
    )
