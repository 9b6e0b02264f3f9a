"""`facesets cluster`."""

from pathlib import Path
from typing import Annotated

import typer

from facesets.cli import console
from facesets.cli.params import DatabaseOption
from facesets.cli.results import (
    learned_lines,
    photos_line,
    report,
)
from facesets.errors import WrongUsage
from facesets.files import printable
from facesets.operations.options.cache import ClusterOptions, Method
from facesets.operations.options.declaration import Option, number_or_auto
from facesets.operations.options.library import ClusterLibraryOptions
from facesets.operations.options.shared import DryRun, MaterializeHow, Replace, Sheet
from facesets.plurals import counted, people

_DEFAULT = ClusterOptions()
_LIBRARY = ClusterLibraryOptions()
_CASES_SHOWN = 20


def cluster(
    first: Annotated[
        Path | None,
        typer.Argument(
            metavar="[CACHE]", help="The cache file; without one, the library.", show_default=False
        ),
    ] = None,
    second: Annotated[
        Path | None,
        typer.Argument(
            metavar="[OUT]",
            help="Folder for the results; without one, the library's faces are given to people.",
            show_default=False,
        ),
    ] = None,
    database: DatabaseOption = None,
    method: Annotated[
        Method | None,
        typer.Option(
            help=f"How to group. [default: {_DEFAULT.method}; people of the library: {_LIBRARY.method}]",
            show_default=False,
        ),
    ] = None,
    threshold: Annotated[
        str | None,
        typer.Option(
            help="Folders: cosine distance at which agglomerative cuts, or auto "
            f"[default: {_DEFAULT.threshold}]. "
            "People of the library: cosine similarity from which faces belong together, higher is stricter, "
            f"or auto for agglomerative [default: {_LIBRARY.threshold}; method auto measures it].",
            show_default=False,
        ),
    ] = None,
    min_size: Annotated[
        int,
        Option("People of the library: fewest faces of a new one; 1 gives every face a person."),
    ] = _LIBRARY.min_size,
    min_cosine_similarity: Annotated[
        float, Option("Folders, components: faces this similar are connected.")
    ] = _DEFAULT.min_cosine_similarity,
    min_cluster_size: Annotated[
        int, Option("hdbscan: fewest faces of a person.")
    ] = _DEFAULT.min_cluster_size,
    min_samples: Annotated[
        int, Option("hdbscan: neighbours that make a dense place.")
    ] = _DEFAULT.min_samples,
    same_image_ok: Annotated[
        bool,
        typer.Option(
            "--same-image-ok",
            help="Two faces in one photo may be one person (collages, mirrors).",
        ),
    ] = _DEFAULT.same_image_ok,
    materialize: MaterializeHow = _DEFAULT.materialize,
    sheet: Sheet = _DEFAULT.sheet,
    replace: Replace = _DEFAULT.replace,
    dry_run: DryRun = False,
) -> None:
    """Group faces into folders OUT/person_001 and so on, or those of the library into its people.

    With CACHE and OUT the faces of the cache go into folders, with OUT alone those of the library. Without
    either the library's faces that have no person yet join the one known person that they are similar to,
    or become new people. Run it again after each `index`.
    """
    if first is None:
        chosen = method or _LIBRARY.method
        measured = None if chosen == "auto" else _LIBRARY.threshold
        _cluster_library(
            database,
            ClusterLibraryOptions(
                method=chosen,
                threshold=measured if threshold is None else number_or_auto("--threshold", threshold),
                min_size=min_size,
                min_cluster_size=min_cluster_size,
                min_samples=min_samples,
                same_image_ok=same_image_ok,
                dry_run=dry_run,
            ),
        )
        return
    cache, out = (None, first) if second is None else (first, second)
    if cache is None and (first.is_file() or first.suffix == ".npz"):
        raise WrongUsage(f"Where to? Say `facesets cluster {printable(first)} OUT`.")
    options = ClusterOptions(
        method=method or _DEFAULT.method,
        threshold=_DEFAULT.threshold if threshold is None else number_or_auto("--threshold", threshold),
        min_cosine_similarity=min_cosine_similarity,
        min_cluster_size=min_cluster_size,
        min_samples=min_samples,
        same_image_ok=same_image_ok,
        materialize=materialize,
        sheet=sheet,
        replace=replace,
        dry_run=dry_run,
    )
    _cluster_into_folders(cache, database, out, options)


def _cluster_into_folders(
    cache: Path | None, database: str | None, out: Path, options: ClusterOptions
) -> None:
    from facesets import settings
    from facesets.assembly.stores import open_store
    from facesets.operations.grouping.cluster import cluster as run

    with (
        console.stoppable() as stop,
        console.progress() as progress,
        open_store(cache, database, settings.load(), console) as store,
    ):
        summary = run(store, out, options, progress=progress, stop=stop)
    report(
        summary,
        [
            (
                f"{counted(summary.faces, 'face')} in {counted(summary.images, 'image')}: "
                f"{people(summary.persons)}, {counted(summary.singletons, 'single face')}, "
                f"{counted(summary.no_face, 'image')} without a face."
            ),
            *summary.reasons,
            photos_line(summary, out, dry_run=options.dry_run),
            *learned_lines(summary.learned),
        ],
    )


def _cluster_library(database: str | None, options: ClusterLibraryOptions) -> None:
    from facesets import settings
    from facesets.assembly.stores import open_database
    from facesets.operations.people.cluster_library import cluster_library
    from facesets.store.postgres.library import Library

    console.only_the_result_unless_watched()
    with (
        console.stoppable() as stop,
        console.progress() as progress,
        open_database(database, settings.load(), console) as session,
    ):
        summary = cluster_library(Library(session), options, progress=progress, stop=stop)
    console.show(
        summary,
        [
            f"{counted(summary.faces, 'face')}: {summary.kept} had a person, "
            f"{summary.joined} joined a known one, "
            f"{summary.new_faces} became {counted(summary.new_persons, 'new person', 'new people')}, "
            f"{summary.alone} stayed alone, {len(summary.review)} to review."
            + (" Nothing was stored." if options.dry_run or summary.stopped else ""),
            *summary.reasons,
        ],
        asked_for=options.dry_run,
    )
    for case in summary.review[:_CASES_SHOWN]:
        likely = ", ".join(
            f"{person} ({similarity:.2f})"
            for person, similarity in zip(case.persons, case.cosine_similarity, strict=True)
        )
        console.remark(f"  face {case.face} is similar to several people: {likely}")
    if len(summary.review) > _CASES_SHOWN:
        console.remark(f"  … and {len(summary.review) - _CASES_SHOWN} more (--json lists all)")
    console.finish()
