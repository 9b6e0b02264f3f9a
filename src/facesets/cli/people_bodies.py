"""`facesets people bodies`."""

from typing import Annotated

from facesets.cli import console
from facesets.cli.opening import opened_library
from facesets.cli.params import DatabaseOption
from facesets.cli.people import WhoArgument, people
from facesets.operations.options.declaration import Option
from facesets.words import corrections as words


@people.command()
def bodies(
    who: WhoArgument,
    database: DatabaseOption = None,
    limit: Annotated[int, Option("How many photos.", least=1)] = 20,
) -> None:
    """List photos on which somebody may be, seen from behind for instance; nothing is changed by it."""
    from facesets.operations.library.nothing_found import stages_to_do
    from facesets.operations.people.lists.bodies import bodies_of_person as run
    from facesets.store.postgres.library import Library

    with opened_library(database) as session:
        found = run(session, who, limit=limit)
        missing = [] if found.suggested else stages_to_do(Library(session), ["bodies"])
    console.show(found, words.bodies(found), asked_for=True)
    for each in missing:
        console.notice(each.sentence)
