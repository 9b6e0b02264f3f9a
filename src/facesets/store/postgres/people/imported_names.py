"""Names from other programs: the photos and faces they refer to, and earlier imports."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, LiteralString
from uuid import UUID

import numpy as np

from facesets.records import Float32, Int64
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.copying import copy_rows
from facesets.store.postgres.paths import from_text, to_text
from facesets.store.postgres.people.steps import Step

Box = tuple[float, float, float, float]
BOX_DIGITS = 5
"""The precision of stored boxes, which a real number holds."""


@dataclass(frozen=True, slots=True)
class ImportedName:
    """A name from another program, and what it refers to here.

    Attributes
    ----------
    id : int
        The row number; 0 before it is stored.
    box : tuple of float or None
        x1, y1, x2, y2 in fractions of the upright photo; None for the whole photo.
    face : int or None
        The face at that place.
    person : UUID or None
        The person that the name refers to on that face.
    """

    id: int
    image: int
    program: str
    name: str
    box: Box | None
    face: int | None
    person: UUID | None

    @property
    def content(self) -> tuple[object, ...]:
        """Return everything but the row number."""
        return self.image, self.program, self.name, self.box, self.face, self.person


@dataclass(frozen=True, slots=True)
class FaceState:
    """The person of a face and who assigned it; its box in pixels of the upright photo."""

    image: int
    person: UUID | None
    assigned_by: str
    box: Box
    size: tuple[int, int]


@dataclass(frozen=True, slots=True)
class PlacedFaces:
    """The faces of one photo.

    Attributes
    ----------
    id : int64 array of shape (n,)
    box : float32 array of shape (n, 4)
        In fractions of the upright photo.
    """

    id: Int64
    box: Float32


def images_at(connection: Connection, paths: Sequence[str]) -> dict[str, int]:
    """Return the numbers of the images at some paths."""
    rows = connection.execute(
        "SELECT path, image_id FROM image_paths WHERE path = ANY(%s) AND image_id IS NOT NULL",
        ([to_text(path) for path in paths],),
    )
    return {from_text(path): int(image) for path, image in rows}


def images_of_files(connection: Connection, files: Sequence[tuple[str, int]]) -> dict[tuple[str, int], int]:
    """Return the images of files with these names and sizes in bytes, if unambiguous."""
    rows = connection.execute(
        """SELECT w.name, w.size, min(p.image_id) FROM image_paths p
            JOIN unnest(%s::text[], %s::bigint[]) AS w (name, size)
                ON p.size = w.size AND right(p.path, length(w.name) + 1) = '/' || w.name
            WHERE p.image_id IS NOT NULL
            GROUP BY w.name, w.size HAVING count(DISTINCT p.image_id) = 1""",
        ([to_text(name) for name, _ in files], [size for _, size in files]),
    )
    return {(from_text(name), int(size)): int(image) for name, size, image in rows}


def faces_of_images(
    connection: Connection, images: Sequence[int], detector_id: int
) -> dict[int, PlacedFaces]:
    """Return the faces of some images that one detector found; images without any are omitted."""
    rows = connection.execute(
        """SELECT f.image_id, f.id, f.x1 / i.width, f.y1 / i.height, f.x2 / i.width, f.y2 / i.height
            FROM face_detections f JOIN images i ON i.id = f.image_id
            WHERE f.image_id = ANY(%s::bigint[]) AND f.detector_id = %s ORDER BY f.image_id, f.id""",
        (list(images), detector_id),
    ).fetchall()
    found: dict[int, list[tuple[Any, ...]]] = {}
    for image, *face in rows:
        found.setdefault(int(image), []).append(tuple(face))
    return {
        image: PlacedFaces(
            np.array([face[0] for face in faces], np.int64),
            np.array([face[1:] for face in faces], np.float32),
        )
        for image, faces in found.items()
    }


def states_of_faces(connection: Connection, faces: Sequence[int]) -> dict[int, FaceState]:
    """Return the people of some faces; faces that do not exist are omitted."""
    rows = connection.execute(
        """SELECT f.id, f.image_id, f.person_id, coalesce(f.assigned_by, ''), f.x1, f.y1, f.x2, f.y2,
                i.width, i.height
            FROM face_detections f JOIN images i ON i.id = f.image_id WHERE f.id = ANY(%s::bigint[])""",
        (list(faces),),
    )
    return {
        int(face): FaceState(int(image), person, by, tuple(place[:4]), tuple(place[4:]))
        for face, image, person, by, *place in rows
    }


def imported_of_images(connection: Connection, images: Sequence[int]) -> list[ImportedName]:
    """Return earlier imported names of some images."""
    rows = connection.execute(
        """SELECT id, image_id, program, name, box, face_id, person_id FROM imported_names
            WHERE image_id = ANY(%s::bigint[]) ORDER BY id""",
        (list(images),),
    )
    return [
        ImportedName(int(number), int(image), program, name, _box(box), face, person)
        for number, image, program, name, box, face, person in rows
    ]


def named_by_programs(connection: Connection, images: Sequence[int]) -> set[tuple[int, str]]:
    """Return faces of some images that programs named, unless a user confirmed a person here."""
    rows = connection.execute(
        """SELECT n.face_id, n.program FROM imported_names n JOIN face_detections f ON f.id = n.face_id
            LEFT JOIN persons p ON p.id = n.person_id
            WHERE n.image_id = ANY(%s::bigint[]) AND f.assigned_by = 'imported'
                AND f.person_id = coalesce(p.merged_into_id, n.person_id)""",
        (list(images),),
    )
    return {(int(face), program) for face, program in rows}


def _box(stored: Sequence[float] | None) -> Box | None:
    if stored is None:
        return None
    x1, y1, x2, y2 = (round(float(each), BOX_DIGITS) for each in stored)
    return x1, y1, x2, y2


def store_imported(step: Step, new: Sequence[ImportedName], replaced: Sequence[ImportedName]) -> None:
    """Store imported names in place of earlier ones."""
    connection = step.connection
    connection.execute(
        "DELETE FROM imported_names WHERE id = ANY(%s::bigint[])", ([each.id for each in replaced],)
    )
    copy_rows(
        connection,
        """COPY imported_names (image_id, program, name, box, face_id, person_id)
            FROM STDIN (FORMAT BINARY)""",
        ["int8", "text", "text", "float4[]", "int8", "uuid"],
        map(_stored, new),
    )


def _stored(each: ImportedName) -> tuple[object, ...]:
    box = None if each.box is None else list(each.box)
    return each.image, each.program, each.name, box, each.face, each.person


@dataclass(frozen=True, slots=True)
class ListedName:
    """An imported name, as listed.

    Attributes
    ----------
    path : str
        The path of the photo; empty if it has no file left.
    here : str
        The name of the face's person here; empty if unassigned, unnamed, or without a face.
    """

    path: str
    program: str
    name: str
    box: Box | None
    face: int | None
    here: str


def unmatched_names(connection: Connection) -> list[ListedName]:
    """Return imported names without a face, or of whole photos, by path."""
    return _listed(connection, "n.face_id IS NULL")


def conflicting_names(connection: Connection) -> list[ListedName]:
    """Return imported names whose face is unassigned or has another person here, by path."""
    return _listed(
        connection,
        """EXISTS (SELECT FROM face_detections f LEFT JOIN persons p ON p.id = n.person_id
            WHERE f.id = n.face_id
                AND f.person_id IS DISTINCT FROM coalesce(p.merged_into_id, n.person_id))""",
    )


_LIST: LiteralString = """
    SELECT coalesce((SELECT p.path FROM image_paths p WHERE p.image_id = i.id ORDER BY p.id LIMIT 1), ''),
        n.program, n.name, n.box, n.face_id,
        coalesce((SELECT m.name FROM face_detections f JOIN person_names m ON m.person_id = f.person_id
            WHERE f.id = n.face_id ORDER BY m.id LIMIT 1), '')
    FROM imported_names n JOIN images i ON i.id = n.image_id """


def _listed(connection: Connection, condition: LiteralString) -> list[ListedName]:
    rows = connection.execute(_LIST + "WHERE " + condition + " ORDER BY 1, n.id")
    return [
        ListedName(from_text(path), program, name, _box(box), face, here)
        for path, program, name, box, face, here in rows
    ]


def erase_imported(connection: Connection, pattern: str) -> None:
    """Erase imported names that match a pattern, and log entries about them."""
    connection.execute("DELETE FROM imported_names WHERE name ~* %s", (pattern,))
    connection.execute(
        """DELETE FROM step_rows WHERE in_table = 'imported_names'
            AND coalesce(before ->> 'name', after ->> 'name') ~* %s""",
        (pattern,),
    )
