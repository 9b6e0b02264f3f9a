"""Photos by their descriptions, those first that fit the words best."""

from dataclasses import dataclass, replace

from psycopg import sql

from facesets.store.postgres.connection import Connection
from facesets.store.postgres.paths import from_text
from facesets.store.postgres.photo_conditions import ONE_BY_ONE
from facesets.store.postgres.photo_filter import PhotoFilter, conditions
from facesets.store.postgres.photo_search import find_photos
from facesets.store.postgres.photo_words import WORDS, about_with_words, with_words

_RANKED = 500
"""Descriptions with the words, of which the best are looked for."""
_GUESSED_WRONG = 4
"""Of several words together PostgreSQL knows less than of each."""


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
    about = about_with_words(connection, asked.words)
    numbers = with_words(connection, asked.words, _RANKED) if about <= _GUESSED_WRONG * _RANKED else None
    if numbers is None:
        return _latest(connection, asked, limit)
    others, given = conditions(replace(asked, words=""), ONE_BY_ONE)
    rows = connection.execute(
        _BEST.format(words=WORDS, conditions=sql.SQL("").join(sql.SQL(" AND {}").format(e) for e in others)),
        given | {"words": asked.words, "limit": limit, "images": numbers},
    ).fetchall()
    return [DescribedPhoto(from_text(path), description, taken) for path, description, taken in rows]


_BEST = sql.SQL(
    """SELECT (SELECT p.path FROM image_paths p WHERE p.image_id = best.id AND p.reason = ''
                ORDER BY p.id LIMIT 1), best.description,
            coalesce(to_char(best.taken, 'YYYY-MM-DD HH24:MI:SS'), '')
        FROM (SELECT i.id, i.taken, d.description, ts_rank(d.words, {words}) AS rank
            FROM images i JOIN descriptions d ON d.image_id = i.id
            WHERE i.id = ANY(%(images)s::bigint[])
                AND i.missing_since IS NULL {conditions}
            ORDER BY rank DESC, i.taken DESC NULLS LAST, i.id DESC LIMIT %(limit)s) AS best
        ORDER BY best.rank DESC, best.taken DESC NULLS LAST, best.id DESC"""
)


def _latest(connection: Connection, asked: PhotoFilter, limit: int) -> list[DescribedPhoto]:
    photos = find_photos(connection, asked, offset=0, limit=limit)
    texts: dict[str, str] = dict(
        connection.execute(
            """SELECT i.sha256, d.description FROM images i JOIN descriptions d ON d.image_id = i.id
                WHERE i.sha256 = ANY(%s)""",
            ([photo.sha256 for photo in photos],),
        ).fetchall()
    )
    return [
        DescribedPhoto(
            from_text(photo.paths[0]),
            texts.get(photo.sha256, ""),
            "" if photo.taken is None else photo.taken.isoformat(" ", "seconds"),
        )
        for photo in photos
    ]
