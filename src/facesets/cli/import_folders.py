"""`facesets import-folders`."""

from pathlib import Path
from typing import Annotated

import typer

from facesets.cli import console
from facesets.cli.exporting import FolderCropOptions, exporting
from facesets.cli.flags import unless_given
from facesets.cli.params import DatabaseOption, PackOption, ProviderOption
from facesets.cli.results import CacheOrOutArgument, ExportIfCacheArgument, cache_and_out, report
from facesets.operations.options.declaration import Option
from facesets.operations.options.results import ImportFoldersOptions
from facesets.words import face_sets as words
from facesets.words.interchange import people_import

_IN_FILE: dict[str, type[float]] = {
    "first_threshold": float,
    "second_threshold": float,
    "route_threshold": float,
    "top_n": int,
    "outlier_threshold": float,
    "pad_ratio": float,
    "out_size": int,
    "min_face_short": float,
    "min_norm": float,
}


def import_folders(
    context: typer.Context,
    first: CacheOrOutArgument,
    second: ExportIfCacheArgument = None,
    folder: Annotated[
        tuple[str, ...],
        Option(
            "All photos below show this person; called like the folder unless named. With "
            "several, all are added.",
            metavar="[NAME=]FOLDER",
        ),
    ] = (),
    each_in: Annotated[
        tuple[Path, ...],
        Option("Each folder directly below is one person's; with several, below all.", metavar="FOLDER"),
    ] = (),
    mixed: Annotated[
        tuple[Path, ...],
        Option(
            "Photos of anybody: faces of these people join them. With several, all "
            "of them are looked through.",
            metavar="FOLDER",
        ),
    ] = (),
    folders: Annotated[
        Path | None,
        Option("The same, and thresholds, from a file; flags win (docs/folders.md).", metavar="FILE.toml"),
    ] = None,
    database: DatabaseOption = None,
    *,
    options: ImportFoldersOptions,
    crops: FolderCropOptions,
    pack: PackOption = None,
    provider: ProviderOption = "auto",
) -> None:
    """Make face sets of folders that somebody sorted by person, and merge them into the export OUT."""
    from facesets.operations.face_sets.folder_labels import SortedFolders, labelled, read_folder_list
    from facesets.operations.face_sets.import_folders import import_folders as run

    cache, out = cache_and_out("import-folders", first, second)
    asked, in_file = (SortedFolders(), {}) if folders is None else read_folder_list(folders, _IN_FILE)
    asked = asked.with_more(
        SortedFolders(
            people=tuple(labelled(text) for text in folder),
            each_in=tuple(path.absolute() for path in each_in),
            mixed=tuple(path.absolute() for path in mixed),
        )
    )
    options, crops = unless_given(context, options, in_file), unless_given(context, crops, in_file)
    with exporting(cache, database, pack, provider, crops) as (store, checker, work):
        done = run(store, asked, out, checker, options, crops, work=work, modeller=checker)
    for person in done.people:
        if person.warning:
            console.notice(person.warning)
    named = people_import(done.named) if done.named else []
    report(done, [*words.import_folders(done), *named])
