"""`facesets check`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facesets.cli import console
from facesets.cli.params import DatabaseOption, DebugOption, JsonOption, PackOption, ProviderOption
from facesets.operations.library_options import IndexOptions

if TYPE_CHECKING:
    from facesets.settings import Settings
    from facesets.store.postgres.library import Library


def check(
    database: DatabaseOption = None,
    fix: Annotated[
        bool, typer.Option("--fix", help="Mend it: search the affected images again, where they are.")
    ] = False,
    pack: PackOption = None,
    provider: ProviderOption = "auto",
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Look for what changes by hand have broken in the library. Status 1 if something is left broken."""
    from facesets import settings
    from facesets.cli.library import open_database
    from facesets.operations.check import check as run
    from facesets.store.postgres.library import Library

    conf = settings.load()
    with open_database(database, conf) as session:
        library = Library(session)
        summary = run(library, fix=fix)
        if summary.to_index:
            _search_again(library, conf, [Path(path) for path in summary.to_index], pack, provider)
        left = run(library, fix=False).problems if fix else summary.problems
    lines = [f"{problem.count} {problem.what}: {problem.repair}." for problem in summary.problems]
    if fix and summary.problems:
        lines.append(
            "All mended." if not left else f"Left: {'; '.join(f'{p.count} {p.what}' for p in left)}."
        )
    elif summary.problems:
        lines.append("Run `facesets check --fix` to mend it.")
    console.show(summary, lines or [f"{library.label} is sound."])
    if left:
        raise typer.Exit(1)


def _search_again(
    library: "Library", conf: "Settings", paths: list[Path], pack: str | None, provider: str
) -> None:
    """Index the affected images, those that are still there."""
    from facesets.cli.describing import Asked, describer
    from facesets.operations.index import index
    from facesets.sources.galleries import GallerySource

    there = [path for path in paths if path.exists()]
    if not there:
        return
    with console.stoppable() as stop, console.progress() as progress:
        asked = Asked((pack, None, None), provider=provider, skip_clip=not library.clip_models())
        describe, options = describer(library, IndexOptions(), conf, asked, progress, stop)
        index(GallerySource(there), library, describe, options, progress=progress, stop=stop)
