"""Finding photos by all that is known of them, and by what they look like."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from psycopg import sql

from facesets.records import Float32
from facesets.store.postgres.connection import Connection, only_row
from facesets.store.postgres.models import ClipRow
from facesets.store.postgres.photo_conditions import ALL_AT_ONCE, ONE_BY_ONE
from facesets.store.postgres.photo_filter import PhotoFilter, conditions
from facesets.store.postgres.photo_places import distance_from
from facesets.store.postgres.photo_tags import of_tag, rarest_of_photos
from facesets.store.postgres.search import IMAGES, image_vectors, nearest

MOST_COUNTED = 10_000
"""Photos that are counted, and shown, at most: nobody looks at more pages than these fill."""

_IMAGES = sql.SQL("images")
_LATEST = 5_000
"""Photos that are looked at one by one before all that fit are gathered."""


@dataclass(frozen=True, slots=True)
class FoundPhoto:
    """A photo.

    Attributes
    ----------
    paths : tuple of str
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
    paths: tuple[str, ...] = ()
    cosine_similarity: float | None = None
    distance_km: float | None = None


def find_photos(connection: Connection, asked: PhotoFilter, *, offset: int, limit: int) -> list[FoundPhoto]:
    """Photos with a file, the latest first; where nothing is asked for, those that were added last."""
    # These orders are those of an index, so that no more is read than is shown.
    if asked.open:
        return _found(connection, asked, _IN_ORDER, _ADDED_LAST, offset=offset, limit=limit)
    if asked.only_dates:
        return _found(connection, asked, _IN_ORDER, _LATEST_FIRST, offset=offset, limit=limit)
    rarest = rarest_of_photos(connection, asked.tags)
    if rarest is not None:
        others, source = asked.without(rarest), of_tag(rarest)
        return _found(
            connection, others, _IN_ORDER, _DATED_FIRST, source, offset=offset, limit=limit, how=ONE_BY_ONE
        )
    # Of what is frequent there mostly is enough among the latest, and what is rare is gathered in no time.
    # PostgreSQL cannot know which is which: places and cameras go with times.
    latest = _found(
        connection, asked, _AMONG_LATEST, _LATEST_FIRST, offset=offset, limit=limit, how=ONE_BY_ONE
    )
    if len(latest) == limit:
        return latest
    return _found(connection, asked, _GATHERED, _DATED_FIRST, offset=offset, limit=limit)


def _found(
    connection: Connection,
    asked: PhotoFilter,
    way: sql.SQL,
    order: sql.SQL,
    source: sql.Composable = _IMAGES,
    *,
    offset: int,
    limit: int,
    how: sql.SQL = ALL_AT_ONCE,
) -> list[FoundPhoto]:
    all_hold, given = conditions(asked, how)
    numbers = way.format(source=source, conditions=_all(all_hold), has_file=_HAS_FILE, order=order)
    statement = _SHOWN.format(found=numbers, distance=distance_from(asked.near, sql.SQL("i.id")), order=order)
    parameters = given | {"offset": offset, "limit": limit, "latest": _LATEST}
    return [
        FoundPhoto(sha256, width, height, taken, tuple(paths), distance_km=km)
        for sha256, width, height, taken, paths, km in connection.execute(statement, parameters)
    ]


_ADDED_LAST = sql.SQL("i.id DESC")
_LATEST_FIRST = sql.SQL("i.taken DESC, i.id DESC")
_DATED_FIRST = sql.SQL("i.taken DESC NULLS LAST, i.id DESC")
_HAS_FILE = sql.SQL("EXISTS (SELECT FROM image_paths p WHERE p.image_id = i.id AND p.reason = '' OFFSET 0)")
_IN_ORDER = sql.SQL(
    """SELECT i.id FROM {source} i WHERE {conditions} AND {has_file}
        ORDER BY {order} OFFSET %(offset)s LIMIT %(limit)s"""
)
_AMONG_LATEST = sql.SQL(
    """SELECT i.id FROM (SELECT i.id, i.taken FROM images i WHERE i.taken IS NOT NULL
            ORDER BY {order} LIMIT %(latest)s) i
        WHERE {conditions} AND {has_file} ORDER BY {order} OFFSET %(offset)s LIMIT %(limit)s"""
)
_GATHERED = sql.SQL(
    """WITH fits AS MATERIALIZED (SELECT i.id, i.taken FROM images i WHERE {conditions})
        SELECT i.id FROM (SELECT * FROM fits i ORDER BY {order} OFFSET 0) i
        WHERE {has_file} OFFSET %(offset)s LIMIT %(limit)s"""
)
_SHOWN = sql.SQL(
    """WITH found AS MATERIALIZED ({found})
        SELECT i.sha256, i.width, i.height, i.taken,
            ARRAY(SELECT p.path FROM image_paths p WHERE p.image_id = i.id AND p.reason = '' ORDER BY p.id),
            {distance}
        FROM found JOIN images i ON i.id = found.id ORDER BY {order}"""
)


def count_photos(connection: Connection, asked: PhotoFilter) -> int:
    """How many photos there are of these, at most `MOST_COUNTED`."""
    source: sql.Composable = _IMAGES
    how = ALL_AT_ONCE
    rarest = rarest_of_photos(connection, asked.tags)
    if rarest is not None:
        asked, source, how = asked.without(rarest), of_tag(rarest), ONE_BY_ONE
    all_hold, given = conditions(asked, how)
    statement = sql.SQL(
        "SELECT count(*) FROM (SELECT FROM {} i WHERE {} AND {} LIMIT %(most)s) AS counted"
    ).format(source, _all(all_hold), _HAS_FILE)
    return int(only_row(connection.execute(statement, given | {"most": MOST_COUNTED}))[0])


def _all(each: Sequence[sql.Composable]) -> sql.Composable:
    return sql.SQL(" AND ").join(each) if each else sql.SQL("true")


def photos_near(
    connection: Connection, row: ClipRow, embedding: Float32, asked: PhotoFilter, *, limit: int
) -> list[FoundPhoto]:
    """The photos most similar to a vector of a CLIP model, best first."""
    found = nearest(
        connection,
        image_vectors(row),
        embedding,
        columns=sql.SQL(", c.sha256, c.width, c.height, c.taken"),
        source=IMAGES,
        asked=asked,
        limit=limit,
    )
    return [
        FoundPhoto(sha256, width, height, taken, tuple(paths), float(similarity), km)
        for paths, similarity, _, km, sha256, width, height, taken in found
    ]


def embedding_of_photo(connection: Connection, row: ClipRow, sha256: str) -> Float32 | None:
    """The vector of a photo by a CLIP model; None where it has none."""
    found = connection.execute(
        """SELECT e.embedding::real[] FROM image_embeddings e JOIN images i ON i.id = e.image_id
            WHERE i.sha256 = %s AND e.model_id = %s""",
        (sha256, row.id),
    ).fetchone()
    return None if found is None else np.array(found[0], np.float32)
