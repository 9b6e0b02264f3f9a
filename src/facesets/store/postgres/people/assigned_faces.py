"""The people of faces, read and assigned in bulk."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from facesets.records import Bool, Float32, Int64
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.copying import FLOAT4, INT2, INT8, copy_in, copy_out, gathered
from facesets.store.postgres.copying import UUID as UUID_FIELD
from facesets.store.postgres.models import DetectorRow
from facesets.store.postgres.people.steps import Step
from facesets.store.postgres.photos.faces import load_embeddings

_NO_PERSON = UUID(int=0)
_MEMORY_MB = 64


@dataclass(frozen=True, slots=True)
class AssignedFaces:
    """All faces of one detector, as clustering sees them.

    Attributes
    ----------
    face_id : int64 array of shape (n,)
    image : int64 array of shape (n,)
        Number of the image that the face is in.
    person : int64 array of shape (n,)
        Index into `persons`; -1 for a face without a person.
    embedding : float32 array of shape (n, d)
    """

    detector_id: int
    face_id: Int64
    image: Int64
    person: Int64
    persons: list[UUID]
    embedding: Float32

    def take(self, which: Bool) -> "AssignedFaces":
        """Return some of the faces; all people stay listed."""
        if which.all():
            return self
        return replace(
            self,
            face_id=self.face_id[which],
            image=self.image[which],
            person=self.person[which],
            embedding=self.embedding[which],
        )


def load_assigned_faces(
    connection: Connection, detector: DetectorRow, *, vectors: bool = True
) -> AssignedFaces:
    """Read faces that have an embedding, with people and embeddings, as of one moment.

    If `vectors` is false, all faces are read, and the array of vectors has no columns.
    """
    blocks = copy_out(
        connection,
        """COPY (SELECT id, image_id, coalesce(person_id, '00000000-0000-0000-0000-000000000000'::uuid)
            FROM comparable_faces WHERE detector_id = %(detector)s ORDER BY id) TO STDOUT (FORMAT BINARY)""",
        {"detector": detector.id},
        {"id": INT8, "image": INT8, "person": UUID_FIELD},
    )
    columns = gathered(blocks, [("id", np.int64), ("image", np.int64), ("person", UUID_FIELD)])
    embedding, found = np.empty((len(columns["id"]), 0), np.float32), np.ones(len(columns["id"]), bool)
    if vectors:
        embedding, found = load_embeddings(connection, detector, columns["id"])
    raw = columns["person"] if found.all() else columns["person"][found]
    names, person = np.unique(raw.view("S16") if len(raw) else raw, return_inverse=True)
    persons, number = _persons(names)
    return AssignedFaces(
        detector_id=detector.id,
        face_id=columns["id"] if found.all() else columns["id"][found],
        image=columns["image"] if found.all() else columns["image"][found],
        person=number[person] if len(raw) else np.empty(0, np.int64),
        persons=persons,
        embedding=embedding if found.all() else embedding[found],
    )


def _persons(names: NDArray[np.bytes_]) -> tuple[list[UUID], Int64]:
    """Return people, and for each UUID the index of its person; the nil UUID is unassigned."""
    uuids = [UUID(bytes=bytes(name).ljust(16, b"\0")) for name in names]
    persons = [uuid for uuid in uuids if uuid != _NO_PERSON]
    index = {uuid: i for i, uuid in enumerate(persons)}
    return persons, np.array([index.get(uuid, -1) for uuid in uuids], np.int64)


def people_now(connection: Connection, faces: AssignedFaces) -> AssignedFaces:
    """Return the same faces with their current people, without those that are gone."""
    blocks = copy_out(
        connection,
        """COPY (SELECT id, coalesce(person_id, '00000000-0000-0000-0000-000000000000'::uuid)
            FROM comparable_faces WHERE detector_id = %(detector)s ORDER BY id) TO STDOUT (FORMAT BINARY)""",
        {"detector": faces.detector_id},
        {"id": INT8, "person": UUID_FIELD},
    )
    columns = gathered(blocks, [("id", np.int64), ("person", UUID_FIELD)])
    # Both ascend by the faces' numbers.
    still = np.isin(faces.face_id, columns["id"], assume_unique=True)
    place = np.searchsorted(columns["id"], faces.face_id[still])
    raw = columns["person"][place]
    names, person = np.unique(raw.view("S16") if len(raw) else raw, return_inverse=True)
    persons, number = _persons(names)
    return AssignedFaces(
        detector_id=faces.detector_id,
        face_id=faces.face_id[still],
        image=faces.image[still],
        person=number[person] if len(raw) else np.empty(0, np.int64),
        persons=persons,
        embedding=faces.embedding if still.all() else faces.embedding[still],
    )


def assign(
    step: Step,
    face_ids: Int64,
    before: Int64,
    after: Int64,
    persons: Sequence[UUID],
    how: str,
) -> int:
    """Assign or unassign faces, except faces that changed and people that are gone.

    Parameters
    ----------
    step : Step
        The change that records the state before and after.
    face_ids, before, after : int64 arrays of shape (n,)
        Faces, and for each the index into `persons` of its old and new person, or -1.
    how : str
        The value of `assigned_by`. Only faces that a run assigned are taken from a person.

    Returns
    -------
    int
        The number of faces reassigned.
    """
    connection = step.connection
    connection.execute(
        """CREATE TEMPORARY TABLE IF NOT EXISTS given
            (face_id bigint, before_id uuid, person_id uuid) ON COMMIT DROP"""
    )
    connection.execute("TRUNCATE given")
    raw = np.frombuffer(b"".join(uuid.bytes for uuid in (*persons, _NO_PERSON)), "V16")
    copy_in(
        connection,
        "COPY given (face_id, before_id, person_id) FROM STDIN (FORMAT BINARY)",
        {"face_id": INT8, "before_id": UUID_FIELD, "person_id": UUID_FIELD},
        {"face_id": face_ids, "before_id": raw[before], "person_id": raw[after]},
    )
    connection.execute("ANALYZE given")
    # The changes are not spooled to disk between the faces and the step.
    connection.execute(f"SET LOCAL work_mem = '{_MEMORY_MB}MB'")
    return connection.execute(
        """UPDATE face_detections f SET person_id = p.id, assigned_by = %(how)s, assigned_at = now()
            FROM given g LEFT JOIN persons p ON p.id = g.person_id
            WHERE f.id = g.face_id
                AND CASE WHEN coalesce(f.person_id, %(nobody)s) = g.before_id THEN true ELSE false END
                AND (f.person_id IS NULL OR coalesce(f.assigned_by, 'auto') = 'auto')
                AND (p.id IS NOT NULL OR g.person_id = %(nobody)s)""",
        {"how": how, "nobody": _NO_PERSON},
    ).rowcount


@dataclass(frozen=True, slots=True)
class FaceScope:
    """The quality of n faces, from 0 to 1, and whether each was taken in the month in question."""

    quality: Float32
    in_month: Bool

    def of(self, min_quality: float) -> Bool:
        """Return which faces are in scope. Shape (n,)."""
        selected: Bool = self.in_month & (self.quality >= min_quality)
        return selected

    def take(self, which: Bool) -> "FaceScope":
        """Return the scope of some of the faces."""
        return FaceScope(self.quality[which], self.in_month[which])


def face_scope(
    connection: Connection, detector: DetectorRow, face_ids: Int64, month: str | None
) -> FaceScope:
    """Return quality and month of these faces (ascending numbers); `month` is YYYY-MM, or None for any."""
    blocks = copy_out(
        connection,
        """COPY (SELECT f.id, f.quality,
                (%(month)s::text IS NULL OR coalesce(to_char(i.taken, 'YYYY-MM') = %(month)s, false))
                    ::int::smallint
            FROM face_detections f JOIN images i ON i.id = f.image_id
            WHERE f.detector_id = %(detector)s ORDER BY f.id) TO STDOUT (FORMAT BINARY)""",
        {"month": month, "detector": detector.id},
        {"id": INT8, "quality": FLOAT4, "in_month": INT2},
    )
    found = gathered(blocks, [("id", np.int64), ("quality", np.float32), ("in_month", np.bool_)])
    place = np.searchsorted(found["id"], face_ids)
    return FaceScope(found["quality"][place], found["in_month"][place])
