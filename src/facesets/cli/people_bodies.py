"""`facesets people bodies`."""

from typing import Annotated

from facesets.cli import console
from facesets.cli.opening import opened_library
from facesets.cli.params import DatabaseOption
from facesets.cli.people import WhoArgument, people
from facesets.files import printable
from facesets.operations.options.declaration import Option
from facesets.plurals import counted
from facesets.words.phrases import name_and_number

_WHY = {"burst": "stood there seconds apart", "colours": "same colours that day"}


@people.command()
def bodies(
    who: WhoArgument,
    database: DatabaseOption = None,
    limit: Annotated[int, Option("How many photos.", least=1)] = 20,
) -> None:
    """List photos on which somebody may be, seen from behind for instance; nothing is changed by it."""
    from facesets.operations.library.not_looked_at import stages_to_do
    from facesets.operations.people.lists.bodies import bodies_of_person as run
    from facesets.store.postgres.library import Library

    with opened_library(database) as session:
        found = run(session, who, limit=limit)
        missing = [] if found.suggested else stages_to_do(Library(session), ["bodies"])
    whose = name_and_number(found.name, found.person)
    heading = (
        f"{whose}: {counted(found.bodies, 'body', 'bodies')} with a face, "
        f"{counted(len(found.suggested), 'photo')} on which they may be without one."
    )
    headings = ("taken", "why", "alike", "at", "photo", "like")
    rows = [
        (
            each.taken,
            _WHY[each.why],
            "-" if each.similarity is None else f"{each.similarity:.2f}",
            ",".join(f"{value:.0f}" for value in each.box),
            printable(each.path),
            printable(each.like),
        )
        for each in found.suggested
    ]
    console.show(found, [heading, *([console.table(headings, rows)] if rows else [])], asked_for=True)
    for each in missing:
        console.notice(each.sentence)
