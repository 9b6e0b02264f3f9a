"""Move selected faces of a person elsewhere, one change each.

Each function returns the new person of the faces (None: unassigned), what was done in words, and the step.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from facesets.errors import WrongUsage
from facesets.files import printable
from facesets.operations.people.corrections.correcting import (
    confirm_different,
    correcting_step,
    move_faces,
    unassign_faces,
)
from facesets.operations.people.corrections.lookup import (
    called,
    cleaned,
    has_name,
    require_faces,
    require_person,
    step_number,
)
from facesets.operations.people.corrections.naming import name_taken
from facesets.plurals import counted
from facesets.result import Result
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.people.corrections import pin_only, store_person_correction
from facesets.store.postgres.people.persons import add_name, make_person
from facesets.store.postgres.people.steps import changing, making_step


@dataclass(frozen=True, slots=True)
class Picked:
    """Selected faces, and the person they are expected to have.

    Attributes
    ----------
    owner : UUID or None
        The person of all of them when they were selected; None for unassigned, unless `any_owner`.
    any_owner : bool
        The faces may have any person.
    """

    faces: Sequence[int]
    owner: UUID | None = None
    any_owner: bool = False


def give_to(database: Database, picked: Picked, person: UUID, *, by: str) -> Result:
    """Confirm that faces show a person, and move them there. Raises `WrongUsage` as `correcting.move`."""

    def work(connection: Connection) -> Result:
        faces = _require_owned(connection, picked)
        target = require_person(connection, person)
        return _given(connection, faces, target.id, f"moved to {called(target)}", by)

    return changing(database, work)


def give_to_name(database: Database, picked: Picked, name: str, *, into: bool, by: str) -> Result:
    """Move faces to the person of a name, who is created if the name is new.

    Parameters
    ----------
    into : bool
        If a person has the name, that person gets the faces.

    Raises
    ------
    NameTaken
        A person has the name, and `into` is off.
    WrongUsage
        As `correcting.move`, or the name is invalid.
    """
    text = cleaned(name)

    def work(connection: Connection) -> Result:
        faces = _require_owned(connection, picked)
        taken = has_name(connection, text)
        if taken is not None:
            target = require_person(connection, taken)
            if not into:
                raise name_taken(connection, text, target, faces)
            return _given(connection, faces, target.id, f"moved to {called(target)}", by)
        return _given(connection, faces, None, f"moved to {printable(text)}", by, name=text)

    return changing(database, work)


def split_off(database: Database, picked: Picked, *, by: str) -> Result:
    """Make a new person of some faces, confirmed as different from the old one. Raises `WrongUsage`."""

    def work(connection: Connection) -> Result:
        faces = _require_owned(connection, picked)
        owner = None if picked.owner is None else require_person(connection, picked.owner)
        if owner is not None and owner.faces <= len(faces):
            raise WrongUsage(
                f"These are all of {called(owner)}'s faces. Select fewer, or rename {called(owner)}."
            )
        return _given(
            connection, faces, None, "split off", by, apart_from=None if owner is None else owner.id
        )

    return changing(database, work)


def take_away(database: Database, picked: Picked, *, by: str) -> Result:
    """Deny that faces show their person, and unassign them. Raises `WrongUsage` as `correcting.move`."""

    def work(connection: Connection) -> Result:
        faces = _require_owned(connection, picked)
        owner = None if picked.owner is None else called(require_person(connection, picked.owner))
        did = f"{counted(len(faces), 'face')} {f'removed from {owner}' if owner else 'unassigned'}"
        with correcting_step(connection, "move", by, did) as step:
            unassign_faces(step, faces)
        return Result(person=None, did=did, step=step_number(connection, step))

    return changing(database, work)


def choose_best(database: Database, face: int, person: UUID, *, by: str) -> Result:
    """Make a face the portrait and a reference face of a person. Raises `WrongUsage`."""

    def work(connection: Connection) -> Result:
        _require_owned(connection, Picked([face], person))
        owner = require_person(connection, person)
        did = f"face {face} made the portrait of {called(owner)}"
        with making_step(connection, "prototypes", by, did) as step:
            pin_only(step, face, owner.id)
        return Result(person=owner.id, did=did, step=step_number(connection, step))

    return changing(database, work)


def _given(
    connection: Connection,
    faces: list[int],
    person: UUID | None,
    did: str,
    by: str,
    *,
    name: str = "",
    apart_from: UUID | None = None,
) -> Result:
    """Give faces to a person, by default a new one who may get a name, in one step."""
    what = f"{counted(len(faces), 'face')} {did}"
    with correcting_step(connection, "move", by, what) as step:
        target = make_person(step) if person is None else person
        move_faces(step, faces, target)
        if name:
            add_name(step, target, name)
        store_person_correction(step, target)
        if apart_from is not None:
            confirm_different(step, apart_from, target)
    return Result(person=target, did=what, step=step_number(connection, step))


def _require_owned(connection: Connection, picked: Picked) -> list[int]:
    """Return the faces, after checking that they have the expected person."""
    faces = sorted(set(picked.faces))
    found = require_faces(connection, faces)
    if picked.any_owner:
        return faces
    owner = None if picked.owner is None else require_person(connection, picked.owner)
    others = [face for face, person in found.items() if person != (None if owner is None else owner.id)]
    if others:
        name = "unassigned" if owner is None else f"{called(owner)}'s"
        raise WrongUsage(
            f"Face {others[0]} is not {name}: it was changed in the meantime. Reload and try again."
        )
    return faces
