"""Photos by the words of their descriptions, and of all text that was read on them."""

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg import sql

from facesets.store.postgres.connection import Connection
from facesets.store.postgres.paths import from_text
from facesets.store.postgres.search import Dates, taken_on

# The index of the descriptions reduces words in the same way.
_QUERY = sql.SQL("websearch_to_tsquery('english', %(words)s)")
_ALL_AT_ONCE = sql.SQL("")


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
    return [DescribedImage(from_text(path), description, taken) for path, description, taken in rows]
