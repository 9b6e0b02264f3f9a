"""People as lists show them: totals of each, and the faces of one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, LiteralString
from uuid import UUID

import numpy as np
from psycopg import sql

from facesets.records import Float32
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.paths import from_text
from facesets.store.postgres.people.candidates import best_faces_of_cluster
from facesets.store.postgres.people.face_groups import best_of_person

Status = Literal["active", "merged", "hidden", "all"]
Sort = Literal["faces", "name", "new"]

_ORDER: dict[Sort, LiteralString] = {
    "faces": "faces DESC, p.id",
    "name": "lower(names[1]) NULLS LAST, p.id",
    "new": "p.created_at DESC, p.id",
}


@dataclass(frozen=True, slots=True)
class PersonLine:
    """One person.

    Attributes
    ----------
    first, last : str
        Days of the first and last photo by the cameras' clocks; empty where no photo says.
    """

    id: str
    names: list[str]
    status: str
    faces: int
    photos: int
    prototypes: int
    first: str
    last: str


@dataclass(frozen=True, slots=True)
class PrototypeLine:
    """A vector that stands for a person.

    Attributes
    ----------
    kind : str
        `exemplar` or `centroid`.
    face : int or None
        That an exemplar is.
    quality : float or None
        Of that face.
    pinned : bool
        A human fixed it.
    faces : int
        That were averaged.
    first, last : str
        Days of the first and last photo of an era; empty for what stands for all years.
    """

    person: str
    kind: str
    face: int | None
    quality: float | None
    pinned: bool
    faces: int
    first: str
    last: str


@dataclass(frozen=True, slots=True)
class FaceLine:
    """One face: where it is on which photo, in pixels of the upright photo, and who says whose it is.

    `taken` is when the photo was taken, by the camera's clock; empty where that is not known.
    """

    id: int
    sha256: str
    paths: tuple[str, ...]
    box: tuple[float, float, float, float]
    kps: tuple[float, ...]
    det_score: float
    quality: float
    assigned_by: str
    taken: str


def list_people(
    connection: Connection,
    *,
    status: Status = "active",
    unnamed: bool = False,
    sort: Sort = "faces",
    person: UUID | None = None,
) -> list[PersonLine]:
    """People with their totals as counted last (`refresh_totals`); only those without a name, or one."""
    statement = sql.SQL("""SELECT p.id::text, names, p.status, coalesce(t.faces, 0) AS faces,
            coalesce(t.photos, 0), coalesce(q.prototypes, 0),
            coalesce(to_char(t.taken_from, 'YYYY-MM-DD'), ''),
            coalesce(to_char(t.taken_until, 'YYYY-MM-DD'), '')
        FROM persons p
        CROSS JOIN LATERAL (SELECT array(SELECT n.name FROM person_names n
            WHERE n.person_id = p.id ORDER BY n.id) AS names) n
        LEFT JOIN person_totals t ON t.person_id = p.id
        LEFT JOIN (SELECT person_id, count(*) AS prototypes FROM person_prototypes
            WHERE %(person)s::uuid IS NULL OR person_id = %(person)s GROUP BY person_id) q
            ON q.person_id = p.id
        WHERE (%(person)s::uuid IS NULL OR p.id = %(person)s)
            AND (%(status)s = 'all' OR p.status = %(status)s)
            AND NOT (%(unnamed)s AND cardinality(names) > 0)
            AND (cardinality(names) > 0 OR t.faces > 0 OR %(person)s::uuid IS NOT NULL
                OR NOT EXISTS (SELECT FROM face_detections f WHERE f.person_id = p.id))
        ORDER BY {order}""").format(order=sql.SQL(_ORDER[sort]))
    rows = connection.execute(statement, {"person": person, "status": status, "unnamed": unnamed})
    return [PersonLine(*row) for row in rows]


def list_prototypes(connection: Connection, model: int, person: UUID | None = None) -> list[PrototypeLine]:
    """The prototypes that are kept of everybody who is not merged, or of one, by one recogniser's vectors."""
    rows = connection.execute(
        """SELECT q.person_id::text, q.kind, q.face_id, round(f.quality::numeric, 4)::float8,
                coalesce(s.pinned, false), q.faces, coalesce(to_char(q.taken_from, 'YYYY-MM-DD'), ''),
                coalesce(to_char(q.taken_until, 'YYYY-MM-DD'), '')
            FROM person_prototypes q JOIN persons p ON p.id = q.person_id
                LEFT JOIN face_detections f ON f.id = q.face_id
                LEFT JOIN said_exemplars s ON s.face_id = q.face_id AND s.person_id = q.person_id
            WHERE q.model_id = %(model)s AND p.status <> 'merged'
                AND (%(person)s::uuid IS NULL OR q.person_id = %(person)s)
            ORDER BY q.person_id, q.id""",
        {"model": model, "person": person},
    )
    return [PrototypeLine(*row) for row in rows]


def cluster_line(connection: Connection, cluster: str) -> PersonLine:
    """The totals of a cluster that is no person yet: its faces that nobody has."""
    row = connection.one(
        """SELECT count(*), count(DISTINCT f.image_id), coalesce(to_char(min(i.taken), 'YYYY-MM-DD'), ''),
                coalesce(to_char(max(i.taken), 'YYYY-MM-DD'), '')
            FROM present_faces f JOIN images i ON i.id = f.image_id
            WHERE f.cluster = %s AND f.person_id IS NULL""",
        (cluster,),
    )
    return PersonLine(cluster, [], "cluster", int(row[0]), int(row[1]), 0, row[2], row[3])


def faces_of(connection: Connection, whose: UUID | str, limit: int) -> list[FaceLine]:
    """The best faces of a person, or of a cluster that is no person yet, with the paths of each photo."""
    if isinstance(whose, UUID):
        return face_lines(connection, best_of_person(connection, whose, limit=limit))
    return face_lines(connection, best_faces_of_cluster(connection, whose, limit))


def face_lines(connection: Connection, faces: Sequence[int]) -> list[FaceLine]:
    """Faces in this order, with the paths of each photo; those that do not exist are left out."""
    rows = connection.execute(
        """SELECT f.id, i.sha256,
                array(SELECT q.path FROM image_paths q WHERE q.image_id = f.image_id ORDER BY q.id) AS paths,
                f.x1, f.y1, f.x2, f.y2, f.kps, f.det_score, f.quality, coalesce(f.assigned_by, ''),
                coalesce(to_char(i.taken, 'YYYY-MM-DD"T"HH24:MI:SS'), '')
            FROM unnest(%s::bigint[]) WITH ORDINALITY AS wanted (id, place)
            JOIN face_detections f ON f.id = wanted.id JOIN images i ON i.id = f.image_id
            ORDER BY wanted.place""",
        (list(faces),),
    )
    return [
        FaceLine(
            face,
            sha256,
            tuple(map(from_text, paths)),
            (x1, y1, x2, y2),
            tuple(kps),
            round(float(score), 4),
            round(float(quality), 4),
            by,
            taken,
        )
        for face, sha256, paths, x1, y1, x2, y2, kps, score, quality, by, taken in rows
    ]


def vectors_of(connection: Connection, person: UUID, limit: int) -> dict[int, Float32]:
    """The vectors of a person's best faces, by the model that made them."""
    rows = connection.execute(
        """SELECT e.model_id, e.embedding
            FROM face_detections f JOIN face_embeddings e ON e.face_id = f.id
            WHERE f.person_id = %s ORDER BY f.quality DESC, f.id LIMIT %s""",
        (person, limit),
        binary=True,
    ).fetchall()
    models = sorted({model for model, _ in rows})
    return {model: np.stack([v.to_numpy() for m, v in rows if m == model]) for model in models}
