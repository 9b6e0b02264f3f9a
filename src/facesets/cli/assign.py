"""`facesets assign`."""

from typing import TYPE_CHECKING

from facesets.cli import console, queueing
from facesets.cli.opening import work_on_library
from facesets.cli.params import DatabaseOption
from facesets.cli.user import current_user
from facesets.cli.wording import how_to_undo
from facesets.operations.options.assign import AssignOptions
from facesets.plurals import counted, people

if TYPE_CHECKING:
    from facesets.operations.people.assigning.assigning import AssignSummary


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
    console.show(summary, assigned_lines(summary), asked_for=options.dry_run)
    console.finish()


def assigned_lines(summary: "AssignSummary") -> list[str]:
    """What `assign` did, in words."""
    if not summary.people and not summary.stopped:
        return ["There is nobody yet to give faces to. `facesets cluster` makes people of the faces."]
    restored = f" {counted(summary.restored, 'face')} given back to whom you said they are."
    line = (
        f"{counted(summary.faces, 'face')} without a person: {summary.assigned} given to "
        f"{people(summary.assigned_people)}, {summary.review} to be asked about, "
        f"{summary.faces - summary.assigned - summary.review} like nobody of {people(summary.people)}."
        + (restored if summary.restored else "")
        + (" Nothing was stored." if summary.dry_run or summary.stopped else "")
    )
    measured = [f"Threshold {summary.threshold:.2f}: {summary.reason}."] if summary.reason else []
    by_head = [f"Compared by the head {summary.head} (`facesets train --list`)."] if summary.head else []
    return [line + how_to_undo(summary.step), *by_head, *measured]
