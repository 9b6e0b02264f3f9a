"""`people log | undo | redo`: every change as a step, and how it is taken back."""

from facesets.errors import WrongUsage
from facesets.operations.people.who import find_person
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.steps import StepRow, latest_step, list_steps
from facesets.store.postgres.undoing import take_back


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
    return database.run(lambda connection: _take_back(connection, number, by, undo=False))


def redo(database: Database, *, by: str) -> StepRow:
    """Make the step that was taken back last stand again; returns that undoing.

    Raises
    ------
    WrongUsage
        None was, or what it changed was changed since.
    """
    return database.run(lambda connection: _take_back(connection, None, by, undo=True))


def _take_back(connection: Connection, number: int | None, by: str, *, undo: bool) -> StepRow:
    number = number if number is not None else latest_step(connection, undo=undo)
    if number is None:
        raise WrongUsage("There is nothing to do again." if undo else "There is nothing to take back.")
    return take_back(connection, number, by)
