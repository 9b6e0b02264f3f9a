"""`facesets people set`."""

from datetime import date
from typing import Annotated

from facesets.cli import console
from facesets.cli.opening import opened_library
from facesets.cli.params import DatabaseOption
from facesets.cli.people import WhoArgument, people
from facesets.cli.user import current_user
from facesets.operations.options.declaration import Option, day
from facesets.words import corrections as words


@people.command("set")
def set_(
    who: WhoArgument,
    database: DatabaseOption = None,
    birth_year: Annotated[int | None, Option("The year of birth.", metavar="YEAR")] = None,
    birth_date: Annotated[date | None, Option("The day of birth.", metavar="DATE", parse=day)] = None,
    birth_unknown: Annotated[bool, Option("Take back what was said of the birth.")] = False,
) -> None:
    """Say when a person was born; it counts for more than how old the faces look."""
    from facesets.operations.people.corrections.births import Birth, set_birth

    birth = Birth(birth_year, birth_date, birth_unknown)
    with opened_library(database) as session:
        summary = set_birth(session, who, birth, by=current_user(), today=date.today())  # noqa: DTZ011 - as the user has it
    console.show(summary, words.person(summary))
