"""Find photos by metadata, and photos and faces by similarity.

A search is one statement, planned by PostgreSQL for these very values, so it is not prepared. A search by
embedding has two plans. The embeddings of up to thirty thousand photos are compared one by one, which is
exact. For more, an index of half-precision vectors proposes candidates, and the full vectors of the best
candidates decide.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import sql

from facesets.library_records import ClipRow
from facesets.records import Float32
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.models import DetectorRow
from facesets.store.postgres.paths import from_text
from facesets.store.postgres.photos.filter import PhotoFilter, conditions, distance_from, face_of_one
from facesets.store.postgres.photos.vector_index import CANDIDATES, MAX_AT_ONCE, Vectors, has_index, scanned

MAX_COMPARED = 30_000
"""Maximum photos whose embeddings are compared one by one despite an index; it takes a tenth of a second."""
_MIN_LIMIT = 10
_NOTHING, _ANY = sql.SQL(""), sql.SQL("true")
_LOOKED_UP = {"face_embeddings": 4.0, "image_embeddings": 1.25}
"""Candidates compared by full vectors, as a multiple of the requested number (at least ten).

If two detectors share a recognizer, each face is found twice.
"""


@dataclass(frozen=True, slots=True)
class FaceHit:
    """A similar face; with the distance if a place was given."""

    path: str
    cosine_similarity: float
    person: str
    name: str
    face: int
    box: tuple[float, float, float, float]
    taken: str
    distance_km: float | None


def face_vectors(detector: DetectorRow) -> Vectors:
    """Return the table of face embeddings of a detector."""
    return Vectors("face_embeddings", detector.model_id, detector.settings.dimension)


def image_vectors(row: ClipRow) -> Vectors:
    """Return the table of photo embeddings of a model."""
    return Vectors("image_embeddings", row.id, row.dimension)


def similar_faces(
    connection: Connection,
    detector: DetectorRow,
    embedding: Float32,
    photo_filter: PhotoFilter,
    *,
    limit: int,
) -> list[FaceHit]:
    """Find the faces most similar to an embedding, best first, perhaps only of some people."""
    faces = sql.SQL("f.detector_id = {} AND {}").format(detector.id, face_of_one(photo_filter.persons))
    rows = _nearest(
        connection, face_vectors(detector), embedding, _FACE, photo_filter, limit=limit, condition=faces
    )
    return [
        FaceHit(best_path(paths), similarity, person, name, face, (x1, y1, x2, y2), taken, km)
        for paths, km, similarity, person, name, face, x1, y1, x2, y2, taken in rows
    ]


def _nearest(
    connection: Connection,
    vectors: Vectors,
    embedding: Float32,
    columns: sql.Composable,
    photo_filter: PhotoFilter,
    *,
    limit: int,
    condition: sql.Composable = _ANY,
) -> list[tuple[Any, ...]]:
    """Return path, distance in km, cosine similarity and some columns of the most similar rows.

    Parameters
    ----------
    columns : columns of the photo `i` and the face `f`
    condition : a condition on these
    """
    source, link = _ROWS[vectors.table]
    shortlist = int(_LOOKED_UP[vectors.table] * max(limit, _MIN_LIMIT))
    parts = {
        "columns": columns,
        "distance": distance_from(photo_filter.near),
        "table": sql.Identifier(vectors.table),
        "source": source,
        "link": link,
        "model": vectors.model_id,
        "half": vectors.half,
        "dimension": vectors.dimension,
        "query": str(embedding.tolist()),
        "shortlist": shortlist,
        "limit": limit,
    }
    all_hold = sql.SQL(" AND ").join([condition, conditions(photo_filter)])
    among_all = _BEST.format(**parts, embeddings=parts["table"], fitting=_NOTHING, conditions=all_hold)
    # A separate index finds the faces of a person.
    has_people = bool(photo_filter.persons) and vectors.table == "face_embeddings"
    if has_people or not has_index(connection, vectors):
        return connection.execute(among_all, prepare=False).fetchall()
    if not photo_filter.open:
        numbers = _numbers(connection, photo_filter)
        if len(numbers) <= MAX_COMPARED:
            among = _BEST.format(
                **parts, embeddings=parts["table"], fitting=_AMONG.format(numbers), conditions=condition
            )
            return connection.execute(among, prepare=False).fetchall()
    candidates = _CANDIDATES.format(**parts, conditions=all_hold)
    best = _BEST.format(**parts, embeddings=sql.SQL("candidates"), fitting=_NOTHING, conditions=_ANY)
    with scanned(connection, max(CANDIDATES, shortlist) if photo_filter.open else MAX_AT_ONCE):
        rows = connection.execute(candidates + best, prepare=False).fetchall()
    # The index search is bounded: rows that it did not reach may match.
    return rows if len(rows) == limit else connection.execute(among_all, prepare=False).fetchall()


def _numbers(connection: Connection, photo_filter: PhotoFilter) -> list[int]:
    """Return the numbers of matching photos, up to one more than can be compared."""
    statement = _NUMBERS.format(conditions=conditions(photo_filter), most=MAX_COMPARED + 1)
    numbers: list[int] = connection.one(statement, prepare=False)[0]
    return numbers


_ROWS = {
    "image_embeddings": (sql.SQL("images i"), sql.SQL("i.id = e.image_id")),
    "face_embeddings": (
        sql.SQL("(face_detections f JOIN images i ON i.id = f.image_id)"),
        sql.SQL("f.id = e.face_id"),
    ),
}
"""The owners of the embeddings of each table, and their keys."""

# Planned as if all rows were wanted.
_NUMBERS = sql.SQL(
    """WITH fitting AS MATERIALIZED (SELECT i.id FROM images i WHERE {conditions})
        SELECT ARRAY(SELECT id FROM fitting LIMIT {most})"""
)
_BEST = sql.SQL(
    """SELECT ARRAY(SELECT p.path FROM image_paths p WHERE p.image_id = i.id AND p.reason = '' ORDER BY p.id),
            {distance}, 1 - (e.embedding <=> {query}::vector), {columns}
        FROM {embeddings} e JOIN {source} ON {link} {fitting}
        WHERE e.model_id = {model} AND {conditions}
        ORDER BY e.embedding <=> {query}::vector LIMIT {limit}"""
)
_AMONG = sql.SQL("JOIN unnest({}::bigint[]) AS fitting (id) ON fitting.id = i.id")
# Conditions are checked one candidate at a time.
_CANDIDATES = sql.SQL(
    """WITH candidates AS MATERIALIZED (SELECT e.* FROM {table} e
        WHERE e.model_id = {model} AND EXISTS (SELECT FROM {source} WHERE {link} AND {conditions} OFFSET 0)
        ORDER BY e.{half} <=> {query}::halfvec({dimension}) LIMIT {shortlist}) """
)
_FACE = sql.SQL(
    """coalesce(f.person_id::text, ''),
        coalesce((SELECT n.name FROM person_names n WHERE n.person_id = f.person_id
            ORDER BY n.id LIMIT 1), ''),
        f.id, f.x1, f.y1, f.x2, f.y2, coalesce(to_char(i.taken, 'YYYY-MM-DD HH24:MI:SS'), '')"""
)


def best_path(paths: Sequence[str]) -> str:
    """Return the first path of a photo with a file, else its canonical path."""
    known = [from_text(path) for path in paths]
    # With a single path there is no choice, and no wait for an unresponsive share.
    return known[0] if len(known) == 1 else next(filter(os.path.lexists, known), known[0])


MAX_COUNTED = 10_000
"""Maximum number of photos that are counted and shown."""


@dataclass(frozen=True, slots=True)
class FoundPhoto:
    """A photo.

    Attributes
    ----------
    paths : list of str
        Its paths, as stored in the library.
    cosine_similarity : float or None
        Similarity to the words or the photo searched for.
    distance_km : float or None
        Distance from the place searched for.
    """

    sha256: str
    width: int
    height: int
    taken: datetime | None
    paths: list[str]
    distance_km: float | None = None
    cosine_similarity: float | None = None


_ADDED_LAST = sql.SQL("i.id DESC")
# With only date conditions, the index of times gives the latest first: undated photos are excluded anyway.
_LATEST_DATED = sql.SQL("i.taken DESC, i.id DESC")
# With other conditions no index should provide the order: PostgreSQL would walk it, perhaps past ten years
# of photos that do not match.
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
# Planned as if all rows were wanted: for a few, PostgreSQL would test photo after photo, perhaps without a
# match.
_COUNTED = sql.SQL(
    """WITH fitting AS MATERIALIZED (SELECT 1 FROM images i WHERE {conditions})
        SELECT count(*) FROM (SELECT FROM fitting LIMIT {most}) AS counted"""
)
_HAS_VECTOR = sql.SQL(
    "EXISTS (SELECT FROM image_embeddings e WHERE e.image_id = i.id AND e.model_id = {model})"
)


def find_photos(
    connection: Connection, photo_filter: PhotoFilter, *, offset: int, limit: int
) -> list[FoundPhoto]:
    """Find photos with a file, latest first; without conditions, those added last."""
    statement = _PAGE.format(
        distance=distance_from(photo_filter.near),
        conditions=conditions(photo_filter),
        order=_ADDED_LAST if photo_filter.open else _LATEST_DATED if photo_filter.only_dates else _LATEST,
        offset=offset,
        limit=limit,
    )
    return [FoundPhoto(*row) for row in connection.execute(statement, prepare=False)]


def count_photos(connection: Connection, photo_filter: PhotoFilter, most: int = MAX_COUNTED) -> int:
    """Count these photos, up to a maximum."""
    return _count(connection, conditions(photo_filter), most)


def count_embedded(connection: Connection, row: ClipRow, photo_filter: PhotoFilter, most: int) -> int:
    """Count these photos that a CLIP model embedded, up to a maximum."""
    embedded = sql.SQL(" AND ").join([conditions(photo_filter), _HAS_VECTOR.format(model=row.id)])
    return _count(connection, embedded, most)


def _count(connection: Connection, all_hold: sql.Composed, most: int) -> int:
    statement = _COUNTED.format(conditions=all_hold, most=most)
    return int(connection.one(statement, prepare=False)[0])


def photos_near(
    connection: Connection, row: ClipRow, embedding: Float32, photo_filter: PhotoFilter, *, limit: int
) -> list[FoundPhoto]:
    """Find the photos most similar to an embedding of a CLIP model, best first."""
    columns = sql.SQL("i.sha256, i.width, i.height, i.taken")
    rows = _nearest(connection, image_vectors(row), embedding, columns, photo_filter, limit=limit)
    return [
        FoundPhoto(sha256, width, height, taken, paths, km, similarity)
        for paths, km, similarity, sha256, width, height, taken in rows
    ]


def embedding_of_photo(connection: Connection, row: ClipRow, sha256: str) -> Float32 | None:
    """Return the embedding of a photo by a CLIP model; None if it has none."""
    found = connection.scalar(
        """SELECT e.embedding FROM image_embeddings e JOIN images i ON i.id = e.image_id
            WHERE i.sha256 = %s AND e.model_id = %s""",
        (sha256, row.id),
    )
    return None if found is None else found.to_numpy()


def times_of_photos(connection: Connection) -> tuple[datetime, datetime] | None:
    """Return the dates of the first and the last photo; None if no photo has one."""
    first, last = connection.one("SELECT min(taken), max(taken) FROM present_images")
    return None if first is None else (first, last)
