"""The prototypes of people for comparisons, stored and remade when faces change.

The prototypes of a person have a fingerprint of the faces they were made of. So any change of a person's
faces, also by SQL, makes them stale; stale ones are remade before they are read.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import LiteralString
from uuid import UUID

import numpy as np

from facesets.records import Bool, Float32, Int64
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.copying import INT8, copy_out, distinct_uuids, gathered, vector
from facesets.store.postgres.copying import UUID as UUID_FIELD
from facesets.store.postgres.models import DetectorRow
from facesets.store.postgres.people.face_details import library_norm_limits
from facesets.store.postgres.people.people_state import due_since_computed, note_computed
from facesets.store.postgres.people.prototype_making import PrototypeSource, make_prototypes
from facesets.store.postgres.people.steps import one_at_a_time


@dataclass(frozen=True, slots=True)
class Prototypes:
    """The embeddings of people for comparisons.

    Attributes
    ----------
    persons : list of UUID
        In the order of their numbers.
    person : int64 array of shape (k,)
        Index into `persons`, ascending.
    face_id : int64 array of shape (k,)
        The face of an exemplar; -1 for a centroid.
    embedding : float32 array of shape (k, d)
        Of unit length.
    """

    persons: list[UUID]
    person: Int64
    face_id: Int64
    embedding: Float32

    @property
    def is_exemplar(self) -> Bool:
        """A mask of the single faces; the others are centroids. Shape (k,)."""
        exemplar: Bool = self.face_id >= 0
        return exemplar

    def without(self, persons: Collection[UUID]) -> "Prototypes":
        """Return the prototypes of all other people."""
        if not persons:
            return self
        stays = np.array([person not in persons for person in self.persons], bool)
        rows = stays[self.person]
        return Prototypes(
            [person for person, stay in zip(self.persons, stays, strict=True) if stay],
            (np.cumsum(stays) - 1)[self.person[rows]],
            self.face_id[rows],
            self.embedding[rows],
        )


def fresh_prototypes(
    connection: Connection, detector: DetectorRow, persons: Sequence[UUID] | None = None
) -> Prototypes:
    """Return prototypes of people, after remaking stale ones.

    Parameters
    ----------
    detector : DetectorRow
        Faces with vectors comparable to those of this detector are used.
    persons : sequence of UUID, optional
        The people; by default all active or hidden ones. People who were merged have none.
    """
    refresh_prototypes(connection, detector, persons)
    return stored_prototypes(connection, detector, persons)


def refresh_prototypes(
    connection: Connection, detector: DetectorRow, persons: Sequence[UUID] | None = None
) -> int:
    """Remake stale prototypes; return the number of people."""
    if persons is not None:
        return _remake_stale(connection, detector, persons)
    what = _state_name(connection, detector)
    due = due_since_computed(connection, what)
    made = _remake_stale(connection, detector, due.persons)
    note_computed(connection, what, due)
    return made


def _remake_stale(connection: Connection, detector: DetectorRow, persons: Sequence[UUID] | None) -> int:
    if not _stale(connection, detector, persons):
        return 0
    # A step may refresh within it: with one lock, the two cannot deadlock.
    one_at_a_time(connection)
    stale = _stale(connection, detector, persons)
    make_prototypes(connection, detector, stale)
    return len(stale)


def stale_faces(connection: Connection, detector: DetectorRow) -> int:
    """Return how many faces the people with stale prototypes have."""
    due = due_since_computed(connection, _state_name(connection, detector))
    return sum(each.faces for each in _stale(connection, detector, due.persons))


def count_prototypes(connection: Connection, detector: DetectorRow) -> int:
    """Return how many prototypes are stored."""
    found: int = connection.scalar(
        "SELECT count(*) FROM person_prototypes WHERE model_id = %s", (detector.model_id,)
    )
    return found


def _state_name(connection: Connection, detector: DetectorRow) -> str:
    return f"prototypes of model {detector.model_id}, version {_version(connection, detector)}"


def _version(connection: Connection, detector: DetectorRow) -> int:
    """Return a version that changes with the limits of norms for prototypes."""
    limits = library_norm_limits(connection, detector)
    return 1000 * _VERSION + (0 if limits is None else round(10 * limits.joining))


def similar_people(
    connection: Connection, detector: DetectorRow, face: int, persons: Sequence[UUID], *, most: int
) -> dict[UUID, float]:
    """Return the people most similar to a face by stored prototypes, and the similarities.

    For the face's own person only the other faces count; -2 if there are none.

    Parameters
    ----------
    persons : sequence of UUID
        People to include in any case, if they have prototypes.
    most : int
        Maximum number of others; of equally similar ones, the first by number.
    """
    rows = connection.execute(
        _SIMILAR, {"model": detector.model_id, "face": face, "persons": list(persons), "most": most}
    )
    return {person: -2.0 if similarity is None else similarity for person, similarity in rows}


def similarity_to_centroids(
    connection: Connection, detector: DetectorRow, faces: Sequence[int]
) -> dict[int, float]:
    """Return the similarity of faces to the nearest stored centroid of their person."""
    rows = connection.execute(
        """SELECT f.id, max(-(q.embedding <#> e.embedding)) FROM face_detections f
                JOIN face_embeddings e ON e.face_id = f.id
                JOIN person_prototypes q ON q.person_id = f.person_id AND q.model_id = e.model_id
            WHERE f.id = ANY(%s::bigint[]) AND e.model_id = %s AND q.kind = 'centroid'
                AND vector_dims(q.embedding) = vector_dims(e.embedding) GROUP BY 1""",
        (list(faces), detector.model_id),
    )
    return {int(face): float(similarity) for face, similarity in rows}


# Vectors are of unit length, so their inner product is the cosine similarity. OFFSET 0: sort it, not the
# vectors, which would be sorted on disk.
_SIMILAR: LiteralString = """
    WITH own AS MATERIALIZED (
        SELECT f.person_id, e.embedding, vector_dims(e.embedding) AS dimension
        FROM face_detections f JOIN face_embeddings e ON e.face_id = f.id WHERE f.id = %(face)s),
    found AS MATERIALIZED (
        SELECT q.person_id, max(q.similarity) FILTER (
            WHERE q.person_id IS DISTINCT FROM (SELECT person_id FROM own) OR q.face_id <> %(face)s)
            AS similarity
        FROM (SELECT person_id, face_id, CASE WHEN vector_dims(embedding) = (SELECT dimension FROM own)
                THEN -(embedding <#> (SELECT embedding FROM own)) END AS similarity
            FROM person_prototypes WHERE model_id = %(model)s OFFSET 0) AS q
        WHERE q.similarity IS NOT NULL GROUP BY q.person_id),
    there AS MATERIALIZED (
        SELECT f.person_id, f.similarity FROM found f JOIN persons p ON p.id = f.person_id
        WHERE p.status <> 'merged')
    (SELECT * FROM there ORDER BY similarity DESC NULLS LAST, person_id LIMIT %(most)s)
    UNION SELECT * FROM there WHERE person_id = ANY(%(persons)s::uuid[])"""


def _stale(
    connection: Connection, detector: DetectorRow, persons: Sequence[UUID] | None
) -> list[PrototypeSource]:
    """Return the people whose prototypes were made of other faces than they have now."""
    if persons is not None and not persons:
        return []
    return _sources(connection, detector, persons, changed=True)


def remake_prototypes(connection: Connection, detector: DetectorRow) -> int:
    """Remake all prototypes, stale or not; return the number of people."""
    one_at_a_time(connection)
    sources = _sources(connection, detector, None, changed=False)
    make_prototypes(connection, detector, sources)
    return len(sources)


def _sources(
    connection: Connection, detector: DetectorRow, persons: Sequence[UUID] | None, *, changed: bool
) -> list[PrototypeSource]:
    rows = connection.execute(
        _SOURCES,
        {
            "model": detector.model_id,
            "persons": None if persons is None else list(persons),
            "version": _version(connection, detector),
            "changed": changed,
        },
    )
    return [PrototypeSource(*row) for row in rows]


_VERSION = 2
"""Increase it when the choice of prototypes changes; all are then remade."""
_SOURCES: LiteralString = """
    WITH ours AS (SELECT id FROM detectors WHERE model_id = %(model)s),
    counted AS (
        SELECT person_id, count(*) AS faces,
            bit_xor(hashint8extended(id, 2 * %(version)s + (norm <> 'NaN')::int)) AS fingerprint
        FROM face_detections
        WHERE person_id IS NOT NULL AND detector_id IN (SELECT id FROM ours)
            AND (%(persons)s::uuid[] IS NULL OR person_id = ANY(%(persons)s::uuid[]))
        GROUP BY person_id),
    corrected AS (
        SELECT s.person_id,
            bit_xor(hashint8extended(s.face_id, CASE WHEN s.pinned THEN -1 ELSE -2 END)) AS fingerprint
        FROM prototype_corrections s JOIN face_detections f ON f.id = s.face_id AND f.person_id = s.person_id
        WHERE f.detector_id IN (SELECT id FROM ours) GROUP BY s.person_id),
    now AS (
        SELECT person_id, c.faces, c.fingerprint # coalesce(s.fingerprint, 0) AS fingerprint
        FROM counted c LEFT JOIN corrected s USING (person_id)),
    stored AS (
        SELECT person_id, faces, fingerprint, prototypes = coalesce(there, 0) AS complete
        FROM prototype_sources LEFT JOIN (
            SELECT person_id, count(*) AS there FROM person_prototypes WHERE model_id = %(model)s
                AND (%(persons)s::uuid[] IS NULL OR person_id = ANY(%(persons)s::uuid[]))
            GROUP BY person_id) AS p USING (person_id)
        WHERE model_id = %(model)s
            AND (%(persons)s::uuid[] IS NULL OR person_id = ANY(%(persons)s::uuid[])))
    SELECT person_id, coalesce(now.faces, 0)::int, coalesce(now.fingerprint, 0)
    FROM now FULL JOIN stored USING (person_id)
    WHERE NOT %(changed)s OR now.faces IS DISTINCT FROM stored.faces
        OR now.fingerprint IS DISTINCT FROM stored.fingerprint OR NOT stored.complete
    ORDER BY person_id"""


def stored_prototypes(
    connection: Connection,
    detector: DetectorRow,
    persons: Sequence[UUID] | None = None,
    *,
    exemplars: bool = True,
) -> Prototypes:
    """Return the stored prototypes, stale or not; or only the centroids."""
    dimension = detector.settings.dimension
    blocks = copy_out(
        connection,
        """COPY (SELECT q.person_id, coalesce(q.face_id, -1), q.embedding
            FROM person_prototypes q JOIN persons p ON p.id = q.person_id
            WHERE q.model_id = %(model)s AND p.status <> 'merged' AND vector_dims(q.embedding) = %(dimension)s
                AND (%(persons)s::uuid[] IS NULL OR q.person_id = ANY(%(persons)s::uuid[]))
                AND (%(exemplars)s OR q.kind = 'centroid')
            ORDER BY q.person_id, q.id) TO STDOUT (FORMAT BINARY)""",
        {
            "model": detector.model_id,
            "dimension": dimension,
            "persons": None if persons is None else list(persons),
            "exemplars": exemplars,
        },
        {"person": UUID_FIELD, "face": INT8, "embedding": vector(dimension)},
    )
    columns = gathered(blocks, [("person", UUID_FIELD), ("face", np.int64), ("embedding", np.float32)])
    persons, person = distinct_uuids(columns["person"])
    return Prototypes(
        persons=persons,
        person=person,
        face_id=columns["face"],
        embedding=columns["embedding"],
    )


def faces_per_person(connection: Connection, detector: DetectorRow, persons: Sequence[UUID]) -> Int64:
    """Return how many faces each person had when its prototypes were made."""
    counted: dict[UUID, int] = dict(
        connection.execute(
            """SELECT person_id, faces FROM prototype_sources
                WHERE model_id = %s AND person_id = ANY(%s::uuid[])""",
            (detector.model_id, list(persons)),
        ).fetchall()
    )
    return np.array([counted.get(person, 0) for person in persons], np.int64)


@dataclass(frozen=True, slots=True)
class PrototypeLine:
    """A prototype, as listed.

    Attributes
    ----------
    kind : str
        `exemplar` or `centroid`.
    face : int or None
        The face of an exemplar.
    quality : float or None
        Quality of that face.
    pinned : bool
        A user pinned it.
    faces : int
        Number of faces averaged.
    first, last : str
        Days of the first and last photo of an era; empty for a prototype of all years.
    """

    person: str
    kind: str
    face: int | None
    quality: float | None
    pinned: bool
    faces: int
    first: str
    last: str


def list_prototypes(connection: Connection, model: int, person: UUID | None = None) -> list[PrototypeLine]:
    """Return the stored prototypes of one person, or of all who are not merged, for one model."""
    rows = connection.execute(
        """SELECT q.person_id::text, q.kind, q.face_id, round(f.quality::numeric, 4)::float8,
                coalesce(s.pinned, false), q.faces, coalesce(to_char(q.taken_from, 'YYYY-MM-DD'), ''),
                coalesce(to_char(q.taken_until, 'YYYY-MM-DD'), '')
            FROM person_prototypes q JOIN persons p ON p.id = q.person_id
                LEFT JOIN face_detections f ON f.id = q.face_id
                LEFT JOIN prototype_corrections s ON s.face_id = q.face_id AND s.person_id = q.person_id
            WHERE q.model_id = %(model)s AND p.status <> 'merged'
                AND (%(person)s::uuid IS NULL OR q.person_id = %(person)s)
            ORDER BY q.person_id, q.id""",
        {"model": model, "person": person},
    )
    return [PrototypeLine(*row) for row in rows]
