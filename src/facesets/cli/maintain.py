"""`facesets maintain`."""

from typing import Annotated

import typer

from facesets.cli import console, queueing
from facesets.cli.opening import work_on_library
from facesets.cli.params import DatabaseOption
from facesets.operations.options.upkeep import MaintainOptions, tasks_named
from facesets.words import corrections as words


def maintain(
    tasks: Annotated[
        list[str],
        typer.Argument(
            metavar="TASK...",
            help="centroids, medoids, empty, statistics, must-links, violations, merge-similar, unassigned, "
            "associate, staleness or health; or daily or weekly.",
            show_default=False,
        ),
    ],
    database: DatabaseOption = None,
    *,
    options: MaintainOptions,
) -> None:
    """Keep the library's people and clusters tidy. Each task is one step that `people undo` takes back.

    daily is centroids, empty, statistics, must-links and violations; weekly is daily and then medoids,
    merge-similar, unassigned and associate.
    """
    from facesets.assembly.commands import VERBS

    chosen = tasks_named(tasks)
    if queueing.is_asked():
        queueing.queue("maintain", database, tasks=chosen, options=options)
        return
    console.only_the_result_unless_watched()
    with work_on_library(database) as work:
        done = VERBS["maintain"].run(work, tasks=chosen, options=options).tasks
    quiet = console.session.quiet and not options.dry_run
    lines = words.maintain(done, dry_run=options.dry_run, briefly=quiet)
    if lines or console.session.json:
        console.show_list("tasks", done, "\n".join(lines))
    console.finish()
