"""Photos by the words of their descriptions, and of all text that was read on them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from facesets.store.postgres.connection import Connection
from facesets.store.postgres.paths import from_text
from facesets.store.postgres.search import Dates, taken_on

# The index of the descriptions reduces words in the same way.
_QUERY = sql.SQL("websearch_to_tsquery('english', %(words)s)")
_ALL_AT_ONCE = sql.SQL("")
_RANKED, _MANY = 500, 5_000
"""Descriptions with the words, of which the best are looked for, and of which all are looked up."""


@dataclass(frozen=True, slots=True)
class DescribedImage:
    """A photo whose description has the words asked for."""

    path: str
    description: str
    taken: str


def described_with(
    words: str, how: sql.SQL = _ALL_AT_ONCE
) -> tuple[Sequence[sql.Composable], dict[str, object]]:
    """The condition that the description of an image `i` has these words, and its parameters.

    Words have to be there in any form, `"two words"` in that order; `or` means either, `-word` none of them.
    All images are meant for no words.
    """
    if not words.strip():
        return [], {}
    has = sql.SQL("EXISTS (SELECT FROM descriptions d WHERE d.image_id = i.id AND d.words @@ {} {})")
    return [has.format(_QUERY, how)], {"words": words}


def described_images(
    connection: Connection, words: str, *, dates: Dates, person: str | None, limit: int
) -> list[DescribedImage]:
    """Images whose description has these words; that show a person, if one is given.

    Those that fit the words best come first. Where very many have them, that says nothing, and takes long to
    find out: the latest come first then.
    """
    given: dict[str, object] = {"words": words, "person": person, "limit": limit}
    given |= {"first": dates.first, "last": dates.last}
    # Reading all descriptions takes longer than the planner thinks, for long ones lie apart.
    connection.execute("SET LOCAL enable_seqscan = off")
    found = connection.execute(
        sql.SQL("SELECT d.image_id FROM descriptions d WHERE d.words @@ {} LIMIT {}").format(
            _QUERY, sql.Literal(_MANY + 1)
        ),
        given,
    ).fetchall()
    connection.execute("SET LOCAL enable_seqscan = on")
    conditions = list(taken_on(dates))
    if person is not None:
        conditions.append(
            sql.SQL("i.id IN (SELECT f.image_id FROM face_detections f WHERE f.person_id = %(person)s::uuid)")
        )
    rows: list[tuple[Any, ...]] = []
    if len(found) > _MANY:
        # One by one from the latest on: so many have the words that enough are soon found.
        some, _ = described_with(words, sql.SQL("OFFSET 0"))
        dated = [*conditions, *some, sql.SQL("i.taken IS NOT NULL")]
        rows = connection.execute(_listed(dated, sql.SQL("i.taken DESC")), given).fetchall()
    if len(rows) < limit:
        given["images"] = [number for (number,) in found]
        among, _ = described_with(words) if len(found) > _MANY else ([sql.SQL("i.id = ANY(%(images)s)")], {})
        rank = "ts_rank(d.words, {}) DESC, " if len(found) <= _RANKED else ""
        order = sql.SQL(rank + "i.taken DESC NULLS LAST, i.id DESC").format(_QUERY)
        rows = connection.execute(_listed([*conditions, *among], order), given).fetchall()
    return [DescribedImage(from_text(path), description, taken) for path, description, taken in rows]


def _listed(conditions: Sequence[sql.Composable], order: sql.Composable) -> sql.Composed:
    """The statement that finds images with a file, in an order, and then looks up what is shown of them."""
    return sql.SQL(
        """SELECT (SELECT p.path FROM image_paths p WHERE p.image_id = best.id AND p.reason = ''
                    ORDER BY p.id LIMIT 1), s.description,
                coalesce(to_char(best.taken, 'YYYY-MM-DD HH24:MI:SS'), '')
            FROM (SELECT i.id, i.taken, row_number() OVER (ORDER BY {order}) AS place
                FROM images i JOIN descriptions d ON d.image_id = i.id
                WHERE {conditions}
                    AND EXISTS (SELECT FROM image_paths p WHERE p.image_id = i.id AND p.reason = '')
                ORDER BY {order} LIMIT %(limit)s) AS best
            JOIN descriptions s ON s.image_id = best.id ORDER BY best.place"""
    ).format(conditions=sql.SQL(" AND ").join(conditions), order=order)
