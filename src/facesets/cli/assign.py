"""`facesets assign`."""

from facesets.cli import console, queueing
from facesets.cli.params import DatabaseOption
from facesets.operations.options.people import AssignOptions


def assign(
    database: DatabaseOption = None,
    *,
    options: AssignOptions,
) -> None:
    """Give the library's faces that have no person to the people whom they are like.

    Each face is compared with the prototypes of everybody (`facesets people prototypes`). What is not
    certain is kept as a question. Run it again after each `index`, or say `index --assign`.
    """
    queueing.begin("assign", database, options=options)
    console.finish()
