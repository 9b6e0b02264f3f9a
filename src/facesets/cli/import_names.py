"""`facesets import-names`: names that people gave in other programs."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from facesets.cli import console
from facesets.cli.opening import opened_library, working
from facesets.cli.params import DatabaseOption
from facesets.errors import Field, WrongUsage
from facesets.files import plain_path, printable
from facesets.operations.options.declaration import Option
from facesets.operations.options.shared import DryRun
from facesets.words import interchange as words
from facesets.words.phrases import table

SourceArgument = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="[SOURCE...]",
        help="Folders of photos, a digikam4.db, JSON of `osxphotos query --json`, Picasa's contacts.xml.",
        show_default=False,
    ),
]
FromOption = Annotated[
    Literal["auto", "xmp", "picasa", "digikam", "osxphotos", "takeout"],
    Option(
        "Only names that this program, or this kind of file, keeps.",
        flag="--from",
        variable="FACESETS_IMPORT_NAMES_FROM",
    ),
]
MapOption = Annotated[
    tuple[str, ...],
    Option(
        "Where a folder that the other program names is on this machine; with several, all count.",
        flag="--map",
        variable="FACESETS_IMPORT_NAMES_MAP",
        metavar="OLD=NEW",
    ),
]


def import_names(
    source: SourceArgument = None,
    database: DatabaseOption = None,
    from_: FromOption = "auto",
    map_: MapOption = (),
    unmatched: Annotated[
        bool, Option("List the names that were read of places without a face, and of whole photos.")
    ] = False,
    conflicts: Annotated[
        bool, Option("List the names that were read of faces that are somebody else here.")
    ] = False,
    dry_run: DryRun = False,
) -> None:
    """Bring in names that people gave in Picasa, digiKam, Lightroom, Apple or Google Photos.

    What you said here stays: another name for the same face becomes a question of `people review`.
    """
    from facesets.operations.interchange.import_names import import_names as run
    from facesets.operations.interchange.name_sources import FilesRead, named_photos, read_places
    from facesets.store.postgres.library import Library

    places = read_places(map_)
    if unmatched and conflicts:
        raise WrongUsage(f"Give {Field('unmatched')} or {Field('conflicts')}, not both.")
    if unmatched or conflicts:
        _list(database, conflicts=conflicts, reads=bool(source or dry_run))
        return
    if not source:
        raise WrongUsage("Where are the names? Give a folder of photos, or the file of another program.")
    with working() as work, opened_library(database) as session:
        read = FilesRead()
        done = run(
            Library(session),
            named_photos(source, from_, read),
            read,
            ", ".join(printable(plain_path(each).name or each) for each in source),
            work=work,
            places=places,
            dry_run=dry_run,
        )
    console.show(done, words.import_names(done), asked_for=dry_run)
    console.finish(failed=len(done.failed))


def _list(database: str | None, *, conflicts: bool, reads: bool) -> None:
    """List what was read before. Raises `WrongUsage` where something is to be read."""
    from facesets.store.postgres.people.imported_names import conflicting_names, unmatched_names

    if reads:
        raise WrongUsage(
            f"{Field('unmatched')} and {Field('conflicts')} list what was read before. Give them without a "
            f"source and {Field('dry_run')}."
        )
    with opened_library(database) as session:
        found = session.run(conflicting_names if conflicts else unmatched_names)
    rows = [
        (
            printable(each.name),
            each.program,
            "-" if each.face is None else f"face {each.face}",
            printable(each.here) or "-",
            "whole photo" if each.box is None else " ".join(f"{edge:.3f}" for edge in each.box),
            printable(each.path) or "-",
        )
        for each in found
    ]
    headings = ("name", "program", "face", "here", "place", "photo")
    console.show_list("names", found, table(headings, rows) if rows else "There are none.")
