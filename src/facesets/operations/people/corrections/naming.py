"""`people name | rename | hide | unhide`: names of people."""

from collections.abc import Sequence
from uuid import UUID

from facesets.errors import Command, Field, WrongUsage
from facesets.files import printable
from facesets.operations.people.corrections.absorbing import keeping_portrait
from facesets.operations.people.corrections.correcting import (
    correcting_step,
    keep_known,
    merge_into,
    move_faces,
)
from facesets.operations.people.corrections.who import (
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
from facesets.store.postgres.people.corrections import keep_person
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
"""Faces shown of each of two people who may be the same."""


class NameTaken(WrongUsage):
    """Another person has that name, and the user did not confirm that they are the same person.

    Attributes
    ----------
    other : UUID
        Who has it.
    faces, other_faces : sequence of int
        That show who was to get the name, and who has it.
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
        otherwise = f" If not, choose another name: {another}." if another else ""
        super().__init__(f"{taken} If they are the same person, use {merge or Field('into')}.{otherwise}")


def name_taken(
    connection: Connection,
    name: str,
    other: PersonState,
    faces: Sequence[int],
    merge: Command | None = None,
    another: Command | None = None,
) -> NameTaken:
    """Return the error that a name is taken, with faces of both people."""
    theirs = exemplars(connection, other.id, _SHOWN)
    return NameTaken(name, other, list(faces[:_SHOWN]), theirs, merge, another)


def _taken(
    connection: Connection, text: str, other: PersonState, faces: Sequence[int], who: str, *more: Field
) -> NameTaken:
    whom, same, new = (printable(each) for each in (who.strip(), text, f"{text} 2"))
    merge = Command("people name", whom, same, *more, Field("into"))
    return name_taken(connection, text, other, faces, merge, Command("people name", whom, new, *more))


def name(database: Database, who: str, new_name: str, *, into: bool, face: bool, by: str) -> Result:
    """Name a person or a cluster; or a single face, which becomes a person.

    Parameters
    ----------
    into : bool
        Where somebody else has that name, they are one person.
    face : bool
        `who` is the number of a face.

    Raises
    ------
    NameTaken
        Somebody else has it, and `into` is off.
    WrongUsage
        Nobody is meant, or the name is none.
    """
    return changing(database, name_now, who, new_name, into=into, face=face, by=by)


def name_now(
    connection: Connection,
    who: str,
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
        return _name_face(connection, who, text, taken, into=into, by=by)
    meant = finder(connection, who)
    state = None if meant.person is None else require_person(connection, meant.person)
    if taken is not None and (state is None or taken != state.id):
        other = require_person(connection, taken)
        if not into:
            faces = meant.faces if state is None else exemplars(connection, state.id, _SHOWN)
            raise _taken(connection, text, other, faces, who)
        if state is not None:
            return merge_into(connection, [state], other, drop_names=False, by=by)
        with correcting_step(
            connection, "name", by, f"cluster {printable(who)} added to {called(other)}"
        ) as step:
            with keeping_portrait(step, other):
                give_faces(step, meant.faces, other.id, "auto")
            verify(step, who.strip(), by)
            keep_known(step, other.id)
        return result_of(connection, other.id, f"{counted(len(meant.faces), 'face')} added", step)
    if state is None:
        with correcting_step(
            connection, "name", by, f"cluster {printable(who)} named {printable(text)}"
        ) as step:
            person = make_person(step)
            give_faces(step, meant.faces, person, "auto")
            verify(step, who.strip(), by)
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
    connection: Connection, who: str, text: str, taken: UUID | None, *, into: bool, by: str
) -> Result:
    if not who.strip().isdecimal():
        show = Command("people show", "WHO", Field("faces", "20"))
        raise WrongUsage(f"{printable(who)} is not a face number. To list face numbers, run {show}.")
    if taken is not None and not into:
        other = require_person(connection, taken)
        raise _taken(connection, text, other, [int(who)], who, Field("face"))
    with correcting_step(connection, "name", by, f"face {int(who)} named {printable(text)}") as step:
        person = make_person(step) if taken is None else require_person(connection, taken).id
        move_faces(step, [int(who)], person)
        if taken is None:
            add_name(step, person, text)
        keep_person(step, person)
    return result_of(connection, person, "named", step)


def _call(step: Step, person: UUID, text: str) -> None:
    """Give somebody a name, and keep by which faces they are known."""
    add_name(step, person, text)
    keep_known(step, person)


def rename(database: Database, who: str, new_name: str, *, by: str) -> Result:
    """Rename a person, replacing all names.

    Raises
    ------
    NameTaken
        Somebody else has the name.
    WrongUsage
        Nobody is meant, or the name is none.
    """
    text = chosen_name(new_name)

    def work(connection: Connection) -> Result:
        state = find_person(connection, who)
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


def set_hidden(database: Database, who: str, *, hidden: bool, by: str) -> Result:
    """Hide a person, or show them again. Raises `WrongUsage`."""
    return changing(database, set_hidden_now, who, hidden=hidden, by=by)


def set_hidden_now(connection: Connection, who: str, *, hidden: bool, by: str) -> Result:
    """Do as `set_hidden`, in a transaction without other changes."""
    state = find_person(connection, who)
    did = "hidden" if hidden else "shown again"
    wanted = "hidden" if hidden else "active"
    if state.status == wanted:
        return result_of(connection, state.id, f"already {wanted}")
    with correcting_step(connection, "hide" if hidden else "unhide", by, f"{called(state)} {did}") as step:
        set_status(step, state.id, wanted)
        keep_known(step, state.id)
    return result_of(connection, state.id, did, step)
