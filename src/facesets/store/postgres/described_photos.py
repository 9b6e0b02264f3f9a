"""Photos by their descriptions, those first that have more of the words."""

from dataclasses import dataclass

from psycopg import sql

from facesets.store.postgres.connection import Connection
from facesets.store.postgres.paths import from_text
from facesets.store.postgres.photo_filter import PhotoFilter, conditions
from facesets.store.postgres.photo_words import WORDS


@dataclass(frozen=True, slots=True)
class DescribedPhoto:
    """A photo whose description has the words asked for."""

    path: str
    description: str
    taken: str


def described_photos(connection: Connection, asked: PhotoFilter, *, limit: int) -> list[DescribedPhoto]:
    """Photos of a filter with words, the best first."""
    some, given = conditions(asked)
    rows = connection.execute(
        sql.SQL(
            """SELECT paths.first, d.description, coalesce(to_char(i.taken, 'YYYY-MM-DD HH24:MI:SS'), '')
                FROM descriptions d JOIN images i ON i.id = d.image_id
                CROSS JOIN LATERAL (SELECT p.path AS first FROM image_paths p
                    WHERE p.image_id = i.id AND p.reason = '' ORDER BY p.id LIMIT 1) AS paths
                WHERE {conditions}
                ORDER BY ts_rank(d.words, {words}) DESC, i.taken DESC NULLS LAST, i.id LIMIT %(limit)s"""
        ).format(words=WORDS, conditions=sql.SQL(" AND ").join(some)),
        given | {"limit": limit},
    ).fetchall()
    return [DescribedPhoto(from_text(path), description, taken) for path, description, taken in rows]
