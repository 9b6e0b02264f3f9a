"""Find photos by metadata, and photos and faces by similarity.

A search is one statement, which PostgreSQL plans for these very values: so none is prepared. By embedding
there are two plans. The embeddings of up to thirty thousand photos are compared one by one, which is exact.
Of more, an index of half-precision vectors proposes candidates, and the full vectors of the best of them
decide.
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
from facesets.store.postgres.photos.vector_index import CANDIDATES, MOST_AT_ONCE, Vectors, has_index, scanned

MOST_COMPARED = 30_000
"""Photos whose embeddings are compared one by one though there is an index: it takes a tenth of a second."""
_LEAST_LIMIT = 10
_NOTHING, _ANY = sql.SQL(""), sql.SQL("true")
_LOOKED_UP = {"face_embeddings": 4.0, "image_embeddings": 1.25}
"""Times as many as are asked for, of ten at least, among which the full vectors decide.

Two ways of finding faces that share a recognizer find each face twice.
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
    connection: Connection, detector: DetectorRow, embedding: Float32, asked: PhotoFilter, *, limit: int
) -> list[FaceHit]:
    """Find the faces most similar to an embedding, best first, perhaps only of some people."""
    faces = sql.SQL("f.detector_id = {} AND {}").format(detector.id, face_of_one(asked.persons))
    rows = _nearest(connection, face_vectors(detector), embedding, _FACE, asked, limit=limit, condition=faces)
    return [
        FaceHit(best_path(paths), similarity, person, name, face, (x1, y1, x2, y2), taken, km)
        for paths, km, similarity, person, name, face, x1, y1, x2, y2, taken in rows
    ]


def _nearest(
    connection: Connection,
    vectors: Vectors,
    embedding: Float32,
    columns: sql.Composable,
    asked: PhotoFilter,
    *,
    limit: int,
    condition: sql.Composable = _ANY,
) -> list[tuple[Any, ...]]:
    """Return path, distance in km, cosine similarity and some columns of the most similar rows.

    Parameters
    ----------
    columns : of the photo `i`, and of the face `f`
    condition : on the same
    """
    source, link = _ROWS[vectors.table]
    shortlist = int(_LOOKED_UP[vectors.table] * max(limit, _LEAST_LIMIT))
    parts = {
        "columns": columns,
        "distance": distance_from(asked.near),
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
    all_hold = sql.SQL(" AND ").join([condition, conditions(asked)])
    among_all = _BEST.format(**parts, embeddings=parts["table"], fitting=_NOTHING, conditions=all_hold)
    # The faces of a person are found by an index of their own.
    has_people = bool(asked.persons) and vectors.table == "face_embeddings"
    if has_people or not has_index(connection, vectors):
        return connection.execute(among_all, prepare=False).fetchall()
    if not asked.open:
        numbers = _numbers(connection, asked)
        if len(numbers) <= MOST_COMPARED:
            among = _BEST.format(
                **parts, embeddings=parts["table"], fitting=_AMONG.format(numbers), conditions=condition
            )
            return connection.execute(among, prepare=False).fetchall()
    candidates = _CANDIDATES.format(**parts, conditions=all_hold)
    best = _BEST.format(**parts, embeddings=sql.SQL("candidates"), fitting=_NOTHING, conditions=_ANY)
    with scanned(connection, max(CANDIDATES, shortlist) if asked.open else MOST_AT_ONCE):
        rows = connection.execute(candidates + best, prepare=False).fetchall()
    # An index is not searched without end: those that it did not come to may fit.
    return rows if len(rows) == limit else connection.execute(among_all, prepare=False).fetchall()


def _numbers(connection: Connection, asked: PhotoFilter) -> list[int]:
    """Return the numbers of matching photos, up to one more than can be compared."""
    statement = _NUMBERS.format(conditions=conditions(asked), most=MOST_COMPARED + 1)
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

# Planned as if all were wanted.
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
# Conditions are checked for one candidate after the other.
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
    # Of a single path there is nothing to choose, and a share that does not answer is not waited for.
    return known[0] if len(known) == 1 else next(filter(os.path.lexists, known), known[0])


MOST_COUNTED = 10_000
"""Maximum number of photos that are counted and shown."""


@dataclass(frozen=True, slots=True)
class FoundPhoto:
    """A photo.

    Attributes
    ----------
    paths : list of str
        Where it is, as the library keeps it.
    cosine_similarity : float or None
        To the words or the photo searched for.
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
# that do not match if the user moved house.
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
    """Find photos with a file, latest first; without conditions, those added last."""
    statement = _PAGE.format(
        distance=distance_from(asked.near),
        conditions=conditions(asked),
        order=_ADDED_LAST if asked.open else _LATEST_DATED if asked.only_dates else _LATEST,
        offset=offset,
        limit=limit,
    )
    return [FoundPhoto(*row) for row in connection.execute(statement, prepare=False)]


def count_photos(connection: Connection, asked: PhotoFilter, most: int = MOST_COUNTED) -> int:
    """Count these photos, up to a maximum."""
    return _count(connection, conditions(asked), most)


def count_embedded(connection: Connection, row: ClipRow, asked: PhotoFilter, most: int) -> int:
    """Count these photos that a CLIP model embedded, up to a maximum."""
    embedded = sql.SQL(" AND ").join([conditions(asked), _HAS_VECTOR.format(model=row.id)])
    return _count(connection, embedded, most)


def _count(connection: Connection, all_hold: sql.Composed, most: int) -> int:
    statement = _COUNTED.format(conditions=all_hold, most=most)
    return int(connection.one(statement, prepare=False)[0])


def photos_near(
    connection: Connection, row: ClipRow, embedding: Float32, asked: PhotoFilter, *, limit: int
) -> list[FoundPhoto]:
    """Find the photos most similar to an embedding of a CLIP model, best first."""
    columns = sql.SQL("i.sha256, i.width, i.height, i.taken")
    rows = _nearest(connection, image_vectors(row), embedding, columns, asked, limit=limit)
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
