"""What language models said of photos: kept, searched by its words, and shown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from psycopg import sql
from psycopg.types.json import Jsonb

from facesets.descriptions.prices import Usage
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.paths import from_text
from facesets.store.postgres.search import Dates, taken_on


@dataclass(frozen=True, slots=True)
class Source:
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


@dataclass(frozen=True, slots=True)
class WordHit:
    """A photo whose description has the words asked for."""

    path: str
    description: str
    taken: str


def keep_answer(connection: Connection, sha256: str, answer: Mapping[str, Any], source: Source) -> None:
    """Store what was said of a photo, in place of what was said before; nothing where the photo is gone."""
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
            """INSERT INTO descriptions (image_id, {names}) SELECT i.id, {values} FROM images i
                WHERE i.sha256 = %(sha256)s
                ON CONFLICT (image_id) DO UPDATE SET ({names}) = ({new}), described_at = now()"""
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


_QUERY = sql.SQL("websearch_to_tsquery('english', %(words)s)")


def conditions(words: str) -> tuple[list[sql.Composable], dict[str, object]]:
    """The condition that the description of an image `i` has these words, and its parameter.

    Words stand for themselves, `"two words"` for both in that order, `or` for either, and `-word` for none.
    """
    has = sql.SQL("i.id IN (SELECT d.image_id FROM descriptions d WHERE d.words @@ {})").format(_QUERY)
    return [has], {"words": words}


def images_with_words(
    connection: Connection, words: str, *, dates: Dates, person: str | None, limit: int
) -> list[WordHit]:
    """Images whose description has these words, the best first; that show a person, if one is given."""
    more: list[sql.Composable] = [*taken_on(dates)]
    if person is not None:
        more.append(
            sql.SQL("i.id IN (SELECT f.image_id FROM face_detections f WHERE f.person_id = %(person)s::uuid)")
        )
    rows = connection.execute(
        sql.SQL(
            """SELECT paths.first, d.description, coalesce(to_char(i.taken, 'YYYY-MM-DD HH24:MI:SS'), '')
                FROM descriptions d JOIN images i ON i.id = d.image_id
                CROSS JOIN LATERAL (SELECT p.path AS first FROM image_paths p
                    WHERE p.image_id = i.id AND p.reason = '' ORDER BY p.id LIMIT 1) AS paths
                WHERE d.words @@ {query} {more}
                ORDER BY ts_rank(d.words, {query}) DESC, i.taken DESC NULLS LAST, i.id LIMIT %(limit)s"""
        ).format(query=_QUERY, more=sql.SQL("").join(sql.SQL(" AND {}").format(each) for each in more)),
        {"words": words, "first": dates.first, "last": dates.last, "person": person, "limit": limit},
    ).fetchall()
    return [WordHit(from_text(path), description, taken) for path, description, taken in rows]


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
