"""`facesets export-swap`, `discover`, `import-folders` and `split-eras`: commands that write an export."""

from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facesets import settings
from facesets.cli import console
from facesets.cli.flags import Only, typed_flags, unless_given
from facesets.cli.opening import work_on_store
from facesets.cli.params import (
    CacheOfSetsArgument,
    CacheOrOutArgument,
    DatabaseOption,
    ExportIfCacheArgument,
    KnownExportIfCacheArgument,
    PackOption,
    ProviderOption,
    cache_and_out,
)
from facesets.errors import Command, WrongUsage
from facesets.files import RUN_RECORD, SETS, printable
from facesets.operations.options.declaration import Option
from facesets.operations.options.results import (
    DiscoverOptions,
    ExportSwapOptions,
    ImportFoldersOptions,
    SplitErasOptions,
)
from facesets.operations.options.start import RefineOptions
from facesets.words import face_sets as words
from facesets.words.interchange import people_import

if TYPE_CHECKING:
    from collections.abc import Iterator

    from facesets.assembly.crop_checker import EmbedderOnDemand
    from facesets.interfaces import Store
    from facesets.settings import Settings
    from facesets.work import Work


UnderOption = Annotated[
    tuple[Path, ...],
    Option(
        "Only photos below any of these folders.", metavar="DIR", flag="--under", synonyms="--source-root"
    ),
]
_CROPS = (
    "top_n",
    "outlier_threshold",
    "pad_ratio",
    "out_size",
    "min_face_short",
    "select",
    "formats",
    "sheet",
    "replace",
    "dry_run",
)
CropOptions = Annotated[ExportSwapOptions, Only(*_CROPS, "era")]
"""Options of every command that makes new sets in an export."""
FolderCropOptions = Annotated[ExportSwapOptions, Only(*_CROPS, "era", "min_norm")]
"""As `CropOptions`, for sets that no earlier quality filter checked."""
EraCropOptions = Annotated[ExportSwapOptions, Only(*_CROPS)]
"""As `CropOptions`, for sets that are eras themselves."""


@contextmanager
def exporting(
    cache: Path | None, database: str | None, pack: str | None, provider: str, options: ExportSwapOptions
) -> "Iterator[tuple[Store, EmbedderOnDemand, Work]]":
    """Yield the cache or library, and the crop checker; its models are fetched unless it is a dry run."""
    from facesets.assembly.crop_checker import crop_checker

    with work_on_store(cache, database) as (store, work):
        conf, fetch = settings.load(), not options.dry_run
        checker = crop_checker(store, pack, provider, conf, console, work, fetch=fetch)
        yield store, checker, work


def export_swap(
    context: typer.Context,
    first: CacheOfSetsArgument,
    second: Annotated[
        Path,
        typer.Argument(
            metavar="REFINE_MANIFEST", help="The refine_manifest.json, or its folder.", show_default=False
        ),
    ],
    third: Annotated[
        Path | None, typer.Argument(metavar="OUT", help="The result folder.", show_default=False)
    ] = None,
    database: DatabaseOption = None,
    raw_manifest: Annotated[
        Path | None, Option("The manifest.json of `cluster`; needed for --candidates.")
    ] = None,
    *,
    options: ExportSwapOptions,
    pack: PackOption = None,
    provider: ProviderOption = "auto",
) -> None:
    """Export face sets as crops, .fsz bundles and face models."""
    from facesets.operations.face_sets.export_swap import export_swap as run
    from facesets.results.preflight import cache_of

    cache, refine_manifest, out = (None, first, second) if third is None else (first, second, third)
    if cache is None and first.suffix == ".npz":
        raise WrongUsage(
            f"Missing OUT. Usage: {Command('export-swap', printable(first), printable(second), 'OUT')}."
        )
    if (refine_manifest / RUN_RECORD).is_file():
        sets = printable(refine_manifest / SETS)
        raise WrongUsage(f"{printable(refine_manifest)} holds all results of `facesets run`. Give {sets}.")
    if cache is None and "database" not in typed_flags(context):
        cache = cache_of(refine_manifest)
    with exporting(cache, database, pack, provider, options) as (store, checker, work):
        done = run(
            store,
            refine_manifest,
            out,
            checker,
            options,
            raw_manifest=raw_manifest,
            work=work,
            modeller=checker,
        )
    console.report(done, words.export_swap(done))


GATES = ("initial_threshold", "min_faces", "min_short", "min_blur", "min_det_score", "min_norm")
_Gates = Annotated[RefineOptions, Only(*GATES)]


def discover(
    first: CacheOrOutArgument,
    second: KnownExportIfCacheArgument = None,
    source_root: UnderOption = (),
    database: DatabaseOption = None,
    *,
    options: DiscoverOptions,
    gates: _Gates,
    crops: CropOptions,
    pack: PackOption = None,
    provider: ProviderOption = "auto",
) -> None:
    """Add face sets of new people to an export.

    Existing sets stay as they are.
    """
    from facesets.operations.face_sets.discover import discover as run

    cache, out = cache_and_out("discover", first, second)
    with exporting(cache, database, pack, provider, crops) as (store, checker, work):
        done = run(
            store,
            out,
            list(source_root),
            checker,
            options,
            gates,
            crops,
            is_known=True,
            work=work,
            modeller=checker,
        )
    console.report(done, words.discover(done))


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
            "A folder of photos of one person, named like the folder unless NAME is given; all of "
            "several are added.",
            metavar="[NAME=]DIR",
        ),
    ] = (),
    each_in: Annotated[
        tuple[Path, ...],
        Option("A folder with one folder per person; all of several are added.", metavar="DIR"),
    ] = (),
    mixed: Annotated[
        tuple[Path, ...],
        Option(
            "A folder of mixed photos: matching faces join these people; all of several are read.",
            metavar="DIR",
        ),
    ] = (),
    folders: Annotated[
        Path | None,
        Option(
            "Read folders and thresholds from a file; flags win (see docs/face-sets.md).", metavar="FILE.toml"
        ),
    ] = None,
    database: DatabaseOption = None,
    *,
    options: ImportFoldersOptions,
    crops: FolderCropOptions,
    pack: PackOption = None,
    provider: ProviderOption = "auto",
) -> None:
    """Add folders that you sorted by person to an export."""
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
    console.report(done, [*words.import_folders(done), *named])


def split_eras(
    first: CacheOrOutArgument,
    second: ExportIfCacheArgument = None,
    name: Annotated[
        str,
        Option(
            "The face set in OUT to split.",
            flag="--set",
            metavar="NAME",
        ),
    ] = "",
    source_root: UnderOption = (),
    probe: Annotated[
        bool,
        Option("Only report whether a split makes sense: as text, and as a chart in OUT/_eras."),
    ] = False,
    force: Annotated[bool, Option("Split even if the probe advises against it.")] = False,
    database: DatabaseOption = None,
    *,
    options: SplitErasOptions,
    years: Annotated[
        Path | None,
        Option("File for capture years.", metavar="FILE", unset="in the user's cache directory"),
    ] = None,
    crops: EraCropOptions,
    pack: PackOption = None,
    provider: ProviderOption = "auto",
) -> None:
    """Split a person of many years into face sets by era."""
    from facesets.operations.face_sets.eras import split_eras as operation
    from facesets.operations.face_sets.eras.person import EraRequest

    cache, out = cache_and_out("split-eras", first, second)
    if not name:
        raise WrongUsage("Missing --set. Give the name of a face set in OUT.")
    conf = settings.load()
    today = date.today()  # noqa: DTZ011 - cameras have the local date as well
    roots = [root.absolute() for root in source_root]
    request = EraRequest(out, name, roots, years or _years_cache(conf), today.year, force)
    with exporting(cache, database, pack, provider, crops) as (store, checker, work):
        if probe:
            done = operation.probe_eras(
                store, request, options, replace=crops.replace, dry_run=crops.dry_run, work=work
            )
        else:
            done = operation.split_eras(store, request, checker, options, crops, work=work, modeller=checker)
    console.report(done, words.probe_eras(done) if probe else words.split_eras(done))


def _years_cache(conf: "Settings") -> Path:
    from facesets.operations.face_sets.eras.capture_years import FILE_NAME

    return conf.cache_dir / FILE_NAME
