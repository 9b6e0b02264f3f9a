"""`facesets assign`."""

from facesets.cli import console, queueing
from facesets.cli.opening import work_on_library
from facesets.cli.params import DatabaseOption
from facesets.cli.user import current_user
from facesets.operations.options.assign import AssignOptions
from facesets.words import people as words


def assign(
    database: DatabaseOption = None,
    *,
    options: AssignOptions,
) -> None:
    """Give the library's faces that have no person to the people whom they are like.

    Each face is compared with the prototypes of everybody (`facesets people prototypes`). What is not
    certain is kept as a question. Run it again after each `index`, or say `index --assign`.
    """
    from facesets.operations.people.assigning.assigning import assign as run

    if queueing.is_asked():
        queueing.queue(database, "assign", options=options)
        return
    console.only_the_result_unless_watched()
    with work_on_library(database) as (library, progress, stop):
        summary = run(library, options, progress=progress, stop=stop, by=current_user())
    console.show(summary, words.assign(summary), asked_for=options.dry_run)
    console.finish()
