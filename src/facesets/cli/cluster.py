"""`facesets cluster`."""

from pathlib import Path
from typing import Annotated

import typer

from facesets.cli import console
from facesets.cli.params import DatabaseOption, DebugOption, DryRunOption, JsonOption
from facesets.cli.results import MaterializeOption, SheetOption, photos_line, report
from facesets.errors import WrongUsage
from facesets.operations.options import ClusterLibraryOptions, ClusterOptions, Method

_DEFAULT = ClusterOptions()
_LIBRARY = ClusterLibraryOptions()
_CASES_SHOWN = 20


def cluster(
    cache: Annotated[
        Path | None, typer.Argument(metavar="CACHE", help="The cache file.", show_default=False)
    ] = None,
    out: Annotated[
        Path | None, typer.Argument(metavar="OUT", help="Folder for the results.", show_default=False)
    ] = None,
    database: DatabaseOption = None,
    method: Annotated[
        Method | None,
        typer.Option(
            help=f"How to group. [default: {_DEFAULT.method}; library: {_LIBRARY.method}]",
            show_default=False,
        ),
    ] = None,
    threshold: Annotated[
        str | None,
        typer.Option(
            help="CACHE: cosine distance at which agglomerative cuts, or auto "
            f"[default: {_DEFAULT.threshold}]. "
            "Library: cosine similarity from which faces belong together, higher is stricter "
            f"[default: {_LIBRARY.threshold}].",
            show_default=False,
        ),
    ] = None,
    min_size: Annotated[
        int, typer.Option(help="Library: fewest faces of a new person; 1 gives every face a person.")
    ] = _LIBRARY.min_size,
    min_cosine_similarity: Annotated[
        float, typer.Option(help="CACHE, components: faces this similar are connected.")
    ] = _DEFAULT.min_cosine_similarity,
    min_cluster_size: Annotated[
        int, typer.Option(help="hdbscan: fewest faces of a person.")
    ] = _DEFAULT.min_cluster_size,
    min_samples: Annotated[
        int, typer.Option(help="hdbscan: neighbours that make a dense place.")
    ] = _DEFAULT.min_samples,
    same_image_ok: Annotated[
        bool,
        typer.Option(
            "--same-image-ok",
            help="Two faces in one photo may be one person (collages, mirrors).",
        ),
    ] = _DEFAULT.same_image_ok,
    materialize: MaterializeOption = _DEFAULT.materialize,
    sheet: SheetOption = _DEFAULT.sheet,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Group faces: those of CACHE into OUT/person_001 and so on, or those of the library into people.

    Without CACHE and OUT it works on the library: faces without a person join the one known person that
    they are similar to, or become new people. Run it again after each `index`.
    """
    if cache is None:
        if threshold == "auto" or method == "auto":
            raise WrongUsage(
                "The library is not grouped by auto. Choose components, agglomerative or hdbscan."
            )
        _cluster_library(
            database,
            ClusterLibraryOptions(
                method=method or _LIBRARY.method,
                threshold=_LIBRARY.threshold if threshold is None else _number(threshold),
                min_size=min_size,
                min_cluster_size=min_cluster_size,
                min_samples=min_samples,
                dry_run=dry_run,
            ),
        )
        return
    if out is None:
        raise WrongUsage("Name CACHE and OUT, or neither to group the library.")
    from facesets.cli.assemble import number_or_auto

    options = ClusterOptions(
        method=method or _DEFAULT.method,
        threshold=_DEFAULT.threshold if threshold is None else number_or_auto("--threshold", threshold),
        min_cosine_similarity=min_cosine_similarity,
        min_cluster_size=min_cluster_size,
        min_samples=min_samples,
        same_image_ok=same_image_ok,
        materialize=materialize,
        sheet=sheet,
        dry_run=dry_run,
    )
    _cluster_cache(cache, out, options)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise WrongUsage(f"--threshold {text} is no number.") from error


def _cluster_cache(cache: Path, out: Path, options: ClusterOptions) -> None:
    from facesets.cli import assemble
    from facesets.operations.cluster import cluster as run

    with console.stoppable() as stop, console.progress() as progress:
        summary = run(assemble.open_cache(cache), out, options, progress=progress, stop=stop)
    report(
        summary,
        [
            (
                f"{summary.faces} faces in {summary.images} images: {summary.persons} people, "
                f"{summary.singletons} single faces, {summary.no_face} images without a face."
            ),
            *summary.reasons,
            photos_line(summary, out, dry_run=options.dry_run),
        ],
    )


def _cluster_library(database: str | None, options: ClusterLibraryOptions) -> None:
    from facesets import settings
    from facesets.cli.library import open_database
    from facesets.operations.cluster_library import cluster_library
    from facesets.store.postgres.library import Library

    with (
        console.stoppable() as stop,
        console.progress() as progress,
        open_database(database, settings.load()) as session,
    ):
        summary = cluster_library(Library(session), options, progress=progress, stop=stop)
    console.show(
        summary,
        [
            f"{summary.faces} faces: {summary.kept} had a person, {summary.joined} joined a known one, "
            f"{summary.new_faces} became {summary.new_persons} new people, {summary.alone} are alone, "
            f"{len(summary.review)} need review." + (" Nothing was stored." if options.dry_run else "")
        ],
    )
    for case in summary.review[:_CASES_SHOWN]:
        likely = ", ".join(
            f"{person} ({similarity:.2f})"
            for person, similarity in zip(case.persons, case.cosine_similarity, strict=True)
        )
        console.notice(f"  face {case.face} is similar to several people: {likely}")
    if len(summary.review) > _CASES_SHOWN:
        console.notice(f"  … and {len(summary.review) - _CASES_SHOWN} more (--json lists all)")
    console.finish()
