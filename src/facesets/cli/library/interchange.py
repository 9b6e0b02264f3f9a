"""`facesets import-names`, `export-xmp`, `import-cache` and `export-cache`."""

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from facesets.cli import console
from facesets.cli.library.index import report_empty_folders
from facesets.cli.opening import opened_library, opened_session, work_on_library, working
from facesets.cli.params import CacheArgument, DatabaseOption
from facesets.errors import Command, Field, NotFound, WrongUsage
from facesets.files import plain_path, printable
from facesets.operations.options.declaration import Option
from facesets.operations.options.library import ExportXmpOptions
from facesets.operations.options.shared import DryRun
from facesets.words import interchange as words
from facesets.words import library as library_words
from facesets.words.phrases import table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from facesets.result import Result

SourceArgument = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="[SOURCE...]",
        help="Photo folders, a digikam4.db, JSON of `osxphotos query --json`, or Picasa's contacts.xml.",
        show_default=False,
    ),
]
FromOption = Annotated[
    Literal["auto", "xmp", "picasa", "digikam", "osxphotos", "takeout"],
    Option(
        "Only names from this program or kind of file.",
        flag="--from",
    ),
]
MapOption = Annotated[
    tuple[str, ...],
    Option(
        "Where a folder of the other program is on this machine; all of several apply.",
        flag="--map",
        metavar="OLD=NEW",
    ),
]


def import_names(
    source: SourceArgument = None,
    database: DatabaseOption = None,
    from_: FromOption = "auto",
    map_: MapOption = (),
    unmatched: Annotated[bool, Option("List imported names that match no face.")] = False,
    conflicts: Annotated[bool, Option("List imported names that contradict a name here.")] = False,
    dry_run: DryRun = False,
) -> None:
    """Import names from Picasa, digiKam, Lightroom and others.

    Your own corrections stay: a different name for the same face becomes a suggestion in `people review`.
    """
    from facesets.operations.interchange.import_names import import_names as run
    from facesets.operations.interchange.name_sources import FilesRead, named_photos, read_places

    places = read_places(map_)
    if unmatched and conflicts:
        raise WrongUsage(f"Give {Field('unmatched')} or {Field('conflicts')}, not both.")
    if unmatched or conflicts:
        _list(database, conflicts=conflicts, reads=bool(source or dry_run))
        return
    if not source:
        raise WrongUsage("Missing source. Give a photo folder, or a file of another program.")
    with working() as work, opened_library(database) as library:
        read = FilesRead()
        done = run(
            library,
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
    """List names read before. Raises `WrongUsage` with sources."""
    from facesets.store.postgres.people.imported_names import conflicting_names, unmatched_names

    if reads:
        raise WrongUsage(
            f"{Field('unmatched')} and {Field('conflicts')} list names that were read before. Remove "
            f"the source and {Field('dry_run')}."
        )
    with opened_session(database) as session:
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
    console.show_list("names", found, table(headings, rows) if rows else "Nothing to list.")


def export_xmp(
    who: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[WHO...]",
            help="Names or ids of people. [default: all named people]",
            show_default=False,
        ),
    ] = None,
    database: DatabaseOption = None,
    undo: Annotated[
        str | None,
        Option("Undo a run: its number, or `last`.", metavar="RUN"),
    ] = None,
    *,
    options: ExportXmpOptions,
) -> None:
    """Write names into XMP sidecars for other programs.

    Photos are never changed, and in a sidecar only the part of facesets. The next run removes names that
    are no longer true; without changes it writes nothing.
    """
    if undo is not None and (who or options.target or options.replace or options.microsoft):
        raise WrongUsage("--undo RUN undoes a whole run; it can only be combined with --dry-run.")
    from facesets.operations.interchange.export_xmp import export_xmp as run
    from facesets.operations.interchange.undo_xmp import undo_xmp

    console.quiet_unless_terminal()
    with working() as work, opened_library(database) as library:
        if undo is not None:
            done = undo_xmp(library.database, undo, dry_run=options.dry_run, work=work)
            console.show(done, words.export_xmp_undo(done), asked_for=options.dry_run)
            _finish(done, undo=True)
            return
        try:
            done = run(library, who or (), options, work=work)
        except NotFound as error:
            raise _or_a_folder(who or (), error) from error
        report_empty_folders(library, [str(plain_path(each)) for each in options.target])
    console.show(done, words.export_xmp(done), asked_for=options.dry_run)
    if not done.people and not done.unfit:
        console.notice(words.NO_NAMED_PEOPLE)
    _finish(done)


def _or_a_folder(who: "Sequence[str]", error: NotFound) -> WrongUsage:
    """Explain how to name a folder if one was given in place of a person."""
    folder = next((each for each in who if Path(each).is_dir() and printable(each) in str(error)), None)
    if folder is None:
        return error
    below = Command("export-xmp", Field("under", printable(folder)))
    return WrongUsage(f"{printable(folder)} is a folder, not a person. For the photos in it, run {below}.")


def _finish(done: "Result", *, undo: bool = False) -> None:
    if done.edited:
        console.notice(words.sidecars_left(done, undo=undo))
        console.failures([(each.path, each.reason) for each in done.edited])
    for line in words.folders_with_nothing(done) if undo else ():
        console.notice(line)
    console.failures([(each.path, each.reason) for each in done.failures])
    console.finish(failed=len(done.failures))


def import_cache(
    cache: CacheArgument,
    database: DatabaseOption = None,
    dry_run: DryRun = False,
) -> None:
    """Copy a cache into the library.

    What the library already has stays as it is.
    """
    from facesets.assembly.stores import open_cache
    from facesets.operations.library.transfer import import_cache as run
    from facesets.store.postgres.library import Library

    source = open_cache(cache)
    collection_settings = source.settings
    if collection_settings is None:
        raise WrongUsage(f"Cache not found: {source.label}.")
    with work_on_library(database) as work:
        library = Library(work.session, collection_settings)
        done = run(source, library, dry_run=dry_run, work=work)
    console.show(done, library_words.transfer(done, label=library.label))
    console.finish()


def export_cache(
    cache: CacheArgument,
    database: DatabaseOption = None,
    dry_run: DryRun = False,
) -> None:
    """Copy the library into a cache.

    A cache is a file to work on anywhere.
    """
    from facesets.assembly.stores import open_cache
    from facesets.operations.library.transfer import transfer

    target = open_cache(cache)
    with work_on_library(database) as work:
        known = work.library.settings
        if known is None:
            raise WrongUsage(f"There are no faces in {work.session.label} yet. Run `facesets index PHOTOS`.")
        with nullcontext() if dry_run else target.writing(known):
            done = transfer(work.library, target, dry_run=dry_run, work=work)
    console.show(done, library_words.transfer(done, label=target.label))
    console.finish()
