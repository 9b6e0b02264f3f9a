"""Finding faces and images by vector, among those of which all that is asked for holds.

Up to some ten thousand vectors are compared one by one, which is exact and fast enough. Beyond, an index of
half-precision vectors proposes candidates, and the full vectors of the best of them decide. Where conditions
leave few images, these are gathered first and compared one by one: an index would have to be searched far and
wide.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, inf
from typing import Any

from psycopg import sql

from facesets.library_records import ClipRow
from facesets.records import Float32
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.models import DetectorRow
from facesets.store.postgres.paths import from_text
from facesets.store.postgres.photo_conditions import ONE_BY_ONE
from facesets.store.postgres.photo_filter import PhotoFilter, conditions
from facesets.store.postgres.photo_fitting import ANY_FILE
from facesets.store.postgres.photo_latest import about_photos
from facesets.store.postgres.photo_numbers import Numbers, are_sooner_compared, numbers_if_sooner, numbers_of
from facesets.store.postgres.photo_places import distance_from
from facesets.store.postgres.vector_index import CANDIDATES, MOST_AT_ONCE, Vectors, has_index, scan_for

FEWEST_IMAGES = 2_000
"""So many are compared one by one however soon an index would be done, for that is exact."""
_MOST_COMPARED = 60_000
_LEAST_LIMIT = 10
_LOOKED_UP = {"face_embeddings": 4.0, "image_embeddings": 1.25}
"""Times as many as are asked for, of ten at least, among which the full vectors decide.

Two ways of finding faces that share a recogniser find each face twice.
"""
_FARTHER_THAN_MET = 4
"""Where a tenth of a million photos fit, the candidates that hold 25 of them lack four of the ten nearest."""
_SEVERAL_TIMES, _MARGIN = 800, 1.1
"""Of more than one batch: the second takes longer, and after it pgvector has no memory for more."""
_NO_ORDER = sql.SQL("")
_NOTHING: Mapping[str, object] = {}
_OF_PERSON = [sql.SQL("f.person_id = ANY(%(persons)s::uuid[])")]


@dataclass(frozen=True, slots=True)
class FaceHit:
    """A face that is similar to the one asked for; how far away it was taken where a place was asked for."""

    path: str
    cosine_similarity: float
    person: str
    name: str
    face: int
    box: tuple[float, float, float, float]
    taken: str
    distance_km: float | None


def face_vectors(detector: DetectorRow) -> Vectors:
    """The vectors of the faces that were found in one way."""
    return Vectors("face_embeddings", detector.model_id, detector.settings.dimension)


def image_vectors(row: ClipRow) -> Vectors:
    """The vectors of the images that one model embedded."""
    return Vectors("image_embeddings", row.id, row.dimension)


def similar_faces(
    connection: Connection, detector: DetectorRow, embedding: Float32, asked: PhotoFilter, *, limit: int
) -> list[FaceHit]:
    """The faces most similar to a vector, by cosine similarity, best first; of the people asked for."""
    rows = nearest(
        connection,
        face_vectors(detector),
        embedding,
        columns=_FACE,
        source=_FACES,
        asked=asked,
        also=[sql.SQL("f.detector_id = %(detector)s"), *_OF_PERSON[: len(asked.persons)]],
        limit=limit,
        more={"detector": detector.id, "persons": list(asked.persons)},
    )
    return [
        FaceHit(best_path(paths), float(similarity), who, name, face, (x1, y1, x2, y2), taken, km)
        for paths, similarity, taken, km, who, name, face, x1, y1, x2, y2 in rows
    ]


def nearest(
    connection: Connection,
    vectors: Vectors,
    embedding: Float32,
    *,
    columns: sql.Composable,
    source: sql.SQL,
    asked: PhotoFilter,
    limit: int,
    also: Sequence[sql.Composable] = (),
    more: Mapping[str, object] = _NOTHING,
) -> list[tuple[Any, ...]]:
    """Paths, cosine similarity, time, distance and the columns asked for, of the rows nearest to a vector.

    Parameters
    ----------
    also, more : conditions and parameters of the source
    """
    shortlist = int(_LOOKED_UP[vectors.table] * max(limit, _LEAST_LIMIT))
    _, given = conditions(asked)
    parameters = {
        **more,
        **given,
        "query": str([float(number) for number in embedding]),
        "model": vectors.model_id,
        "shortlist": shortlist,
        "limit": limit,
    }
    columns = distance_from(asked.near, sql.SQL("c.image_id")) + columns
    search = _Search(vectors, columns, source, [*also, *conditions(asked)[0]])
    # The faces of somebody are found by an index of their own.
    of_somebody = bool(asked.persons) and vectors.table == "face_embeddings"
    if of_somebody or not has_index(connection, vectors):
        few = None if of_somebody or asked.open else _if_fewer(connection, asked)
        if few is not None:
            return _best_of(connection, replace(search, conditions=also), parameters, few)
        return connection.execute(_among_all(search, in_order=False), parameters).fetchall()
    if asked.open:
        scan_for(connection, max(CANDIDATES, shortlist), farther=False)
        rows = connection.execute(_among_nearest(search), parameters).fetchall()
        return rows if len(rows) == limit else _walked(connection, search, parameters, inf)
    searched = replace(search, conditions=also)
    fitting, met = numbers_if_sooner(connection, asked, wanted=shortlist, few=FEWEST_IMAGES)
    if fitting is not None and (fitting.count <= FEWEST_IMAGES or are_sooner_compared(fitting, met=met)):
        return _best_of(connection, searched, parameters, fitting)
    all_hold = conditions(asked, ONE_BY_ONE)[0]
    if fitting is not None:
        all_hold, parameters["images"] = [_IS_IN[vectors.table]], fitting.text
    walk = replace(search, conditions=[*also, *all_hold])
    rows = _walked(connection, walk, parameters, met)
    if len(rows) < limit:
        # An index is not searched without end: those that it did not come to may fit.
        fitting = fitting or numbers_of(connection, asked, _MOST_COMPARED)
        if fitting is not None and fitting.count > len(rows):
            return _best_of(connection, searched, parameters, fitting)
    return rows


@dataclass(frozen=True, slots=True)
class _Search:
    """Which vectors are searched, what of their rows is asked for, and what has to hold."""

    vectors: Vectors
    columns: sql.Composable
    source: sql.SQL
    conditions: Sequence[sql.Composable]


def _among_nearest(search: _Search) -> sql.Composed:
    """The statement that asks the index alone, so that no join can lead the planner astray.

    Only the best of the candidates are looked up, for that takes as long as to find them. Those whose files
    are all gone do not count: so fewer may be left than are asked for, though farther ones would do.
    """
    nearest = sql.SQL(
        "WITH nearest AS MATERIALIZED (SELECT * FROM {table} WHERE model_id = {model} {order}) "
    )
    return nearest.format(
        table=sql.Identifier(search.vectors.table),
        model=sql.Literal(search.vectors.model_id),
        order=_nearest_first(search.vectors),
    ) + _best(search, sql.Identifier("nearest"))


def _walked(
    connection: Connection, search: _Search, parameters: Mapping[str, object], met: float
) -> list[tuple[Any, ...]]:
    """The rows that fit among those that an index has nearest, until there are enough.

    About so many are `met`.
    """
    scan_for(connection, _at_once(int(str(parameters["shortlist"])), met), farther=True)
    of_images = search.vectors.table == "image_embeddings"
    statement = _among_images(search) if of_images else _among_all(search, in_order=True)
    return connection.execute(statement, parameters, prepare=False).fetchall()


def _at_once(shortlist: int, met: float) -> int:
    """How many candidates an index proposes at a time, where about so many are met until enough fit.

    What one large batch has nearest is nearer than what small ones after each other have; of several the last
    should not be larger than needed.
    """
    candidates = max(CANDIDATES, shortlist)
    if met * _FARTHER_THAN_MET <= candidates:
        return candidates
    if met <= MOST_AT_ONCE or met == inf:
        return MOST_AT_ONCE
    return max(candidates, int(_MARGIN * met / ceil(met / _SEVERAL_TIMES)))


def _among_images(search: _Search) -> sql.Composed:
    """The statement that lets an index go on until there are enough images of which all conditions hold.

    They are asked of the numbers of images alone, where they can be: to look each of them up first takes as
    long as all else together.
    """
    return _NEAREST_IMAGES.format(
        model=sql.Literal(search.vectors.model_id),
        conditions=_and(search.conditions),
        has_file=ANY_FILE,
        order=_nearest_first(search.vectors),
    ) + _best(replace(search, conditions=[]), sql.Identifier("nearest"))


def _among_all(search: _Search, *, in_order: bool) -> sql.Composed:
    """The statement that compares all vectors that fit, or `in_order` of the index until it has enough."""
    table = sql.Identifier(search.vectors.table)
    if not in_order:
        return _best(search, table)
    model = sql.SQL("e.model_id = {}").format(sql.Literal(search.vectors.model_id))
    of_model = replace(search, conditions=[*search.conditions, model])
    return _best(of_model, table, _nearest_first(search.vectors))


def _nearest_first(vectors: Vectors) -> sql.Composed:
    # The query is a vector first: PostgreSQL would otherwise take the whole parameter for a half one.
    return sql.SQL("ORDER BY {half} <=> %(query)s::vector::halfvec({dimension}) LIMIT %(shortlist)s").format(
        half=vectors.half, dimension=sql.Literal(vectors.dimension)
    )


def _best(search: _Search, embeddings: sql.Composable, order: sql.Composable = _NO_ORDER) -> sql.Composed:
    return sql.SQL(
        """SELECT (SELECT array_agg(p.path ORDER BY p.id) FROM image_paths p
                WHERE p.image_id = c.image_id AND p.reason = '') AS paths,
            1 - (c.embedding <=> %(query)s::vector), coalesce(to_char(c.taken, 'YYYY-MM-DD HH24:MI:SS'), ''),
            {columns}
        FROM ({source} {conditions} {order}) c
        ORDER BY c.embedding <=> %(query)s::vector LIMIT %(limit)s"""
    ).format(
        columns=search.columns,
        source=search.source.format(embeddings=embeddings),
        conditions=_and(search.conditions),
        order=order,
    )


def _and(conditions: Sequence[sql.Composable]) -> sql.Composed:
    return sql.SQL("").join(sql.SQL(" AND {}").format(each) for each in conditions)


def _if_fewer(connection: Connection, asked: PhotoFilter) -> Numbers | None:
    """The numbers of the images that fit, where there is no index and those are fewer than half of all."""
    half = int(about_photos(connection) / 2) or _MOST_COMPARED
    return numbers_of(connection, asked, min(half, _MOST_COMPARED))


def _best_of(
    connection: Connection, search: _Search, parameters: Mapping[str, object], few: Numbers
) -> list[tuple[Any, ...]]:
    """The rows that `nearest` gives, where these images alone fit."""
    # The planner would read all vectors sooner than a hundredth of them, which lie apart.
    connection.execute("SET LOCAL enable_seqscan TO off")
    of_images = _OF_IMAGES[search.vectors.table].format(model=sql.Literal(search.vectors.model_id))
    statement = _best(search, of_images)
    limit, best = int(str(parameters["limit"])), int(str(parameters["shortlist"]))
    while True:
        given = {**parameters, "images": few.text, "best": best}
        rows = connection.execute(statement, given, prepare=False).fetchall()
        # Among the best may be some whose files are all gone.
        if len(rows) == limit or best >= few.count:
            break
        best = few.count
    connection.execute("SET LOCAL enable_seqscan TO DEFAULT")
    return rows


# Where no condition looks at when an image was taken PostgreSQL leaves the join out.
_NEAREST_IMAGES = sql.SQL(
    """WITH nearest AS MATERIALIZED (SELECT i.image_id, i.model_id, i.embedding
            FROM (SELECT e.*, e.image_id AS id, t.taken
                FROM image_embeddings e LEFT JOIN images t ON t.id = e.image_id) i
            WHERE i.model_id = {model} {conditions} AND {has_file} {order}) """
)
# Of a constant PostgreSQL makes a hash. To plan with each of its numbers takes as long as to look it up.
_IS_IN = {
    "image_embeddings": sql.SQL("i.id = ANY(%(images)s::bigint[])"),
    "face_embeddings": sql.SQL("f.image_id = ANY(%(images)s::bigint[])"),
}
_OF_IMAGES = {
    "image_embeddings": sql.SQL(
        """(SELECT * FROM image_embeddings
            WHERE model_id = {model} AND image_id = ANY((SELECT %(images)s::bigint[])::bigint[])
            ORDER BY embedding <=> %(query)s::vector LIMIT %(best)s)"""
    ),
    "face_embeddings": sql.SQL(
        """(SELECT * FROM face_embeddings WHERE model_id = {model} AND face_id = ANY(ARRAY(
            SELECT id FROM face_detections WHERE image_id = ANY((SELECT %(images)s::bigint[])::bigint[]))))"""
    ),
}
"""The vectors of some images; of an image's own there is one each, so that the best of them will do."""


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
            AND i.missing_since IS NULL"""
)
IMAGES = sql.SQL(
    """SELECT e.image_id, i.sha256, i.width, i.height, i.taken, e.embedding
        FROM {embeddings} e
        JOIN images i ON i.id = e.image_id
        WHERE e.model_id = %(model)s
            AND i.missing_since IS NULL"""
)


def best_path(paths: Sequence[str]) -> str:
    """The first of the paths of an image where a file is; the canonical one if there is none."""
    known = [from_text(path) for path in paths]
    # Of a single path there is nothing to choose, and a share that does not answer is not waited for.
    return known[0] if len(known) == 1 else next(filter(os.path.lexists, known), known[0])
