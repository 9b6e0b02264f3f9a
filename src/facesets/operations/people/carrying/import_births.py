"""When the people of a file were born: said here of whom nothing was said yet."""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from facesets.files import printable
from facesets.operations.people.carrying.people_file import FilePerson
from facesets.operations.people.corrections.who import short
from facesets.store.postgres.people.said_people import SaidBirth, said_births, say_birth
from facesets.store.postgres.people.steps import Step


class SaidBirths(NamedTuple):
    """How many births hold now and did not before, and how many held already."""

    new: int
    known: int


def say_births(
    step: Step, people: Sequence[FilePerson], target: Sequence[UUID | None], skipped: list[str]
) -> SaidBirths:
    """Say when people were born; what was said otherwise here stays, and is reported in `skipped`."""
    here = said_births(step.connection)
    new = known = 0
    for person, whom in zip(people, target, strict=True):
        said = _birth(person)
        if whom is None or said is None:
            continue
        before = here.get(whom)
        if before is None:
            say_birth(step, whom, said)
            here[whom] = said
            new += 1
        elif before == said or (before.year == said.year and said.day is None):
            known += 1
        else:
            name = printable(person.names[0]) if person.names else short(person.id)
            skipped.append(f"{name}: born {said}, which is {before} here")
    return SaidBirths(new, known)


def _birth(person: FilePerson) -> SaidBirth | None:
    if person.birth_date is not None:
        return SaidBirth(person.birth_date.year, person.birth_date)
    return None if person.birth_year is None else SaidBirth(person.birth_year)
