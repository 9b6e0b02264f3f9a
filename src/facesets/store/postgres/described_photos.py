"""Photos by their descriptions, those first that fit the words best."""

from dataclasses import dataclass

from psycopg import sql

from facesets.store.postgres.connection import Connection
from facesets.store.postgres.paths import from_text
from facesets.store.postgres.photo_filter import PhotoFilter, conditions, word_query

MOST_RANKED = 500
"""Photos of which those are looked for whose words fit best."""


@dataclass(frozen=True, slots=True)
class DescribedPhoto:
    """A photo whose description has the words asked for."""

    path: str
    description: str
    taken: str


def described_photos(connection: Connection, asked: PhotoFilter, *, limit: int) -> list[DescribedPhoto]:
    """Photos of a filter with words, the best first.

    Where very many have the words, that says nothing, and takes long to find out: the latest come first then.
    """
    statement = _BEST.format(
        conditions=conditions(asked), query=word_query(asked.words), most=MOST_RANKED, limit=limit
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
    """Whether anything is left of words without those that every text has, such as `the`."""
    statement = sql.SQL("SELECT numnode({}) > 0").format(word_query(words))
    return bool(connection.scalar(statement))
