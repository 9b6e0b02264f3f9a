"""Finding faces by vector and images by who is on them.

Up to some ten thousand faces are compared one by one, which is exact and fast enough. Beyond, an index
of half-precision vectors proposes candidates, whose full vectors then decide.
"""

from dataclasses import dataclass
from datetime import date

import psycopg
from psycopg import errors, sql

from facesets.records import Float32
from facesets.store.postgres.connection import Connection, only_row
from facesets.store.postgres.models import DetectorRow
from facesets.store.postgres.paths import from_text

_CANDIDATES = 200
_EF_CONSTRUCTION = 200
_BUILD_MEMORY = "1GB"


@dataclass(frozen=True, slots=True)
class Dates:
    """Images taken from the first day to the last, both included; None is open."""

    first: date | None = None
    last: date | None = None


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


def index_name(model_id: int) -> str:
    """What the index over the vectors of one model is called."""
    return f"face_embeddings_hnsw_{model_id}"


def has_index(connection: Connection, model_id: int) -> bool:
    """Whether there is a sound index over the vectors of a model."""
    row = connection.execute(
        "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)", (index_name(model_id),)
    ).fetchone()
    return row is not None and bool(row[0])


def build_index(connection: Connection, detector: DetectorRow) -> None:
    """Build the index over the vectors of a model, beside ongoing work; in no transaction.

    Several workers at it need shared memory that containers often lack; then one does it.
    """
    name = sql.Identifier(index_name(detector.model_id))
    dimension, model = sql.Literal(detector.settings.dimension), sql.Literal(detector.model_id)
    statement = sql.SQL(
        """CREATE INDEX CONCURRENTLY {name} ON face_embeddings
            USING hnsw ((embedding::halfvec({dimension})) halfvec_cosine_ops)
            WITH (m = 24, ef_construction = {ef}) WHERE model_id = {model}"""
    ).format(name=name, dimension=dimension, ef=sql.Literal(_EF_CONSTRUCTION), model=model)
    connection.execute("SELECT set_config('maintenance_work_mem', %s, false)", (_BUILD_MEMORY,))
    for workers in ("2", "0"):
        connection.execute(sql.SQL("DROP INDEX CONCURRENTLY IF EXISTS {name}").format(name=name))
        connection.execute("SELECT set_config('max_parallel_maintenance_workers', %s, false)", (workers,))
        try:
            connection.execute(statement)
        except (errors.DiskFull, errors.OutOfMemory):
            if workers == "0":
                raise
        else:
            # Without fresh numbers the planner may compare every face all the same.
            connection.execute("ANALYZE face_embeddings, face_detections, images")
            return


def drop_index(connection: Connection, model_id: int) -> None:
    """Remove the index over the vectors of a model."""
    name = sql.Identifier(index_name(model_id))
    connection.execute(sql.SQL("DROP INDEX IF EXISTS {name}").format(name=name))


def count_vectors(connection: Connection, detector: DetectorRow) -> int:
    """How many faces were found in this way."""
    counted = connection.execute(
        "SELECT count(*) FROM face_detections WHERE detector_id = %s", (detector.id,)
    )
    return int(only_row(counted)[0])


def similar_faces(
    connection: Connection, detector: DetectorRow, embedding: Float32, *, dates: Dates, limit: int
) -> list[FaceHit]:
    """The faces most similar to a vector, by cosine similarity, best first."""
    indexed = has_index(connection, detector.model_id)
    nearest = _proposed(detector) if indexed else _EXACT
    if indexed:
        candidates = str(min(max(_CANDIDATES, 2 * limit), 1000))
        connection.execute("SELECT set_config('hnsw.ef_search', %s, true)", (candidates,))
        try:
            with connection.transaction():
                connection.execute("SELECT set_config('hnsw.iterative_scan', 'relaxed_order', true)")
        except psycopg.errors.UndefinedObject:
            pass
    vector = str([float(number) for number in embedding])
    rows = connection.execute(
        nearest,
        {
            "query": vector,
            "model": detector.model_id,
            "detector": detector.id,
            "candidates": max(_CANDIDATES, 2 * limit),
            "limit": limit,
            "first": dates.first,
            "last": dates.last,
        },
    ).fetchall()
    return [
        FaceHit(from_text(path), float(similarity), person, name, face, (x1, y1, x2, y2), taken)
        for path, similarity, person, name, face, x1, y1, x2, y2, taken in rows
    ]


_COLUMNS = sql.SQL(
    """SELECT (SELECT p.path FROM image_paths p WHERE p.image_id = c.image_id AND p.reason = ''
            ORDER BY p.id LIMIT 1) AS path,
        1 - (c.embedding <=> %(query)s::vector), coalesce(c.person_id::text, ''),
        coalesce((SELECT n.name FROM person_names n WHERE n.person_id = c.person_id
            ORDER BY n.id LIMIT 1), ''),
        c.id, c.x1, c.y1, c.x2, c.y2, coalesce(to_char(c.taken, 'YYYY-MM-DD HH24:MI:SS'), '')
    FROM ("""
)
_FROM = sql.SQL(
    """SELECT f.id, f.image_id, f.person_id, f.x1, f.y1, f.x2, f.y2, i.taken, e.embedding
        FROM face_embeddings e
        JOIN face_detections f ON f.id = e.face_id
        JOIN images i ON i.id = f.image_id
        WHERE e.model_id = %(model)s AND f.detector_id = %(detector)s
            AND (%(first)s::date IS NULL OR i.taken >= %(first)s::date)
            AND (%(last)s::date IS NULL OR i.taken < %(last)s::date + 1)
            AND EXISTS (SELECT FROM image_paths p WHERE p.image_id = i.id AND p.reason = '')"""
)
_BEST = sql.SQL(") c ORDER BY c.embedding <=> %(query)s::vector LIMIT %(limit)s")
_EXACT = sql.Composed([_COLUMNS, _FROM, _BEST])


def _proposed(detector: DetectorRow) -> sql.Composed:
    """The same with candidates from the index; its expression must be in the statement as it was built.

    The query is a vector first: PostgreSQL would otherwise take the whole parameter for a half-precision one.
    """
    return sql.Composed(
        [
            _COLUMNS,
            _FROM,
            sql.SQL(
                """ AND e.model_id = {model}
                ORDER BY e.embedding::halfvec({dimension}) <=> %(query)s::vector::halfvec({dimension})
                LIMIT %(candidates)s"""
            ).format(
                model=sql.Literal(detector.model_id), dimension=sql.Literal(detector.settings.dimension)
            ),
            _BEST,
        ]
    )


def images_of_person(connection: Connection, name: str, *, dates: Dates, limit: int) -> list[ImageHit] | None:
    """Images that show a person, oldest first; None when nobody has that name, in whatever case."""
    known = connection.execute(
        """SELECT coalesce(p.merged_into_id, p.id), n.name FROM person_names n
            JOIN persons p ON p.id = n.person_id WHERE lower(n.name) = lower(%s)""",
        (name,),
    ).fetchone()
    if known is None:
        return None
    rows = connection.execute(
        """SELECT (SELECT p.path FROM image_paths p WHERE p.image_id = i.id AND p.reason = ''
                ORDER BY p.id LIMIT 1) AS path,
                coalesce(to_char(i.taken, 'YYYY-MM-DD HH24:MI:SS'), '')
            FROM images i
            WHERE EXISTS (SELECT FROM face_detections f WHERE f.image_id = i.id AND f.person_id = %(person)s)
                AND EXISTS (SELECT FROM image_paths p WHERE p.image_id = i.id AND p.reason = '')
                AND (%(first)s::date IS NULL OR i.taken >= %(first)s::date)
                AND (%(last)s::date IS NULL OR i.taken < %(last)s::date + 1)
            ORDER BY i.taken NULLS LAST, path LIMIT %(limit)s""",
        {"person": known[0], "first": dates.first, "last": dates.last, "limit": limit},
    ).fetchall()
    return [ImageHit(from_text(path), known[1], taken) for path, taken in rows]
