"""Prototypes made from a person's faces, and stored."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, LiteralString
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from psycopg import sql

from facesets.clustering.known_recognizers import NormLimits
from facesets.records import Float32
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.copying import (
    FLOAT4,
    INT2,
    INT4,
    INT8,
    copy_in,
    copy_out,
    float4_array,
    text,
    times,
    values,
    vector,
)
from facesets.store.postgres.copying import UUID as UUID_FIELD
from facesets.store.postgres.models import DetectorRow
from facesets.store.postgres.people.face_details import library_norm_limits
from facesets.store.postgres.people.people_state import replacing_computed

_FACES_AT_ONCE = 100_000
"""Faces read at once to make prototypes: 200 MiB of embeddings."""

_EPOCH = np.datetime64("2000-01-01", "D")


@dataclass(frozen=True, slots=True)
class PrototypeSource:
    """A person, the number of faces to make prototypes of, and their fingerprint."""

    person: UUID
    faces: int
    fingerprint: int


def make_prototypes(
    connection: Connection, detector: DetectorRow, sources: Sequence[PrototypeSource]
) -> None:
    """Replace these people's prototypes. The caller must hold the lock."""
    start = total = 0
    for place, each in enumerate(sources):
        if total and total + each.faces > _FACES_AT_ONCE:
            _make(connection, detector, sources[start:place])
            start, total = place, 0
        total += each.faces
    _make(connection, detector, sources[start:])


@dataclass(frozen=True, slots=True)
class _Row:
    """A prototype to store; `days` are the first and the last of an era, from 2000."""

    person: UUID
    vector: Float32
    face_id: int = -1
    faces: int = 1
    days: tuple[int, int] | None = None


def _make(connection: Connection, detector: DetectorRow, sources: Sequence[PrototypeSource]) -> None:
    persons = [each.person for each in sources]
    of_model = {"model": detector.model_id, "persons": persons}
    with replacing_computed(connection):
        for table in ("person_prototypes", "prototype_sources"):
            statement = sql.SQL(
                "DELETE FROM {} WHERE model_id = %(model)s AND person_id = ANY(%(persons)s::uuid[])"
            )
            connection.execute(statement.format(sql.Identifier(table)), of_model)
    corrections = {
        (face, person): pinned
        for face, person, pinned in connection.execute(
            """SELECT face_id, person_id, pinned FROM prototype_corrections
                WHERE person_id = ANY(%(persons)s::uuid[])""",
            of_model,
        )
    }
    made: list[_Row] = []
    limits = library_norm_limits(connection, detector)
    for person, faces in _faces_by_person(connection, detector, persons):
        made += _prototypes(person, faces, corrections, limits)
    _store(connection, detector, made)
    there = [each for each in sources if each.faces]
    count = Counter(row.person for row in made)
    connection.execute(
        """INSERT INTO prototype_sources (person_id, model_id, faces, fingerprint, prototypes)
            SELECT p, %s, f, x, n
            FROM unnest(%s::uuid[], %s::int[], %s::bigint[], %s::int[]) AS made (p, f, x, n)""",
        (
            detector.model_id,
            [each.person for each in there],
            [each.faces for each in there],
            [each.fingerprint for each in there],
            [count[each.person] for each in there],
        ),
    )


def _faces_by_person(
    connection: Connection, detector: DetectorRow, persons: Sequence[UUID]
) -> Iterator[tuple[UUID, NDArray[Any]]]:
    """Yield these people with their faces that have an embedding."""
    dimension = detector.settings.dimension
    blocks = list(
        copy_out(
            connection,
            """COPY (SELECT f.person_id, f.id, f.quality, f.norm, f.pose, coalesce(i.taken, '-infinity'),
                    e.embedding
                FROM face_detections f JOIN face_embeddings e ON e.face_id = f.id
                    JOIN images i ON i.id = f.image_id
                WHERE f.person_id = ANY(%(persons)s::uuid[]) AND e.model_id = %(model)s
                    AND vector_dims(e.embedding) = %(dimension)s) TO STDOUT (FORMAT BINARY)""",
            {"persons": list(persons), "model": detector.model_id, "dimension": dimension},
            {
                "person": UUID_FIELD,
                "id": INT8,
                "quality": FLOAT4,
                "norm": FLOAT4,
                "pose": float4_array(3),
                "taken": INT8,
                "embedding": vector(dimension),
            },
        )
    )
    rows = np.concatenate(blocks)
    _, first, number = np.unique(rows["person"].copy().view("S16"), return_index=True, return_inverse=True)
    order = np.argsort(number, kind="stable")
    ends = np.cumsum(np.bincount(number, minlength=len(first)))
    for place, end in enumerate(ends.tolist()):
        begin = int(ends[place - 1]) if place else 0
        yield UUID(bytes=bytes(rows["person"][first[place]])), rows[order[begin:end]]


def _prototypes(
    person: UUID, rows: NDArray[Any], corrections: Mapping[tuple[int, UUID], bool], limits: NormLimits | None
) -> Iterator[_Row]:
    """Make the prototypes of one person."""
    # The package imports SciPy, which is not needed if nothing is stale.
    from facesets.clustering.people.prototypes import PersonFaces, prototypes_of

    face_id = rows["id"].astype(np.int64)
    embedding = values(rows, "embedding").astype(np.float32)
    taken = times(rows["taken"].astype(np.int64)).astype("datetime64[D]")
    dated = ~np.isnat(taken)
    about = [corrections.get((face, person)) for face in face_id.tolist()]
    found = prototypes_of(
        PersonFaces(
            face_id=face_id,
            embedding=embedding,
            quality=rows["quality"].astype(np.float32),
            clarity=_clarity(rows, limits),
            year=np.where(dated, taken.astype("datetime64[Y]").astype(np.int64) + 1970, 0),
            pinned=np.array([each is True for each in about], bool),
            dropped=np.array([each is False for each in about], bool),
        )
    )
    for row in found.exemplars.tolist():
        yield _Row(person, embedding[row], int(face_id[row]))
    day = (taken - _EPOCH).astype(np.int64)
    for each in found.centroids:
        days = day[each.rows]
        span = (int(days.min()), int(days.max())) if each.is_era else None
        yield _Row(person, each.vector, faces=len(each.rows), days=span)


def _clarity(rows: NDArray[Any], limits: NormLimits | None) -> Float32:
    """Return how clear each face is: the norm as a share of the founding limit, less when turned away.

    0 for a face of no use, 1 if the norm is not a measure.
    """
    count = len(rows)
    if limits is None:
        return np.ones(count, np.float32)
    norm, pose = rows["norm"].astype(np.float32), values(rows, "pose").astype(np.float32)
    frontal = np.clip(np.cos(np.radians(np.nan_to_num(pose[:, :2]))).prod(axis=1), 0.1, 1)
    clarity = np.where(np.isfinite(norm), norm / limits.founding * frontal, 1)
    clarity[norm < limits.joining] = 0
    return clarity.astype(np.float32)


def _store(connection: Connection, detector: DetectorRow, made: Sequence[_Row]) -> None:
    """Store prototypes, each kind in a COPY of its own, because no field may be null."""
    exemplars = [each for each in made if each.face_id >= 0]
    eras = [each for each in made if each.days is not None]
    overall = [each for each in made if each.face_id < 0 and each.days is None]
    fields = {
        "person_id": UUID_FIELD,
        "model_id": INT2,
        "kind": text(8),
        "faces": INT4,
        "embedding": vector(detector.settings.dimension),
    }
    statement: LiteralString = """COPY person_prototypes (person_id, model_id, kind, faces, embedding{})
        FROM STDIN (FORMAT BINARY)"""
    for rows, kind in ((exemplars, b"exemplar"), (overall, b"centroid"), (eras, b"centroid")):
        if not rows:
            continue
        columns: dict[str, NDArray[Any]] = {
            "person_id": np.frombuffer(b"".join(each.person.bytes for each in rows), "V16"),
            "model_id": np.full(len(rows), detector.model_id, np.int16),
            "kind": np.full(len(rows), kind),
            "faces": np.array([each.faces for each in rows], np.int32),
            "embedding": np.stack([each.vector for each in rows]),
        }
        if rows is exemplars:
            columns["face_id"] = np.array([each.face_id for each in rows], np.int64)
            copy_in(connection, statement.format(", face_id"), {**fields, "face_id": INT8}, columns)
        elif rows is eras:
            days = np.array([each.days for each in rows], np.int32)
            columns |= {"from": days[:, 0], "until": days[:, 1]}
            dates = {**fields, "from": INT4, "until": INT4}
            copy_in(connection, statement.format(", taken_from, taken_until"), dates, columns)
        else:
            copy_in(connection, statement.format(""), fields, columns)
