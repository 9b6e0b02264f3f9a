"""`facesets import-folders`."""

from pathlib import Path
from typing import Annotated

import typer

from facesets.cli import console
from facesets.cli.exporting import (
    ExportFlags,
    given,
    left_out,
    only_of,
    takes_export_flags,
)
from facesets.cli.params import DatabaseOption
from facesets.cli.results import (
    CacheOrOutArgument,
    ExportIfCacheArgument,
    cache_and_out,
    report,
    would,
)
from facesets.files import printable
from facesets.operations.options.face_sets import ImportFoldersOptions
from facesets.plurals import counted, people

_DEFAULT = ImportFoldersOptions()
_IN_FILE: dict[str, type[float]] = {
    "first_threshold": float,
    "second_threshold": float,
    "route_threshold": float,
    "top_n": int,
    "outlier_threshold": float,
    "pad_ratio": float,
    "out_size": int,
    "min_face_short": float,
}


@takes_export_flags
def import_folders(
    first: CacheOrOutArgument,
    second: ExportIfCacheArgument = None,
    folder: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NAME=]FOLDER",
            help="All photos below show this person; called like the folder unless named. May be repeated.",
        ),
    ] = None,
    each_in: Annotated[
        list[Path] | None,
        typer.Option(metavar="FOLDER", help="Each folder directly below is one person's. May be repeated."),
    ] = None,
    mixed: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FOLDER", help="Photos of anybody: faces of these people join them. May be repeated."
        ),
    ] = None,
    folders: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.toml", help="The same, and thresholds, from a file; flags win (docs/folders.md)."
        ),
    ] = None,
    database: DatabaseOption = None,
    first_threshold: Annotated[
        float | None,
        typer.Option(
            help="Cosine distance from the folder's centroid beyond which a face is a bystander, first pass. "
            f"[default: {_DEFAULT.first_threshold}]",
            show_default=False,
        ),
    ] = None,
    second_threshold: Annotated[
        float | None,
        typer.Option(
            help=f"The same in the second pass. [default: {_DEFAULT.second_threshold}]", show_default=False
        ),
    ] = None,
    route_threshold: Annotated[
        float | None,
        typer.Option(
            help="Cosine distance within which a face of a mixed folder is that person. "
            f"[default: {_DEFAULT.route_threshold}]",
            show_default=False,
        ),
    ] = None,
    *,
    export: ExportFlags,
) -> None:
    """Make face sets of folders that somebody sorted by person, and merge them into the export OUT."""
    from facesets import settings
    from facesets.assembly.crop_checker import crop_checker
    from facesets.assembly.stores import open_store
    from facesets.operations.face_sets.folder_labels import SortedFolders, labelled, read_folder_list
    from facesets.operations.face_sets.import_folders import import_folders as run

    cache, out = cache_and_out("import-folders", first, second)
    asked, in_file = (SortedFolders(), {}) if folders is None else read_folder_list(folders, _IN_FILE)
    asked = asked.with_more(
        SortedFolders(
            people=tuple(labelled(text) for text in folder or ()),
            each_in=tuple(path.absolute() for path in each_in or ()),
            mixed=tuple(path.absolute() for path in mixed or ()),
        )
    )
    values = in_file | given(
        first_threshold=first_threshold,
        second_threshold=second_threshold,
        route_threshold=route_threshold,
    )
    options = ImportFoldersOptions(**only_of(ImportFoldersOptions, values))
    crops = export.options(in_file)
    conf = settings.load()
    with (
        console.stoppable() as stop,
        console.progress() as progress,
        open_store(cache, database, conf, console) as store,
    ):
        embedder = crop_checker(
            store, export.pack, export.provider, conf, console, progress, stop, fetch=not export.dry_run
        )
        summary = run(store, asked, out, embedder, options, crops, progress=progress, stop=stop)
    for person in summary.people:
        if person.warning:
            console.notice(person.warning)
    rows = [
        (p.state, printable(p.set) or "-", p.photos, p.faces, p.core, p.routed, p.faces - p.core)
        for p in summary.people
    ]
    report(
        summary,
        [
            console.table(("", "set", "photos", "faces", "core", "routed", "bystanders"), rows),
            (
                f"{printable(out)}: {people(len(summary.people))}, {counted(summary.export.faces, 'face')} "
                f"{would(export.dry_run, 'in their sets', 'to check and export')}, "
                f"{counted(summary.export.sets, 'set')} in all."
            ),
            left_out(summary.export),
        ],
    )
