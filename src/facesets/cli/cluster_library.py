"""`facesets cluster` on the library."""

from typing import Annotated

import typer

from facesets.cli import console
from facesets.cli.params import DatabaseOption, DebugOption, DryRunOption, JsonOption
from facesets.operations.options import ClusterLibraryOptions, LibraryMethod

_DEFAULT = ClusterLibraryOptions()
_CASES_SHOWN = 20


def cluster(
    database: DatabaseOption = None,
    method: Annotated[LibraryMethod, typer.Option(help="How to group.")] = _DEFAULT.method,
    threshold: Annotated[
        float, typer.Option(help="Cosine similarity from which faces belong together; higher is stricter.")
    ] = _DEFAULT.threshold,
    min_size: Annotated[
        int, typer.Option(help="Fewest faces of a new person; 1 gives every face a person.")
    ] = _DEFAULT.min_size,
    min_cluster_size: Annotated[
        int, typer.Option(help="hdbscan: fewest faces of a person.")
    ] = _DEFAULT.min_cluster_size,
    min_samples: Annotated[
        int, typer.Option(help="hdbscan: neighbours that make a dense place.")
    ] = _DEFAULT.min_samples,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Group the faces of the library that have no person yet."""
    options = ClusterLibraryOptions(
        method=method,
        threshold=threshold,
        min_size=min_size,
        min_cluster_size=min_cluster_size,
        min_samples=min_samples,
        dry_run=dry_run,
    )
    run(database, options)


def run(database: str | None, options: ClusterLibraryOptions) -> None:
    """Cluster the library and show what came of it."""
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
