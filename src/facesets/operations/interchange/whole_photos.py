"""Names that programs give to a photo as a whole: whether the one face on it is who they mean."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from facesets.operations.interchange.names_read import NamesRead
from facesets.operations.people.corrections.who import folded
from facesets.records import Float32
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.people.face_details import vectors_of_faces
from facesets.store.postgres.people.imported_names import ImportedName

LEAST_SIMILARITY = 0.4
"""Of a face with the mean of the other faces of its name: strangers rarely reach it, one person's mostly."""
_COMPARED = 500
"""Faces of a name that its mean is made of, at most: more tell no more."""
_AT_ONCE = 1000
_NOTHING = 1e-3


def place_whole_names(
    connection: Connection, found: NamesRead
) -> tuple[list[ImportedName], set[ImportedName]]:
    """Give names of photos with one face and one name to that face, where it resembles others of the name.

    Returns
    -------
    list, set of ImportedName
        The rows; and those of them that give such a face a name that it does not resemble: a human is to be
        asked.
    """
    alone = _alone(found)
    if not alone:
        return found.rows, set()
    of_name: dict[str, list[int]] = {}
    for row in alone:
        of_name.setdefault(folded(row.name), []).append(found.single[row.image])
    placed: dict[str, list[int]] = {}
    for row in found.rows:
        if row.face is not None and folded(row.name) in of_name:
            placed.setdefault(folded(row.name), []).append(row.face)
    fitting = {
        (name, face)
        for name, faces in of_name.items()
        for face in _resembling(connection, faces, placed.get(name, []))
    }
    changed = {row: replace(row, face=found.single[row.image]) for row in alone}
    doubtful = {row for row in changed.values() if (folded(row.name), row.face) not in fitting}
    return [changed.get(row, row) for row in found.rows], doubtful


def _alone(found: NamesRead) -> list[ImportedName]:
    """Rows of whole photos that have one face, of which all that is said is this name."""
    names: dict[int, set[str]] = {}
    placed: set[int] = set()
    for row in found.rows:
        names.setdefault(row.image, set()).add(folded(row.name))
        if row.box is not None:
            placed.add(row.image)
    return [
        row
        for row in found.rows
        if row.image in found.single and len(names[row.image]) == 1 and row.image not in placed
    ]


def _resembling(connection: Connection, faces: Sequence[int], others: Sequence[int]) -> list[int]:
    """Which of some faces resemble the mean of the rest, of theirs and of others; none without a rest."""
    looked_at = _vectors(connection, [*faces[:_COMPARED], *others[:_COMPARED]])
    total = np.sum(list(looked_at.values()), axis=0)
    fitting: list[int] = []
    for start in range(0, len(faces), _AT_ONCE):
        vectors = _vectors(connection, faces[start : start + _AT_ONCE])
        for face, own in vectors.items():
            rest = total - own if face in looked_at else total
            length = float(np.linalg.norm(rest))
            # The rest of one face alone is nothing but what rounding leaves.
            if length > _NOTHING and float(own @ rest) >= LEAST_SIMILARITY * length:
                fitting.append(face)
    return fitting


def _vectors(connection: Connection, faces: Sequence[int]) -> dict[int, Float32]:
    """The vectors of faces by their numbers, of the model that most have."""
    found = vectors_of_faces(connection, sorted(set(faces)))
    return dict(zip(found[0].face_id.tolist(), found[0].embedding, strict=True)) if found else {}
