"""`people set`: a person's date or year of birth, as set by the user."""

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from facesets.clustering.people.ages import CONTRADICTS_SPREADS, LEAST_FACES, LEAST_SPREAD_YEARS
from facesets.errors import Field, WrongUsage
from facesets.operations.people.corrections.correcting import correcting_step, keep_known
from facesets.operations.people.corrections.who import called, find_person, result_of
from facesets.plurals import counted
from facesets.result import Result
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.people.person_ages import PersonAge, ages_of
from facesets.store.postgres.people.person_corrections import BirthDate, load_births, set_birth_date
from facesets.store.postgres.people.steps import changing

_EARLIEST = 1800
"""Earliest plausible year of birth."""


@dataclass(frozen=True, slots=True)
class Birth:
    """A birth to set: a year, a day, or neither to remove it."""

    year: int | None = None
    day: date | None = None
    unknown: bool = False


def set_birth(database: Database, who: str, birth: Birth, *, by: str, today: date) -> Result:
    """Set when a person was born, replacing an earlier value.

    What does not go with it is reported, and kept all the same: photos may have wrong dates.

    Raises
    ------
    WrongUsage
        Nobody is meant, or the date is none that anybody can have been born on.
    """
    said = _said(birth, today)

    def work(connection: Connection) -> Result:
        person = find_person(connection, who)
        known = load_births(connection, [person.id]).get(person.id)
        what = f"{called(person)}: birth unknown" if said is None else f"{called(person)}: born {said}"
        with correcting_step(connection, "birth", by, what) as step:
            if said != known:
                set_birth_date(step, person.id, said)
                keep_known(step, person.id)
        did = "birth removed" if said is None else f"born {said}"
        did += f" (previously {known})" if known not in (None, said) else ""
        against = [] if said is None else _against(connection, person.id, said)
        return result_of(connection, person.id, "; ".join([did, *against]), step)

    return changing(database, work)


def _said(birth: Birth, today: date) -> BirthDate | None:
    given = sum((birth.year is not None, birth.day is not None, birth.unknown))
    if given != 1:
        ways = f"{Field('birth_year', 'Y')}, {Field('birth_date', 'D')} or {Field('birth_unknown')}"
        raise WrongUsage(f"Give one birth: {ways}.")
    if birth.unknown:
        return None
    year = birth.year if birth.day is None else birth.day.year
    if year is None or not _EARLIEST <= year <= today.year or (birth.day is not None and birth.day > today):
        when = birth.year if birth.day is None else birth.day
        raise WrongUsage(f"{when} is not a plausible birth. Give a date from {_EARLIEST} to today.")
    return BirthDate(year, birth.day)


def _against(connection: Connection, person: UUID, said: BirthDate) -> list[str]:
    """What does not go with a birth, in words."""
    early: int = connection.scalar(
        """SELECT count(*) FROM present_faces f JOIN images i ON i.id = f.image_id
            WHERE f.person_id = %s AND i.taken < make_date(%s, %s, %s)""",
        (person, said.year, *((1, 1) if said.day is None else (said.day.month, said.day.day))),
    )
    found = [f"{counted(early, 'face')} in photos dated earlier"] if early else []
    return found + _estimated_otherwise(ages_of(connection, [person])[person], said)


def _estimated_otherwise(age: PersonAge, said: BirthDate) -> list[str]:
    if age.birth_year is None or age.spread is None or age.dated_faces < LEAST_FACES:
        return []
    if abs(age.birth_year - said.year) <= CONTRADICTS_SPREADS * max(age.spread, LEAST_SPREAD_YEARS):
        return []
    return [f"{counted(age.dated_faces, 'face suggests', 'faces suggest')} about {age.birth_year:.0f}"]
