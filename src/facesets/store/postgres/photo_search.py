"""Finding photos by all that is known of them, and by what they look like.

A search is one statement, which PostgreSQL plans for these very values: so none is prepared.
"""

from dataclasses import dataclass
from datetime import datetime

from psycopg import sql

from facesets.library_records import ClipRow
from facesets.records import Float32
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.photo_filter import PhotoFilter, conditions, distance_from
from facesets.store.postgres.search import image_vectors, nearest

MOST_COUNTED = 10_000
"""Photos that are counted, and shown, at most: nobody looks at more pages than these fill."""


@dataclass(frozen=True, slots=True)
class FoundPhoto:
    """A photo.

    Attributes
    ----------
    paths : list of str
        Where it is, as the library keeps it.
    cosine_similarity : float or None
        To what was asked for, where that was words or another photo.
    distance_km : float or None
        From the place that was asked for.
    """

    sha256: str
    width: int
    height: int
    taken: datetime | None
    paths: list[str]
    distance_km: float | None = None
    cosine_similarity: float | None = None


_ADDED_LAST = sql.SQL("i.id DESC")
# Of dates alone the index of times has the latest first: no photo without one is among them.
_LATEST_DATED = sql.SQL("i.taken DESC, i.id DESC")
# With other conditions no index should have the order: PostgreSQL would walk it, past ten years of photos
# that do not fit where somebody moved house.
_LATEST = sql.SQL("i.taken DESC NULLS LAST, i.id DESC")
_PAGE = sql.SQL(
    """SELECT i.sha256, i.width, i.height, i.taken,
            ARRAY(SELECT p.path FROM image_paths p WHERE p.image_id = i.id AND p.reason = '' ORDER BY p.id),
            {distance}
        FROM (SELECT i.id FROM images i WHERE {conditions}
                ORDER BY {order} OFFSET {offset} LIMIT {limit}) page
            JOIN images i ON i.id = page.id
        ORDER BY {order}"""
)
# Planned as if all were wanted: for a few PostgreSQL would ask photo after photo, and may meet none for long.
_COUNTED = sql.SQL(
    """WITH fitting AS MATERIALIZED (SELECT 1 FROM images i WHERE {conditions})
        SELECT count(*) FROM (SELECT FROM fitting LIMIT {most}) AS counted"""
)
_HAS_VECTOR = sql.SQL(
    "EXISTS (SELECT FROM image_embeddings e WHERE e.image_id = i.id AND e.model_id = {model})"
)


def find_photos(connection: Connection, asked: PhotoFilter, *, offset: int, limit: int) -> list[FoundPhoto]:
    """Photos with a file, the latest first; where nothing is asked for, those that were added last."""
    statement = _PAGE.format(
        distance=distance_from(asked.near),
        conditions=conditions(asked),
        order=_ADDED_LAST if asked.open else _LATEST_DATED if asked.only_dates else _LATEST,
        offset=offset,
        limit=limit,
    )
    return [FoundPhoto(*row) for row in connection.execute(statement, prepare=False)]


def count_photos(connection: Connection, asked: PhotoFilter, most: int = MOST_COUNTED) -> int:
    """How many photos there are of these, at most so many."""
    return _count(connection, conditions(asked), most)


def count_embedded(connection: Connection, row: ClipRow, asked: PhotoFilter, most: int) -> int:
    """How many photos there are of these that a CLIP model embedded, at most so many."""
    embedded = sql.SQL(" AND ").join([conditions(asked), _HAS_VECTOR.format(model=row.id)])
    return _count(connection, embedded, most)


def _count(connection: Connection, all_hold: sql.Composed, most: int) -> int:
    statement = _COUNTED.format(conditions=all_hold, most=most)
    return int(connection.one(statement, prepare=False)[0])


def photos_near(
    connection: Connection, row: ClipRow, embedding: Float32, asked: PhotoFilter, *, limit: int
) -> list[FoundPhoto]:
    """The photos most similar to an embedding of a CLIP model, best first."""
    columns = sql.SQL("i.sha256, i.width, i.height, i.taken")
    rows = nearest(connection, image_vectors(row), embedding, columns, asked, limit=limit)
    return [
        FoundPhoto(sha256, width, height, taken, paths, km, similarity)
        for paths, km, similarity, sha256, width, height, taken in rows
    ]


def embedding_of_photo(connection: Connection, row: ClipRow, sha256: str) -> Float32 | None:
    """The embedding of a photo by a CLIP model; None where it has none."""
    found = connection.scalar(
        """SELECT e.embedding FROM image_embeddings e JOIN images i ON i.id = e.image_id
            WHERE i.sha256 = %s AND e.model_id = %s""",
        (sha256, row.id),
    )
    return None if found is None else found.to_numpy()


def times_of_photos(connection: Connection) -> tuple[datetime, datetime] | None:
    """When the first and the last photo was taken; None where none says when."""
    first, last = connection.one("SELECT min(taken), max(taken) FROM present_images")
    return None if first is None else (first, last)
