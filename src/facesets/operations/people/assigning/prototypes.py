"""`people prototypes | centroids`: the reference faces that unassigned faces are compared with."""

from collections.abc import Sequence
from uuid import UUID

import numpy as np

from facesets.errors import Command, Field, WrongUsage
from facesets.operations.people.corrections.lookup import (
    called,
    find_person,
    require_faces,
    require_person,
    step_number,
)
from facesets.plurals import counted
from facesets.records import Float32
from facesets.result import Result
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.models import detectors, usual_detector
from facesets.store.postgres.people.corrections import store_prototype_correction
from facesets.store.postgres.people.prototypes import (
    PrototypeLine,
    Prototypes,
    list_prototypes,
    refresh_prototypes,
    remake_prototypes,
    stale_faces,
    stored_prototypes,
)
from facesets.store.postgres.people.steps import changing, making_step

_SAME = 1e-5
"""Cosine distance within which two centroids differ by rounding only."""
_WARMED = 50_000
"""Maximum faces for prototypes that are remade in advance, which takes a second or two."""


def prototypes(
    database: Database,
    name_or_id: str | None = None,
    *,
    pin: Sequence[int] = (),
    drop: Sequence[int] = (),
    by: str = "",
) -> Result:
    """Return the prototypes of one person or all, after pinning and dropping reference faces.

    Parameters
    ----------
    name_or_id : str, optional
        The person; without it all, or the people of the given faces.
    pin, drop : sequence of int
        Faces to pin as reference faces, and faces to drop.

    Raises
    ------
    WrongUsage
        The person does not exist, a face is not theirs, or a face is in both lists.
    """
    both = sorted(set(pin) & set(drop))
    if both:
        raise WrongUsage(
            f"Face {both[0]} is both pinned and dropped. Give it to either {Field('pin')} or {Field('drop')}."
        )
    if pin or drop:
        return changing(database, lambda connection: _correct(connection, name_or_id, pin, drop, by))
    lines = database.run(
        lambda connection: _listed(
            connection, None if name_or_id is None else find_person(connection, name_or_id).id
        )
    )
    return Result(prototypes=lines, did="", step=None)


def _listed(connection: Connection, person: UUID | None) -> list[PrototypeLine]:
    detector = usual_detector(connection)
    if detector is None:
        return []
    refresh_prototypes(connection, detector, None if person is None else [person])
    return list_prototypes(connection, detector.model_id, person)


def _correct(
    connection: Connection, name_or_id: str | None, pin: Sequence[int], drop: Sequence[int], by: str
) -> Result:
    owners = require_faces(connection, [*pin, *drop])
    for face, owner in owners.items():
        if owner is None:
            move = Command("people move", str(face), Field("to", "WHO"))
            raise WrongUsage(f"Face {face} is unassigned. Assign it first: {move}.")
    persons = sorted({owner for owner in owners.values() if owner is not None})
    if name_or_id is not None:
        person = find_person(connection, name_or_id)
        others = [face for face, owner in owners.items() if owner != person.id]
        if others:
            move = Command("people move", str(others[0]), Field("to", called(person)))
            raise WrongUsage(
                f"Face {others[0]} does not belong to {called(person)}. If it should, move it first: {move}."
            )
    parts = [
        f"{counted(len(faces), 'reference face')} {how}"
        for faces, how in ((set(pin), "pinned"), (set(drop), "dropped"))
        if faces
    ]
    names = ", ".join(called(require_person(connection, person)) for person in persons)
    did = f"{' and '.join(parts)} for {names}"
    with making_step(connection, "prototypes", by, did) as step:
        for faces, pinned in ((pin, True), (drop, False)):
            for face in sorted(set(faces)):
                owner = owners[face]
                if owner is not None:
                    store_prototype_correction(step, face, owner, pinned=pinned)
    lines = [line for person in persons for line in _listed(connection, person)]
    return Result(prototypes=lines, did=did, step=step_number(connection, step))


def centroids(database: Database) -> Result:
    """Recompute all prototypes exactly, and return how far the stored ones had drifted.

    Raises
    ------
    WrongUsage
        Nothing was indexed yet.
    """

    def work(connection: Connection) -> Result:
        detector = usual_detector(connection)
        if detector is None:
            raise WrongUsage(f"The library has no faces yet. Run {Command('index', 'PHOTOS')} first.")
        before = _by_person(stored_prototypes(connection, detector))
        remake_prototypes(connection, detector)
        made = stored_prototypes(connection, detector)
        after = _by_person(made)
        drift = {person: _drift(before.get(person), after.get(person)) for person in {*before, *after}}
        return Result(
            people=len(made.persons),
            prototypes=len(made.person),
            # People whose prototypes changed, or who had none.
            changed=sum(each is None or each > _SAME for each in drift.values()),
            # Cosine distance.
            largest_drift=round(max((each for each in drift.values() if each is not None), default=0.0), 4),
        )

    return changing(database, work)


_Own = tuple[tuple[int, ...], Float32]
"""A person's reference faces, and all their embeddings."""


def _by_person(found: Prototypes) -> dict[UUID, _Own]:
    starts = np.searchsorted(found.person, np.arange(len(found.persons) + 1)).tolist()
    return {
        person: (tuple(found.face_id[start:end].tolist()), found.embedding[start:end])
        for person, start, end in zip(found.persons, starts[:-1], starts[1:], strict=True)
    }


def _drift(before: _Own | None, after: _Own | None) -> float | None:
    """Return the greatest drift of a person's prototypes; None if their number or kind changed."""
    if before is None or after is None or before[0] != after[0]:
        return None
    return float(max(0.0, (1 - np.einsum("ij,ij->i", before[1], after[1])).max()))


def warm_prototypes(database: Database) -> None:
    """Recompute stale prototypes in advance, if there are few, because changes wait for them."""
    every = {each.model_id: each for each in database.run(detectors)}.values()
    if sum(database.run(stale_faces, detector) for detector in every) <= _WARMED:
        for detector in every:
            database.run(refresh_prototypes, detector)
