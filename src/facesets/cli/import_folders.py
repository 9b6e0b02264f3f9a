"""`facesets import-folders`."""

from pathlib import Path
from typing import Annotated

import typer

from facesets.cli import console
from facesets.cli.exporting import (
    MinFaceShortOption,
    OutlierOption,
    OutSizeOption,
    PadRatioOption,
    SelectOption,
    TopNOption,
    given,
    left_out,
    loader_embedder,
    only_of,
)
from facesets.cli.params import (
    DatabaseOption,
    DebugOption,
    DryRunOption,
    JsonOption,
    PackOption,
    ProviderOption,
)
from facesets.cli.results import (
    CacheOrOutArgument,
    ExportIfCacheArgument,
    SheetOption,
    cache_and_out,
    report,
    would,
)
from facesets.files import printable
from facesets.operations.growing_options import ImportFoldersOptions
from facesets.operations.options import ExportSwapOptions

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
    top_n: TopNOption = None,
    outlier_threshold: OutlierOption = None,
    pad_ratio: PadRatioOption = None,
    out_size: OutSizeOption = None,
    min_face_short: MinFaceShortOption = None,
    select: SelectOption = None,
    pack: PackOption = None,
    provider: ProviderOption = "auto",
    sheet: SheetOption = True,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Make face sets of folders that somebody sorted by person, and merge them into the export OUT."""
    from facesets import settings
    from facesets.cli.library import open_store
    from facesets.operations.import_folders import import_folders as run
    from facesets.operations.sorted_folders import SortedFolders, labelled, read_folder_list

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
        top_n=top_n,
        outlier_threshold=outlier_threshold,
        pad_ratio=pad_ratio,
        out_size=out_size,
        min_face_short=min_face_short,
        select=select,
    )
    options = ImportFoldersOptions(**only_of(ImportFoldersOptions, values))
    export = ExportSwapOptions(**only_of(ExportSwapOptions, values), sheet=sheet, dry_run=dry_run)
    conf = settings.load()
    with (
        console.stoppable() as stop,
        console.progress() as progress,
        open_store(cache, database, conf) as store,
    ):
        embedder = loader_embedder(store, pack, provider, conf, progress, stop, fetch=not dry_run)
        summary = run(store, asked, out, embedder, options, export, progress=progress, stop=stop)
    for person in summary.people:
        if person.warning:
            console.notice(person.warning)
    rows = [
        (p.state, printable(p.set), p.photos, p.faces, p.core, p.routed, p.faces - p.core)
        for p in summary.people
    ]
    report(
        summary,
        [
            console.table(("", "set", "photos", "faces", "core", "routed", "bystanders"), rows),
            (
                f"{printable(out)}: {len(summary.people)} people, {summary.export.faces} faces "
                f"{would(dry_run, 'in their sets', 'to check and export')}, "
                f"{summary.export.sets} sets in all."
            ),
            left_out(summary.export),
        ],
    )
