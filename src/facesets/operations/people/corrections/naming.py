"""`people name | rename | hide | unhide`: names of people."""

from collections.abc import Sequence
from uuid import UUID

from facesets.errors import Command, Field, WrongUsage
from facesets.files import printable
from facesets.operations.people.corrections.absorbing import preserving_portrait
from facesets.operations.people.corrections.correcting import (
    confirm_person,
    correcting_step,
    merge_into,
    move_faces,
)
from facesets.operations.people.corrections.lookup import (
    Finder,
    called,
    chosen_name,
    find,
    find_person,
    has_name,
    require_person,
    result_of,
    short,
)
from facesets.plurals import counted
from facesets.result import Result
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.people.clusters import verify
from facesets.store.postgres.people.corrections import store_person_correction
from facesets.store.postgres.people.persons import (
    PersonState,
    add_name,
    drop_names,
    exemplars,
    give_faces,
    make_person,
    set_status,
)
from facesets.store.postgres.people.steps import Step, changing

_SHOWN = 6
"""Number of faces shown of each of two people who may be the same."""


class NameTaken(WrongUsage):
    """Another person has that name, and the user did not confirm that they are the same person.

    Attributes
    ----------
    other : UUID
        The person with the name.
    faces, other_faces : sequence of int
        Faces of the person to name, and of the person with the name.
    """

    def __init__(
        self,
        name: str,
        other: PersonState,
        faces: Sequence[int] = (),
        other_faces: Sequence[int] = (),
        merge: Command | None = None,
        another: Command | None = None,
    ) -> None:
        facts = f"{short(other.id)}, {counted(other.faces, 'face')}"
        taken = f"The name {printable(name)} is already taken ({facts})."
        self.question = f"{taken} Are they the same person?"
        self.name = name
        self.other = other.id
        self.faces = faces
        self.other_faces = other_faces
        alternative = f" If not, choose another name: {another}." if another else ""
        super().__init__(f"{taken} If they are the same person, use {merge or Field('into')}.{alternative}")


def name_taken(
    connection: Connection,
    name: str,
    other: PersonState,
    faces: Sequence[int],
    merge: Command | None = None,
    another: Command | None = None,
) -> NameTaken:
    """Return the error that a name is taken, with faces of both people."""
    other_faces = exemplars(connection, other.id, _SHOWN)
    return NameTaken(name, other, list(faces[:_SHOWN]), other_faces, merge, another)


def _taken(
    connection: Connection, text: str, other: PersonState, faces: Sequence[int], name_or_id: str, *more: Field
) -> NameTaken:
    person, same, new = (printable(each) for each in (name_or_id.strip(), text, f"{text} 2"))
    merge = Command("people name", person, same, *more, Field("into"))
    return name_taken(connection, text, other, faces, merge, Command("people name", person, new, *more))


def name(database: Database, name_or_id: str, new_name: str, *, into: bool, face: bool, by: str) -> Result:
    """Name a person or a cluster; or a single face, which becomes a person.

    Parameters
    ----------
    into : bool
        If another person has that name, they are merged.
    face : bool
        `name_or_id` is the number of a face.

    Raises
    ------
    NameTaken
        Another person has the name, and `into` is off.
    WrongUsage
        There is no such person, or the name is invalid.
    """
    return changing(database, name_now, name_or_id, new_name, into=into, face=face, by=by)


def name_now(
    connection: Connection,
    name_or_id: str,
    new_name: str,
    *,
    into: bool,
    face: bool,
    by: str,
    finder: Finder = find,
) -> Result:
    """Do as `name`, in a transaction without other changes."""
    text = chosen_name(new_name)
    taken = has_name(connection, text)
    if face:
        return _name_face(connection, name_or_id, text, taken, into=into, by=by)
    found = finder(connection, name_or_id)
    state = None if found.person is None else require_person(connection, found.person)
    if taken is not None and (state is None or taken != state.id):
        other = require_person(connection, taken)
        if not into:
            faces = found.faces if state is None else exemplars(connection, state.id, _SHOWN)
            raise _taken(connection, text, other, faces, name_or_id)
        if state is not None:
            return merge_into(connection, [state], other, drop_names=False, by=by)
        with correcting_step(
            connection, "name", by, f"cluster {printable(name_or_id)} added to {called(other)}"
        ) as step:
            with preserving_portrait(step, other):
                give_faces(step, found.faces, other.id, "auto")
            verify(step, name_or_id.strip(), by)
            confirm_person(step, other.id)
        return result_of(connection, other.id, f"{counted(len(found.faces), 'face')} added", step)
    if state is None:
        with correcting_step(
            connection, "name", by, f"cluster {printable(name_or_id)} named {printable(text)}"
        ) as step:
            person = make_person(step)
            give_faces(step, found.faces, person, "auto")
            verify(step, name_or_id.strip(), by)
            _call(step, person, text)
        return result_of(connection, person, "named", step)
    if taken == state.id:
        return result_of(connection, state.id, "already has this name")
    named = f"{'also named' if state.names else 'named'} {printable(text)}"
    with correcting_step(connection, "name", by, f"{called(state)} {named}") as step:
        _call(step, state.id, text)
    did = named if state.names else "named"
    return result_of(connection, state.id, did, step)


def _name_face(
    connection: Connection, number: str, text: str, taken: UUID | None, *, into: bool, by: str
) -> Result:
    if not number.strip().isdecimal():
        show = Command("people show", "WHO", Field("limit", "20"))
        raise WrongUsage(f"{printable(number)} is not a face number. To list face numbers, run {show}.")
    if taken is not None and not into:
        other = require_person(connection, taken)
        raise _taken(connection, text, other, [int(number)], number, Field("face"))
    with correcting_step(connection, "name", by, f"face {int(number)} named {printable(text)}") as step:
        person = make_person(step) if taken is None else require_person(connection, taken).id
        move_faces(step, [int(number)], person)
        if taken is None:
            add_name(step, person, text)
        store_person_correction(step, person)
    return result_of(connection, person, "named", step)


def _call(step: Step, person: UUID, text: str) -> None:
    """Give a person a name, and confirm their best faces."""
    add_name(step, person, text)
    confirm_person(step, person)


def rename(database: Database, name_or_id: str, new_name: str, *, by: str) -> Result:
    """Rename a person, replacing all names.

    Raises
    ------
    NameTaken
        Another person has the name.
    WrongUsage
        There is no such person, or the name is invalid.
    """
    text = chosen_name(new_name)

    def work(connection: Connection) -> Result:
        state = find_person(connection, name_or_id)
        taken = has_name(connection, text)
        if taken is not None and taken != state.id:
            other = require_person(connection, taken)
            merge = Command("people merge", short(state.id), Field("to", short(other.id)))
            another = Command("people rename", short(state.id), printable(f"{text} 2"))
            raise name_taken(connection, text, other, exemplars(connection, state.id, _SHOWN), merge, another)
        if state.names == [text]:
            return result_of(connection, state.id, "already has this name")
        with correcting_step(
            connection, "rename", by, f"{called(state)} renamed to {printable(text)}"
        ) as step:
            drop_names(step, state.id)
            _call(step, state.id, text)
        former = ", ".join(printable(each) for each in state.names)
        did = f"renamed from {former}" if former else "named"
        return result_of(connection, state.id, did, step)

    return changing(database, work)


def set_hidden(database: Database, name_or_id: str, *, hidden: bool, by: str) -> Result:
    """Hide a person, or show them again. Raises `WrongUsage`."""
    return changing(database, set_hidden_now, name_or_id, hidden=hidden, by=by)


def set_hidden_now(connection: Connection, name_or_id: str, *, hidden: bool, by: str) -> Result:
    """Do as `set_hidden`, in a transaction without other changes."""
    state = find_person(connection, name_or_id)
    did = "hidden" if hidden else "shown again"
    wanted = "hidden" if hidden else "active"
    if state.status == wanted:
        return result_of(connection, state.id, f"already {wanted}")
    with correcting_step(connection, "hide" if hidden else "unhide", by, f"{called(state)} {did}") as step:
        set_status(step, state.id, wanted)
        confirm_person(step, state.id)
    return result_of(connection, state.id, did, step)
