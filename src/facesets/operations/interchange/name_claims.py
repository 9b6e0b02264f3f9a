"""Decide what to do with imported names of faces and photos; corrections here take precedence."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from uuid import UUID

import numpy as np

from facesets.operations.interchange.names_read import NamesRead
from facesets.operations.people.corrections.lookup import folded
from facesets.records import Float32
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.people.face_details import vectors_of_faces
from facesets.store.postgres.people.imported_names import FaceState, ImportedName

_OURS_TOO = frozenset({"mwg", "microsoft"})
"""Names of regions that `export-xmp` also writes: an automatic match must not come back as a correction."""
_READS_OURS = "digikam"
"""A program that reads regions of sidecars as confirmed faces, and stores them in whole pixels."""
_ROUNDED = 2.0
"""Maximum pixels by which this rounding moves an edge; boxes drawn by two programs differ by more."""


@dataclass(frozen=True, slots=True)
class Here:
    """What the library knows of the faces with names.

    Attributes
    ----------
    states : mapping
        The state of each face, with its person.
    homes : mapping
        The person of faces that were corrected.
    refused : set
        Faces with people that a correction denied.
    people : mapping
        People by their folded names, as far as names of rows have one.
    named : set
        People who have a name.
    own : set
        Faces with programs that named them.
    """

    states: Mapping[int, FaceState]
    homes: Mapping[int, UUID]
    refused: AbstractSet[tuple[int, UUID]]
    people: Mapping[str, UUID]
    named: AbstractSet[UUID]
    own: AbstractSet[tuple[int, str]]


@dataclass(slots=True)
class NameClaims:
    """Imported names by what to do with them.

    Attributes
    ----------
    known : list
        The face already has this person.
    given : list
        The face gets the person of the name.
    for_review : list
        A correction here or another program contradicts it: for review.
    denied : list
        A human already denied it.
    """

    known: list[ImportedName] = field(default_factory=list)
    given: list[ImportedName] = field(default_factory=list)
    for_review: list[ImportedName] = field(default_factory=list)
    denied: list[ImportedName] = field(default_factory=list)


def weigh(rows: list[ImportedName], doubtful: AbstractSet[ImportedName], here: Here) -> NameClaims:
    """Sort names of faces by what to do with them; the first name of a face counts.

    Parameters
    ----------
    doubtful : set of ImportedName
        The rows that are for review in any case.
    """
    claims = NameClaims()
    called: dict[int, str] = {}
    for row in rows:
        if row.face is None or row.face not in here.states:
            continue
        name = folded(row.name)
        person = here.people.get(name)
        if person is not None and _is_known(row, person, here):
            claims.known.append(row)
        elif person is not None and (row.face, person) in here.refused:
            claims.denied.append(row)
            continue
        elif row in doubtful or called.get(row.face, name) != name or _is_corrected(row, person, here):
            claims.for_review.append(row)
            continue
        else:
            claims.given.append(row)
        called.setdefault(row.face, name)
    return claims


def _is_known(row: ImportedName, person: UUID, here: Here) -> bool:
    """Whether the face already is the person."""
    if row.face is None or here.homes.get(row.face) == person:
        return True
    state = here.states[row.face]
    may_be_ours = row.program in _OURS_TOO or (row.program == _READS_OURS and _has_same_box(row, state))
    return row.face not in here.homes and may_be_ours and state.person == person


def _has_same_box(row: ImportedName, state: FaceState) -> bool:
    """Whether a box equals that of the face within rounding, clipped to the photo."""
    if row.box is None:
        return False
    size = state.size * 2
    return all(
        abs(edge * length - min(max(own, 0), length)) <= _ROUNDED
        for edge, own, length in zip(row.box, state.box, size, strict=True)
    )


def _is_corrected(row: ImportedName, person: UUID | None, here: Here) -> bool:
    """Whether a correction here, not from this program, gives the face to another person."""
    if row.face is None or (row.face, row.program) in here.own:
        return False
    owner = here.states[row.face].person
    home = here.homes.get(row.face)
    return (home is not None and home != person) or (
        owner is not None and owner != person and owner in here.named
    )


MIN_SIMILARITY = 0.4
"""Minimum similarity of a face to the mean of the other faces of its name: most faces of the same person
reach it, and strangers rarely do."""
_COMPARED = 500
"""Maximum faces of a name in its mean; more do not change the result."""
_AT_ONCE = 1000
_NOTHING = 1e-3


def place_whole_names(
    connection: Connection, found: NamesRead
) -> tuple[list[ImportedName], set[ImportedName]]:
    """Assign a photo's only name to its only face if it resembles other faces of that name.

    Returns
    -------
    list, set of ImportedName
        The rows; and the rows with such a face that does not resemble the name's other faces, for review.
    """
    single = _single_faces(found)
    if not single:
        return found.rows, set()
    of_name: dict[str, list[int]] = {}
    for row in single:
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
    changed = {row: replace(row, face=found.single[row.image]) for row in single}
    doubtful = {row for row in changed.values() if (folded(row.name), row.face) not in fitting}
    return [changed.get(row, row) for row in found.rows], doubtful


def _single_faces(found: NamesRead) -> list[ImportedName]:
    """Return the rows of whole photos with one face and one name."""
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
    """Return which faces resemble the mean of the other faces of their name."""
    looked_at = _vectors(connection, [*faces[:_COMPARED], *others[:_COMPARED]])
    total = np.sum(list(looked_at.values()), axis=0)
    fitting: list[int] = []
    for start in range(0, len(faces), _AT_ONCE):
        vectors = _vectors(connection, faces[start : start + _AT_ONCE])
        for face, own in vectors.items():
            rest = total - own if face in looked_at else total
            length = float(np.linalg.norm(rest))
            # For a single face, the rest is only a rounding error.
            if length > _NOTHING and float(own @ rest) >= MIN_SIMILARITY * length:
                fitting.append(face)
    return fitting


def _vectors(connection: Connection, faces: Sequence[int]) -> dict[int, Float32]:
    """Return the embeddings of faces by number, of the most frequent model."""
    found = vectors_of_faces(connection, sorted(set(faces)))
    return dict(zip(found[0].face_id.tolist(), found[0].embedding, strict=True)) if found else {}
