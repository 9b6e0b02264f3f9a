"""`facesets people prototypes | centroids`."""

from typing import Annotated

import typer

from facesets.cli import console, queueing
from facesets.cli.opening import opened_library
from facesets.cli.params import DatabaseOption
from facesets.cli.people import people
from facesets.cli.user import current_user
from facesets.operations.options.declaration import Option
from facesets.words import corrections as words


@people.command()
def prototypes(
    who: Annotated[str | None, typer.Argument(metavar="[WHO]", show_default=False)] = None,
    database: DatabaseOption = None,
    pin: Annotated[tuple[int, ...], Option("Faces: all are to be exemplars.", metavar="FACE...")] = (),
    drop: Annotated[
        tuple[int, ...],
        Option("Faces: all are no longer to be exemplars.", metavar="FACE..."),
    ] = (),
) -> None:
    """List the faces and centroids that stand for people where faces are compared; fix or drop faces."""
    from facesets.operations.people.assigning.prototypes import prototypes as run

    with opened_library(database) as session:
        found = run(session, who, pin=pin, drop=drop, by=current_user())
    console.show(found, words.prototypes(found), asked_for=True)


@people.command()
def centroids(database: DatabaseOption = None) -> None:
    """Make the centroids and exemplars of everybody again, exactly; they are kept current anyhow."""
    queueing.begin("people centroids", database)
    console.finish()
