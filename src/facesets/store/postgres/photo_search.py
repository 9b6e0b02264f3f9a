"""Finding photos by all that is known of them, and by what they look like."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from psycopg import sql

from facesets.library_records import ClipRow
from facesets.records import Float32
from facesets.store.postgres.connection import Connection, only_row
from facesets.store.postgres.photo_filter import PhotoFilter, conditions
from facesets.store.postgres.photo_fitting import (
    ANY_FILE,
    HAS_FILE,
    all_fitting,
    all_that_fit,
    of_rarest_tag,
)
from facesets.store.postgres.photo_gathered import Gathered, gathered_described, gathered_few
from facesets.store.postgres.photo_latest import (
    MOST_WALKED,
    length_for_people,
    length_for_words,
    let_walk,
    walk_for,
)
from facesets.store.postgres.photo_places import distance_from
from facesets.store.postgres.search import IMAGES, image_vectors, nearest

MOST_COUNTED = 10_000
"""Photos that are counted, and shown, at most: nobody looks at more pages than these fill."""


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
    numbers = _numbers(connection, asked, offset, limit)
    distance = distance_from(asked.near, sql.SQL("i.id"))
    _, given = conditions(asked)
    rows = connection.execute(_SHOWN.format(distance=distance), given | {"numbers": numbers})
    return [
        FoundPhoto(sha256, width, height, taken, tuple(paths), distance_km=km)
        for sha256, width, height, taken, paths, km in rows
    ]


def _numbers(connection: Connection, asked: PhotoFilter, offset: int, limit: int) -> list[int]:
    """The numbers of these photos, in the order in which they are shown."""
    page: dict[str, object] = {"offset": offset, "limit": limit}
    # These orders are those of an index, so that no more is read than is shown.
    if asked.open or asked.only_dates:
        all_hold, given = conditions(asked)
        order = sql.SQL("i.id DESC" if asked.open else "i.taken DESC, i.id DESC")
        return _asked(connection, _IN_ORDER.format(conditions=_all(all_hold), order=order), given | page)
    few = gathered_few(connection, asked)
    if few is not None:
        return _latest(connection, asked, few, page)
    walked = MOST_WALKED
    if asked.persons:
        walked = length_for_people(connection, asked, offset + limit)
    elif asked.words and not (walked := length_for_words(connection, asked, offset + limit)):
        return _latest(connection, asked, gathered_described(connection, asked), page)
    elif tagged := of_rarest_tag(connection, asked):
        photos, given = tagged
        return _asked(connection, _TAGGED.format(photos=photos, has_file=HAS_FILE), given | page)
    if walked:
        walk = walk_for(connection, asked, walked)
        let_walk(connection, walk=True)
        statement = _WALKED.format(fitting=walk.fitting, has_file=HAS_FILE)
        latest = _asked(connection, statement, walk.parameters | page)
        is_enough = len(latest) == limit or walk.is_whole(connection)
        let_walk(connection, walk=False)
        if is_enough:
            return latest
    return _latest(connection, asked, all_that_fit(connection, asked), page)


def _latest(
    connection: Connection, asked: PhotoFilter, found: Gathered, page: dict[str, object]
) -> list[int]:
    statement = _GATHERED.format(fits=found.fits, late=found.late, has_file=_has_file(asked))
    return _asked(connection, statement, found.parameters | page)


def _has_file(asked: PhotoFilter) -> sql.SQL:
    """The condition; how many fit dates or show people PostgreSQL knows, so it may begin with the files."""
    return ANY_FILE if asked.only_dates or asked.persons else HAS_FILE


def _asked(connection: Connection, statement: sql.Composed, given: dict[str, object]) -> list[int]:
    # Planned for these very conditions: some fit ten photos, and some a million.
    return [number for number, *_ in connection.execute(statement, given, prepare=False)]


_IN_ORDER = sql.SQL(
    "SELECT i.id FROM images i WHERE {conditions} ORDER BY {order} OFFSET %(offset)s LIMIT %(limit)s"
)
_TAGGED = sql.SQL(
    """{photos} AND {has_file}
        ORDER BY i.taken DESC NULLS LAST, i.id DESC OFFSET %(offset)s LIMIT %(limit)s"""
)
_WALKED = sql.SQL("{fitting} AND {has_file} OFFSET %(offset)s LIMIT %(limit)s")
_GATHERED = sql.SQL(
    """SELECT i.id FROM (SELECT * FROM ({fits} OFFSET 0) fits
            ORDER BY taken DESC NULLS LAST, id DESC OFFSET 0) i
        WHERE {late} AND {has_file}
        ORDER BY i.taken DESC NULLS LAST, i.id DESC OFFSET %(offset)s LIMIT %(limit)s"""
)
_SHOWN = sql.SQL(
    """SELECT i.sha256, i.width, i.height, i.taken,
            ARRAY(SELECT p.path FROM image_paths p WHERE p.image_id = i.id AND p.reason = '' ORDER BY p.id),
            {distance}
        FROM unnest(%(numbers)s::bigint[]) WITH ORDINALITY AS found (id, place)
            JOIN images i ON i.id = found.id
        ORDER BY found.place"""
)


def count_photos(connection: Connection, asked: PhotoFilter, most: int = MOST_COUNTED) -> int:
    """How many photos there are of these, at most so many."""
    # Where many fit PostgreSQL would merge all photos with all files, of which nearly all are there.
    if asked.only_dates:
        all_hold, given = conditions(asked)
        where = sql.SQL(" AND ").join([*all_hold, sql.SQL("true")])
        some = {"some": _TIMES_AS_MANY * most}
        statement = _SOME_COUNTED.format(conditions=where, has_file=HAS_FILE)
        row = connection.execute(statement, given | some, prepare=False)
        fitting, with_file = only_row(row)
        if with_file >= most or fitting < some["some"]:
            return min(int(with_file), most)
    return _count(connection, asked, sql.SQL("true"), {"most": most})


def count_embedded(connection: Connection, row: ClipRow, asked: PhotoFilter, most: int) -> int:
    """How many photos there are of these that a CLIP model embedded, at most so many."""
    return _count(connection, asked, _HAS_VECTOR, {"most": most, "model": row.id})


def _count(connection: Connection, asked: PhotoFilter, also: sql.Composable, given: dict[str, object]) -> int:
    found = all_fitting(connection, asked)
    statement = _COUNTED.format(fits=found.fits, late=found.late, has_file=_has_file(asked), also=also)
    return int(only_row(connection.execute(statement, found.parameters | given, prepare=False))[0])


_COUNTED = sql.SQL(
    """SELECT count(*) FROM (SELECT FROM ({fits}) i WHERE {late} AND {has_file} AND {also} LIMIT %(most)s)
        AS counted"""
)
_TIMES_AS_MANY = 2
_SOME_COUNTED = sql.SQL(
    """SELECT count(*), count(*) FILTER (WHERE {has_file})
        FROM (SELECT i.id FROM images i WHERE {conditions} LIMIT %(some)s) i"""
)
_HAS_VECTOR = sql.SQL(
    """EXISTS (SELECT FROM image_embeddings e WHERE e.image_id = i.id AND e.model_id = %(model)s OFFSET 0)"""
)


def _all(each: Sequence[sql.Composable]) -> sql.Composable:
    return sql.SQL(" AND ").join([*each, ANY_FILE])


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
