"""`people log | undo | redo`: the list of changes, undo and redo; people restored after a reset."""

from uuid import UUID

from facesets.errors import Command, WrongUsage
from facesets.operations.people.corrections.lookup import find_person, has_name
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.people.person_corrections import displaced_faces, lost_people
from facesets.store.postgres.people.persons import (
    add_name,
    give_faces,
    make_person,
    person_state,
    set_status,
)
from facesets.store.postgres.people.steps import Step, making_step
from facesets.store.postgres.people.undoing import (
    StepRow,
    find_step,
    latest_forgetting,
    latest_step,
    list_steps,
    undo_step,
)


def log(database: Database, name_or_id: str | None = None, *, limit: int = 20) -> list[StepRow]:
    """Return the latest changes, or those of a person, newest first. Raises `WrongUsage`."""

    def work(connection: Connection) -> list[StepRow]:
        person = None if name_or_id is None else find_person(connection, name_or_id).id
        return list_steps(connection, person=person, limit=limit)

    return database.run(work)


def undo(database: Database, number: int | None = None, *, by: str) -> StepRow:
    """Undo a change, by default the latest; return it.

    Raises
    ------
    WrongUsage
        There is no change, a later step builds on it, or the latest change erased a person.
    """
    return _undo_or_redo(database, number, by, undo=True)


def redo(database: Database, *, by: str) -> StepRow:
    """Redo the change that was undone last; return it.

    Raises
    ------
    WrongUsage
        Nothing was undone, or its data has changed since.
    """
    taken = _undo_or_redo(database, None, by, undo=False)
    return database.run(find_step, taken.undoes or taken.id) or taken


def _undo_or_redo(database: Database, number: int | None, by: str, *, undo: bool) -> StepRow:
    # Looked up first, so that a retry after a broken connection does not undo two changes.
    step = number if number is not None else database.run(_latest, undo=undo)
    if step is None:
        raise WrongUsage("There is nothing to undo." if undo else "There is nothing to redo.")
    return database.run(undo_step, step, by)


def _latest(connection: Connection, *, undo: bool) -> int | None:
    """Return the change to undo or redo; one before an erased person is only undone by its number."""
    number = latest_step(connection, undo=not undo)
    forgetting = latest_forgetting(connection) if undo else 0
    if forgetting <= (number or 0):
        return number
    erased = f"Change {forgetting} erased a person for good and cannot be undone."
    before = None if number is None else find_step(connection, number)
    if before is None:
        raise WrongUsage(f"{erased} There is no other change to undo.")
    undo_it = Command("people undo", str(before.id))
    raise WrongUsage(f"{erased} To undo change {before.id} ({before.what}) instead, run {undo_it}.")


def restore_people(connection: Connection, command: str, by: str, run_id: int) -> int:
    """Restore people whom a user named or hid, as a change of a run.

    Returns how many faces were returned to the people that users had confirmed.
    """
    with making_step(connection, command, by, "people restored", run_id=run_id) as step:
        return _restore_people(step)


def _restore_people(step: Step) -> int:
    connection = step.connection
    for lost in lost_people(connection):
        make_person(step, lost.person)
        for name in lost.names:
            # Another person may have the name now.
            if has_name(connection, name) is None:
                add_name(step, lost.person, name)
        if lost.status != "active":
            set_status(step, lost.person, lost.status)
    given = 0
    by_person: dict[UUID, list[int]] = {}
    for face, person in displaced_faces(connection):
        by_person.setdefault(person, []).append(face)
    for person, faces in by_person.items():
        if _exists(connection, person):
            give_faces(step, faces, person, "manual")
            given += len(faces)
    return given


def _exists(connection: Connection, person: UUID) -> bool:
    state = person_state(connection, person)
    return state is not None and state.status != "merged"
