"""`facesets check`."""

from dataclasses import replace
from typing import Annotated

import typer

from facesets.cli import console
from facesets.cli.params import (
    DatabaseOption,
    MlUriOption,
    PackOption,
    ProviderOption,
)
from facesets.operations.options.declaration import Option
from facesets.operations.options.library import IndexOptions

_WHAT_IS_LOST = (
    "Some photos must be read again and are not there. Bring them back, run `facesets index`, then `facesets "
    "check --fix`; or forget them: images by `DELETE FROM images WHERE id = …;` in `facesets db psql`, paths "
    "without an image by `facesets index --prune`."
)


def check(
    database: DatabaseOption = None,
    fix: Annotated[bool, Option("Repair it: search the affected images again, where they are.")] = False,
    ml_uri: MlUriOption = None,
    pack: PackOption = None,
    provider: ProviderOption = "auto",
) -> None:
    """Look for what changes by hand have broken in the library. Status 1 if something is left broken."""
    from facesets import settings
    from facesets.assembly.describing import Asked, describer
    from facesets.assembly.stores import open_database
    from facesets.operations.library.check import Repair, repair, require_service
    from facesets.operations.library.check import check as run
    from facesets.store.postgres.library import Library

    conf = settings.load()
    with open_database(database, conf, console) as session:
        library = Library(session)
        if fix:
            require_service(library, ml_uri)
            asked = Asked((pack, None, None), provider=provider, ml_uri=ml_uri)
            with console.stoppable() as stop, console.progress() as progress:
                done = repair(
                    library,
                    lambda skip: describer(
                        library,
                        IndexOptions(),
                        conf,
                        replace(asked, skip_faces=skip.faces, skip_clip=skip.clip),
                        console,
                        progress,
                        stop,
                    ),
                    progress=progress,
                    stop=stop,
                )
        else:
            found = run(library, fix=False)
            done = Repair(found, found)
    summary, left = done.found, done.left
    lines = [f"{problem.what}: {problem.count} ({problem.repair})" for problem in summary.problems]
    if fix and summary.problems:
        names = "; ".join(f"{problem.what}: {problem.count}" for problem in left.problems)
        lines.append(f"Left: {names}" if names else "All repaired.")
    elif summary.can_be_mended:
        lines.append("Run `facesets check --fix` to repair it.")
    if left.lost:
        lines.append(_WHAT_IS_LOST)
    console.show(
        replace(summary, lost=left.lost),
        lines or [f"{library.label} is sound."],
        asked_for=bool(left.problems),
    )
    console.failures([(photo.path, photo.reason) for photo in [*done.failures, *left.lost]])
    if left.problems:
        raise typer.Exit(1)
