"""`facesets people export | import`: what was said about people, from one library to another."""

from pathlib import Path
from typing import Annotated

import typer

from facesets.cli import console
from facesets.cli.opening import opened_library
from facesets.cli.params import DatabaseOption
from facesets.cli.user import current_user
from facesets.operations.options.shared import DryRun
from facesets.words import interchange as words


def export(
    file: Annotated[Path, typer.Argument(metavar="FILE.json", show_default=False)],
    database: DatabaseOption = None,
) -> None:
    """Write all names and statements into a file, with faces by image and box."""
    from facesets.operations.people.carrying.export_people import export_people as run

    with opened_library(database) as session:
        done = run(session, file)
    console.show(done, words.people_export(done))


def import_(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="FILE.json|FOLDER",
            help="What `people export` wrote, or a folder of results whose people have names.",
            show_default=False,
        ),
    ],
    database: DatabaseOption = None,
    dry_run: DryRun = False,
) -> None:
    """Bring in names and statements from a file, or names of folders; what contradicts yours is skipped."""
    from facesets.operations.people.carrying.import_people import import_people as run
    from facesets.operations.people.carrying.people_file import read_people
    from facesets.operations.people.carrying.result_names import people_of_result
    from facesets.store.postgres.library import Library

    with opened_library(database) as session:
        if source.is_dir():
            brought = people_of_result(Library(session), source)
            file, members = brought.file, brought.members
        else:
            file, members = read_people(source), {}
        done = run(session, file, source.name, by=current_user(), members=members, dry_run=dry_run)
    console.show(done, words.people_import(done), asked_for=dry_run)
