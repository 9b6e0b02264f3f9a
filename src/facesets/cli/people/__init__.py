"""`facesets people …`: the people of the library."""

import typer

from facesets.cli.people.corrections import (
    different,
    hide,
    merge,
    move,
    name,
    redo,
    rename,
    same,
    set_,
    split,
    undo,
    unhide,
)
from facesets.cli.people.lists import bodies, centroids, list_, log, prototypes, show
from facesets.cli.people.personal_data import export, forget, import_
from facesets.cli.people.review import answer, review

people = typer.Typer(help="Name, correct and review the people of the library.", no_args_is_help=True)
for command in (
    list_,
    show,
    name,
    rename,
    hide,
    unhide,
    merge,
    move,
    same,
    different,
    log,
    undo,
    redo,
    bodies,
    prototypes,
    centroids,
    set_,
    review,
    answer,
    export,
    import_,
    split,
    forget,
):
    # The same as `maintain centroids`.
    people.command(command.__name__.rstrip("_"), hidden=command is centroids)(command)
    if command is name:
        people.command("label", hidden=True)(name)
