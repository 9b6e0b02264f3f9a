"""`people set`: a person's date or year of birth, as set by the user."""

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from facesets.clustering.people.ages import CONTRADICTS_SPREADS, MIN_FACES, MIN_SPREAD_YEARS
from facesets.errors import Field, WrongUsage
from facesets.operations.people.corrections.correcting import confirm_person, correcting_step
from facesets.operations.people.corrections.lookup import called, find_person, result_of
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


def set_birth(database: Database, name_or_id: str, birth: Birth, *, by: str, today: date) -> Result:
    """Set when a person was born, replacing an earlier value.

    Contradicting data is reported and stays, because photos may have wrong dates.

    Raises
    ------
    WrongUsage
        There is no such person, or the date is not a possible birth.
    """
    born = _checked(birth, today)

    def work(connection: Connection) -> Result:
        person = find_person(connection, name_or_id)
        known = load_births(connection, [person.id]).get(person.id)
        what = f"{called(person)}: birth unknown" if born is None else f"{called(person)}: born {born}"
        with correcting_step(connection, "birth", by, what) as step:
            if born != known:
                set_birth_date(step, person.id, born)
                confirm_person(step, person.id)
        did = "birth removed" if born is None else f"born {born}"
        did += f" (previously {known})" if known not in (None, born) else ""
        against = [] if born is None else _against(connection, person.id, born)
        return result_of(connection, person.id, "; ".join([did, *against]), step)

    return changing(database, work)


def _checked(birth: Birth, today: date) -> BirthDate | None:
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


def _against(connection: Connection, person: UUID, born: BirthDate) -> list[str]:
    """Describe data that contradicts a birth."""
    early: int = connection.scalar(
        """SELECT count(*) FROM present_faces f JOIN images i ON i.id = f.image_id
            WHERE f.person_id = %s AND i.taken < make_date(%s, %s, %s)""",
        (person, born.year, *((1, 1) if born.day is None else (born.day.month, born.day.day))),
    )
    found = [f"{counted(early, 'face')} in photos dated earlier"] if early else []
    return found + _contradicting_estimates(ages_of(connection, [person])[person], born)


def _contradicting_estimates(age: PersonAge, born: BirthDate) -> list[str]:
    if age.birth_year is None or age.spread is None or age.dated_faces < MIN_FACES:
        return []
    if abs(age.birth_year - born.year) <= CONTRADICTS_SPREADS * max(age.spread, MIN_SPREAD_YEARS):
        return []
    return [f"{counted(age.dated_faces, 'face suggests', 'faces suggest')} about {age.birth_year:.0f}"]
