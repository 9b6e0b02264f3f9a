"""What stands for people where faces are compared with them: kept, and made again when their faces changed.

Every person's prototypes carry a fingerprint of what they were made of. So whatever changes a person's faces,
SQL too, makes them stale; whoever reads them makes the stale ones again first.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, LiteralString
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from facesets.records import Bool, Float32, Int64
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.copying import (
    FLOAT4,
    INT2,
    INT4,
    INT8,
    copy_in,
    copy_out,
    gathered,
    text,
    times,
    values,
    vector,
)
from facesets.store.postgres.copying import UUID as UUID_FIELD
from facesets.store.postgres.models import DetectorRow
from facesets.store.postgres.steps import one_at_a_time

_FACES_AT_ONCE = 100_000
"""So many faces are read at once when prototypes are made: 200 MiB of vectors."""


@dataclass(frozen=True, slots=True)
class Prototypes:
    """Vectors that stand for people.

    Attributes
    ----------
    persons : list of UUID
        In the order of their numbers.
    person : int64 array of shape (k,)
        Index into `persons`, ascending.
    face_id : int64 array of shape (k,)
        The face that an exemplar is; -1 for a centroid.
    embedding : float32 array of shape (k, d)
        Of unit length.
    """

    persons: list[UUID]
    person: Int64
    face_id: Int64
    embedding: Float32

    @property
    def is_exemplar(self) -> Bool:
        """Which are single faces; the others are centroids. Shape (k,)."""
        exemplar: Bool = self.face_id >= 0
        return exemplar


def fresh_prototypes(
    connection: Connection, detector: DetectorRow, persons: Sequence[UUID] | None = None
) -> Prototypes:
    """The prototypes of people as their faces are now; those that are stale are made again first.

    Parameters
    ----------
    detector : DetectorRow
        Of all faces whose vectors are comparable with this one's.
    persons : sequence of UUID, optional
        Whose; by default those of everybody who is active or hidden. People who were merged have none.
    """
    refresh_prototypes(connection, detector, persons)
    return _load(connection, detector, persons)


def refresh_prototypes(
    connection: Connection, detector: DetectorRow, persons: Sequence[UUID] | None = None
) -> int:
    """Make the prototypes again that are stale; returns of how many people they were."""
    if not _stale(connection, detector, persons):
        return 0
    # Whoever makes a step may refresh in it: with the same lock neither waits for the other in turn.
    one_at_a_time(connection)
    stale = _stale(connection, detector, persons)
    make_prototypes(connection, detector, stale)
    return len(stale)


@dataclass(frozen=True, slots=True)
class Stale:
    """Somebody whose prototypes are to be made: of so many faces, with this fingerprint."""

    person: UUID
    faces: int
    fingerprint: int


def _stale(connection: Connection, detector: DetectorRow, persons: Sequence[UUID] | None) -> list[Stale]:
    """Whose prototypes were made of something else than what there is now."""
    return _sources(connection, detector, persons, changed=True)


def all_sources(
    connection: Connection, detector: DetectorRow, persons: Sequence[UUID] | None = None
) -> list[Stale]:
    """Everybody who has prototypes or should have."""
    return _sources(connection, detector, persons, changed=False)


def _sources(
    connection: Connection, detector: DetectorRow, persons: Sequence[UUID] | None, *, changed: bool
) -> list[Stale]:
    rows = connection.execute(
        _SOURCES,
        {
            "model": detector.model_id,
            "persons": None if persons is None else list(persons),
            "version": _VERSION,
            "changed": changed,
        },
    )
    return [Stale(*row) for row in rows]


_VERSION = 1
"""Another one makes all prototypes again: to be raised when they are chosen otherwise."""
_SOURCES: LiteralString = """
    WITH ours AS (SELECT id FROM detectors WHERE model_id = %(model)s),
    counted AS (
        SELECT person_id, count(*) AS faces, bit_xor(hashint8extended(id, %(version)s)) AS fingerprint
        FROM face_detections
        WHERE person_id IS NOT NULL AND detector_id IN (SELECT id FROM ours)
            AND (%(persons)s::uuid[] IS NULL OR person_id = ANY(%(persons)s::uuid[]))
        GROUP BY person_id),
    said AS (
        SELECT s.person_id,
            bit_xor(hashint8extended(s.face_id, CASE WHEN s.pinned THEN -1 ELSE -2 END)) AS fingerprint
        FROM said_exemplars s JOIN face_detections f ON f.id = s.face_id AND f.person_id = s.person_id
        WHERE f.detector_id IN (SELECT id FROM ours) GROUP BY s.person_id),
    now AS (
        SELECT person_id, c.faces, c.fingerprint # coalesce(s.fingerprint, 0) AS fingerprint
        FROM counted c LEFT JOIN said s USING (person_id)),
    kept AS (
        SELECT person_id, faces, fingerprint FROM prototype_sources
        WHERE model_id = %(model)s
            AND (%(persons)s::uuid[] IS NULL OR person_id = ANY(%(persons)s::uuid[])))
    SELECT person_id, coalesce(now.faces, 0)::int, coalesce(now.fingerprint, 0)
    FROM now FULL JOIN kept USING (person_id)
    WHERE NOT %(changed)s OR now.faces IS DISTINCT FROM kept.faces
        OR now.fingerprint IS DISTINCT FROM kept.fingerprint
    ORDER BY person_id"""


def make_prototypes(connection: Connection, detector: DetectorRow, stale: Sequence[Stale]) -> None:
    """Make these people's prototypes, in place of what they had. Others must be kept from doing it too."""
    start = total = 0
    for place, each in enumerate(stale):
        if total and total + each.faces > _FACES_AT_ONCE:
            _make(connection, detector, stale[start:place])
            start, total = place, 0
        total += each.faces
    _make(connection, detector, stale[start:])


@dataclass(frozen=True, slots=True)
class _Row:
    """A prototype that is to be kept; `days` are the first and the last of an era, from 2000."""

    person: UUID
    vector: Float32
    face_id: int = -1
    faces: int = 1
    days: tuple[int, int] | None = None


def _make(connection: Connection, detector: DetectorRow, stale: Sequence[Stale]) -> None:
    persons = [each.person for each in stale]
    of_model = {"model": detector.model_id, "persons": persons}
    for statement in (
        "DELETE FROM person_prototypes WHERE model_id = %(model)s AND person_id = ANY(%(persons)s::uuid[])",
        "DELETE FROM prototype_sources WHERE model_id = %(model)s AND person_id = ANY(%(persons)s::uuid[])",
    ):
        connection.execute(statement, of_model)
    said = {
        (face, person): pinned
        for face, person, pinned in connection.execute(
            """SELECT face_id, person_id, pinned FROM said_exemplars
                WHERE person_id = ANY(%(persons)s::uuid[])""",
            of_model,
        )
    }
    made: list[_Row] = []
    for person, faces in _faces_by_person(connection, detector, persons):
        made += _prototypes(person, faces, said)
    _keep(connection, detector, made)
    there = [each for each in stale if each.faces]
    connection.execute(
        """INSERT INTO prototype_sources (person_id, model_id, faces, fingerprint)
            SELECT p, %s, f, x FROM unnest(%s::uuid[], %s::int[], %s::bigint[]) AS made (p, f, x)""",
        (
            detector.model_id,
            [each.person for each in there],
            [each.faces for each in there],
            [each.fingerprint for each in there],
        ),
    )


def _faces_by_person(
    connection: Connection, detector: DetectorRow, persons: Sequence[UUID]
) -> Iterator[tuple[UUID, NDArray[Any]]]:
    """The faces of each of these people who has any with a vector."""
    dimension = detector.settings.dimension
    blocks = list(
        copy_out(
            connection,
            """COPY (SELECT f.person_id, f.id, f.quality, coalesce(i.taken, '-infinity'), e.embedding
                FROM face_detections f JOIN face_embeddings e ON e.face_id = f.id
                    JOIN images i ON i.id = f.image_id
                WHERE f.person_id = ANY(%(persons)s::uuid[]) AND e.model_id = %(model)s
                    AND vector_dims(e.embedding) = %(dimension)s) TO STDOUT (FORMAT BINARY)""",
            {"persons": list(persons), "model": detector.model_id, "dimension": dimension},
            {
                "person": UUID_FIELD,
                "id": INT8,
                "quality": FLOAT4,
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


def _prototypes(person: UUID, rows: NDArray[Any], said: Mapping[tuple[int, UUID], bool]) -> Iterator[_Row]:
    """What stands for one person."""
    # The package brings SciPy, which whoever finds nothing stale can do without.
    from facesets.clustering.prototypes import PersonFaces, prototypes_of

    face_id = rows["id"].astype(np.int64)
    embedding = values(rows, "embedding").astype(np.float32)
    taken = times(rows["taken"].astype(np.int64)).astype("datetime64[D]")
    dated = ~np.isnat(taken)
    about = [said.get((face, person)) for face in face_id.tolist()]
    found = prototypes_of(
        PersonFaces(
            face_id=face_id,
            embedding=embedding,
            quality=rows["quality"].astype(np.float32),
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


_EPOCH = np.datetime64("2000-01-01", "D")


def _keep(connection: Connection, detector: DetectorRow, made: Sequence[_Row]) -> None:
    """Store prototypes, each kind in a COPY of its own, for no field of one may be null."""
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


def _load(connection: Connection, detector: DetectorRow, persons: Sequence[UUID] | None) -> Prototypes:
    dimension = detector.settings.dimension
    blocks = copy_out(
        connection,
        """COPY (SELECT q.person_id, coalesce(q.face_id, -1), q.embedding
            FROM person_prototypes q JOIN persons p ON p.id = q.person_id
            WHERE q.model_id = %(model)s AND p.status <> 'merged' AND vector_dims(q.embedding) = %(dimension)s
                AND (%(persons)s::uuid[] IS NULL OR q.person_id = ANY(%(persons)s::uuid[]))
            ORDER BY q.person_id, q.id) TO STDOUT (FORMAT BINARY)""",
        {
            "model": detector.model_id,
            "dimension": dimension,
            "persons": None if persons is None else list(persons),
        },
        {"person": UUID_FIELD, "face": INT8, "embedding": vector(dimension)},
    )
    columns = gathered(blocks, [("person", UUID_FIELD), ("face", np.int64), ("embedding", np.float32)])
    raw = columns["person"]
    names = raw.view("S16") if len(raw) else np.empty(0, "S16")
    _, first, person = np.unique(names, return_index=True, return_inverse=True)
    return Prototypes(
        persons=[UUID(bytes=bytes(raw[place])) for place in first.tolist()],
        person=person,
        face_id=columns["face"],
        embedding=columns["embedding"],
    )
