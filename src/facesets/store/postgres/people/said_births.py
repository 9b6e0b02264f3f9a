"""When humans said that people were born."""

from collections.abc import Sequence
from uuid import UUID

from facesets.store.postgres.connection import Connection
from facesets.store.postgres.people.person_ages import SaidBirth
from facesets.store.postgres.people.steps import Step


def said_births(connection: Connection, persons: Sequence[UUID] | None = None) -> dict[UUID, SaidBirth]:
    """What was said of some people, by default of all of whom it was."""
    rows = connection.execute(
        """SELECT person_id, year, born_on FROM said_births
            WHERE %(persons)s::uuid[] IS NULL OR person_id = ANY(%(persons)s::uuid[]) ORDER BY 1""",
        {"persons": None if persons is None else list(persons)},
    )
    return {person: SaidBirth(year, day) for person, year, day in rows}


def say_birth(step: Step, person: UUID, birth: SaidBirth | None) -> None:
    """Keep when somebody was born; None takes back what was said."""
    if birth is None:
        step.connection.execute("DELETE FROM said_births WHERE person_id = %s", (person,))
    else:
        step.connection.execute(
            """INSERT INTO said_births (person_id, year, born_on) VALUES (%s, %s, %s)
                ON CONFLICT (person_id) DO UPDATE
                    SET year = excluded.year, born_on = excluded.born_on, said_at = now()
                    WHERE (said_births.year, said_births.born_on)
                        IS DISTINCT FROM (excluded.year, excluded.born_on)""",
            (person, birth.year, birth.day),
        )
    step.about(person)


def hand_over_birth(step: Step, old: UUID, new: UUID) -> None:
    """Let what was said of one person's birth be said of another, of whom nothing was said."""
    said = said_births(step.connection, [old, new])
    if old in said:
        say_birth(step, old, None)
        if new not in said:
            say_birth(step, new, said[old])
