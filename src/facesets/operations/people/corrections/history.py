"""`people log | undo | redo`: every change as a step, and how it is taken back."""

from facesets.errors import WrongUsage
from facesets.operations.people.corrections.who import find_person
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.people.undoing import StepRow, find_step, latest_step, list_steps, take_back


def log(database: Database, who: str | None = None, *, limit: int = 20) -> list[StepRow]:
    """The latest steps, or those about a person, the latest first. Raises `WrongUsage`."""

    def work(connection: Connection) -> list[StepRow]:
        person = None if who is None else find_person(connection, who).id
        return list_steps(connection, person=person, limit=limit)

    return database.run(work)


def undo(database: Database, number: int | None = None, *, by: str) -> StepRow:
    """Take back a step, by default the latest that stands; returns what it was.

    Raises
    ------
    WrongUsage
        There is none, or a later step builds on it.
    """
    return _take_back(database, number, by, undo=True)


def redo(database: Database, *, by: str) -> StepRow:
    """Make the step that was taken back last stand again; returns what it was.

    Raises
    ------
    WrongUsage
        None was, or what it changed was changed since.
    """
    taken = _take_back(database, None, by, undo=False)
    return database.run(find_step, taken.undoes or taken.id) or taken


def _take_back(database: Database, number: int | None, by: str, *, undo: bool) -> StepRow:
    # Looked up before: done twice because the connection broke, it must not take back two.
    step = number if number is not None else database.run(latest_step, undo=not undo)
    if step is None:
        raise WrongUsage("There is nothing to take back." if undo else "There is nothing to do again.")
    return database.run(take_back, step, by)
