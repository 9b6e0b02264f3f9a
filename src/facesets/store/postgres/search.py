"""Finding faces and images by vector, and images by who is on them.

Up to some ten thousand vectors are compared one by one, which is exact and fast enough. Beyond, an index of
half-precision vectors proposes candidates, and the full vectors of the best of them decide. Where conditions
leave few images, those are compared one by one all the same: an index would have to be searched far and wide.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from psycopg import sql

from facesets.library_records import AgeRange
from facesets.records import Float32
from facesets.store.postgres.connection import Connection, only_row
from facesets.store.postgres.models import ClipRow, DetectorRow
from facesets.store.postgres.paths import from_text
from facesets.store.postgres.photo_ages import of_age
from facesets.store.postgres.vector_index import CANDIDATES, Vectors, has_index, scan_for

FEW_IMAGES = 20_000
# Times as many as are asked for, of ten at least. Two ways of finding faces that share a recogniser find each
# face twice, and among so many the order by half-precision vectors misses none that full ones put first.
_LOOKED_UP, _LEAST_LIMIT = 4, 10
_NO_ORDER = sql.SQL("")


@dataclass(frozen=True, slots=True)
class Dates:
    """Images taken from the first day to the last, both included; None is open."""

    first: date | None = None
    last: date | None = None

    @property
    def open(self) -> bool:
        """Whether images of all days and of none are meant."""
        return self.first is None and self.last is None


@dataclass(frozen=True, slots=True)
class FaceHit:
    """A face that is similar to the one asked for."""

    path: str
    cosine_similarity: float
    person: str
    name: str
    face: int
    box: tuple[float, float, float, float]
    taken: str


@dataclass(frozen=True, slots=True)
class ImageHit:
    """An image that shows the person asked for."""

    path: str
    name: str
    taken: str


@dataclass(frozen=True, slots=True)
class SimilarImage:
    """An image that is similar to the words or the picture asked for."""

    path: str
    cosine_similarity: float
    taken: str


def face_vectors(detector: DetectorRow) -> Vectors:
    """The vectors of the faces that were found in one way."""
    return Vectors("face_embeddings", detector.model_id, detector.settings.dimension)


def image_vectors(row: ClipRow) -> Vectors:
    """The vectors of the images that one model embedded."""
    return Vectors("image_embeddings", row.id, row.dimension)


def similar_faces(
    connection: Connection,
    detector: DetectorRow,
    embedding: Float32,
    *,
    dates: Dates,
    person: str | None,
    limit: int,
) -> list[FaceHit]:
    """The faces most similar to a vector, by cosine similarity, best first; of a person, if one is given."""
    conditions = [sql.SQL("f.detector_id = %(detector)s")]
    if person is not None:
        conditions.append(sql.SQL("f.person_id = %(person)s::uuid"))
    rows = nearest(
        connection,
        face_vectors(detector),
        embedding,
        columns=_FACE,
        source=_FACES,
        conditions=conditions,
        dates=dates,
        person=person,
        limit=limit,
        more={"detector": detector.id},
    )
    return [
        FaceHit(_best_path(paths), float(similarity), who, name, face, (x1, y1, x2, y2), taken)
        for paths, similarity, taken, who, name, face, x1, y1, x2, y2 in rows
    ]


def similar_images(
    connection: Connection,
    row: ClipRow,
    embedding: Float32,
    *,
    dates: Dates,
    person: str | None,
    limit: int,
) -> list[SimilarImage]:
    """The images most similar to a vector, likewise; that show a person, if one is given."""
    conditions = []
    if person is not None:
        conditions.append(
            sql.SQL("i.id IN (SELECT f.image_id FROM face_detections f WHERE f.person_id = %(person)s::uuid)")
        )
    rows = nearest(
        connection,
        image_vectors(row),
        embedding,
        columns=sql.SQL(""),
        source=IMAGES,
        conditions=conditions,
        dates=dates,
        person=person,
        limit=limit,
        more={},
    )
    return [SimilarImage(_best_path(paths), float(similarity), taken) for paths, similarity, taken in rows]


def nearest(
    connection: Connection,
    vectors: Vectors,
    embedding: Float32,
    *,
    columns: sql.SQL,
    source: sql.SQL,
    conditions: Sequence[sql.Composable],
    dates: Dates,
    person: str | None,
    limit: int,
    more: Mapping[str, object],
) -> list[tuple[Any, ...]]:
    """Paths, cosine similarity, time and the columns asked for, of the rows nearest to a vector."""
    shortlist = _LOOKED_UP * max(limit, _LEAST_LIMIT)
    candidates = max(CANDIDATES, shortlist)
    parameters = dict(more) | {
        "query": str([float(number) for number in embedding]),
        "model": vectors.model_id,
        "shortlist": shortlist,
        "limit": limit,
        "first": dates.first,
        "last": dates.last,
        "person": person,
    }
    conditions = [*conditions, *taken_on(dates)]
    if not has_index(connection, vectors) or _are_few(connection, dates, person):
        compare = _among_all(vectors, columns, source, conditions, in_order=False)
        return connection.execute(compare, parameters).fetchall()
    rows: list[tuple[Any, ...]] = []
    if dates.open:
        scan_for(connection, candidates, farther=False)
        by_index = _among_nearest(vectors, columns, source, conditions)
        rows = connection.execute(by_index, parameters).fetchall()
    if len(rows) < limit:
        scan_for(connection, candidates, farther=True)
        in_order = _among_all(vectors, columns, source, conditions, in_order=True)
        rows = connection.execute(in_order, parameters).fetchall()
    return rows


def _among_nearest(
    vectors: Vectors, columns: sql.SQL, source: sql.SQL, conditions: Sequence[sql.Composable]
) -> sql.Composed:
    """The statement that asks the index alone, so that no join can lead the planner astray.

    Only the best of the candidates are looked up, for that takes as long as to find them. Those whose files
    are all gone do not count: so fewer may be left than are asked for, though farther ones would do.
    """
    nearest = sql.SQL(
        "WITH nearest AS MATERIALIZED (SELECT * FROM {table} WHERE model_id = {model} {order}) "
    )
    return nearest.format(
        table=sql.Identifier(vectors.table),
        model=sql.Literal(vectors.model_id),
        order=_nearest_first(vectors),
    ) + _best(columns, source, sql.Identifier("nearest"), conditions)


def _among_all(
    vectors: Vectors,
    columns: sql.SQL,
    source: sql.SQL,
    conditions: Sequence[sql.Composable],
    *,
    in_order: bool,
) -> sql.Composed:
    """The statement that compares all vectors that fit, or `in_order` of the index until it has enough."""
    table = sql.Identifier(vectors.table)
    if not in_order:
        return _best(columns, source, table, conditions)
    model = sql.SQL("e.model_id = {}").format(sql.Literal(vectors.model_id))
    return _best(columns, source, table, [*conditions, model], _nearest_first(vectors))


def _nearest_first(vectors: Vectors) -> sql.Composed:
    # The query is a vector first: PostgreSQL would otherwise take the whole parameter for a half one.
    return sql.SQL("ORDER BY {half} <=> %(query)s::vector::halfvec({dimension}) LIMIT %(shortlist)s").format(
        half=vectors.half, dimension=sql.Literal(vectors.dimension)
    )


def _best(
    columns: sql.SQL,
    source: sql.SQL,
    embeddings: sql.Identifier,
    conditions: Sequence[sql.Composable],
    order: sql.Composable = _NO_ORDER,
) -> sql.Composed:
    return sql.SQL(
        """SELECT (SELECT array_agg(p.path ORDER BY p.id) FROM image_paths p
                WHERE p.image_id = c.image_id AND p.reason = '') AS paths,
            1 - (c.embedding <=> %(query)s::vector), coalesce(to_char(c.taken, 'YYYY-MM-DD HH24:MI:SS'), '')
            {columns}
        FROM ({source} {conditions} {order}) c
        ORDER BY c.embedding <=> %(query)s::vector LIMIT %(limit)s"""
    ).format(
        columns=columns,
        source=source.format(embeddings=embeddings),
        conditions=sql.SQL("").join(sql.SQL(" AND {}").format(each) for each in conditions),
        order=order,
    )


def _are_few(connection: Connection, dates: Dates, person: str | None) -> bool:
    """Whether so few images are left by the conditions that each is better compared."""
    if person is not None:
        return True
    if dates.open:
        return False
    counted = connection.execute(
        sql.SQL("SELECT count(*) FROM (SELECT FROM images i WHERE {} LIMIT %(few)s) AS counted").format(
            sql.SQL(" AND ").join(taken_on(dates))
        ),
        {"first": dates.first, "last": dates.last, "few": FEW_IMAGES + 1},
    )
    return int(only_row(counted)[0]) <= FEW_IMAGES


def taken_on(dates: Dates) -> list[sql.SQL]:
    """The conditions that an image `i` was taken then; their parameters are `first` and `last`."""
    ends = []
    if dates.first is not None:
        ends.append(sql.SQL("i.taken >= %(first)s::date"))
    if dates.last is not None:
        ends.append(sql.SQL("i.taken < %(last)s::date + 1"))
    return ends


_FACE = sql.SQL(
    """, coalesce(c.person_id::text, ''),
        coalesce((SELECT n.name FROM person_names n WHERE n.person_id = c.person_id
            ORDER BY n.id LIMIT 1), ''),
        c.id, c.x1, c.y1, c.x2, c.y2"""
)
_FACES = sql.SQL(
    """SELECT f.id, f.image_id, f.person_id, f.x1, f.y1, f.x2, f.y2, i.taken, e.embedding
        FROM {embeddings} e
        JOIN face_detections f ON f.id = e.face_id
        JOIN images i ON i.id = f.image_id
        WHERE e.model_id = %(model)s
            AND EXISTS (SELECT FROM image_paths p WHERE p.image_id = i.id AND p.reason = '')"""
)
IMAGES = sql.SQL(
    """SELECT e.image_id, i.sha256, i.width, i.height, i.taken, e.embedding
        FROM {embeddings} e
        JOIN images i ON i.id = e.image_id
        WHERE e.model_id = %(model)s
            AND EXISTS (SELECT FROM image_paths p WHERE p.image_id = i.id AND p.reason = '')"""
)


def images_of_person(
    connection: Connection,
    person: UUID,
    name: str,
    *,
    dates: Dates,
    ages: AgeRange | None = None,
    limit: int,
) -> list[ImageHit]:
    """Images that show a person, oldest first, as hits of that name; at some age, if it is given."""
    aged, given = of_age(ages, [person])
    statement = sql.SQL(
        """SELECT (SELECT array_agg(p.path ORDER BY p.id) FROM image_paths p
                WHERE p.image_id = i.id AND p.reason = '') AS paths,
                coalesce(to_char(i.taken, 'YYYY-MM-DD HH24:MI:SS'), '')
            FROM images i
            WHERE EXISTS (SELECT FROM face_detections f
                    WHERE f.image_id = i.id AND f.person_id = %(person)s::uuid)
                AND {conditions}
            ORDER BY i.taken NULLS LAST, paths LIMIT %(limit)s"""
    ).format(
        conditions=sql.SQL(" AND ").join(
            [
                sql.SQL("EXISTS (SELECT FROM image_paths p WHERE p.image_id = i.id AND p.reason = '')"),
                *taken_on(dates),
                *aged,
            ]
        )
    )
    rows = connection.execute(
        statement, given | {"person": person, "first": dates.first, "last": dates.last, "limit": limit}
    ).fetchall()
    return [ImageHit(_best_path(paths), name, taken) for paths, taken in rows]


def _best_path(paths: Sequence[str]) -> str:
    """The first of the paths of an image where a file is; the canonical one if there is none."""
    known = [from_text(path) for path in paths]
    # Of a single path there is nothing to choose, and a share that does not answer is not waited for.
    return known[0] if len(known) == 1 else next(filter(os.path.lexists, known), known[0])
