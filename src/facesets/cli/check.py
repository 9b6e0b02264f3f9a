"""`facesets check`."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facesets.cli import console
from facesets.cli.describing import Asked
from facesets.cli.params import (
    DatabaseOption,
    MlUriOption,
    PackOption,
    ProviderOption,
)
from facesets.errors import WrongUsage
from facesets.operations.options.declaration import Option
from facesets.operations.options.library import IndexOptions

if TYPE_CHECKING:
    from facesets.operations.ingest.embed import Failure
    from facesets.settings import Settings
    from facesets.store.postgres.library import Library

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
    from facesets.cli.library import open_database
    from facesets.operations.library.check import check as run
    from facesets.store.postgres.library import Library

    conf = settings.load()
    with open_database(database, conf) as session:
        library = Library(session)
        if fix:
            _require_service(library, ml_uri)
        summary = run(library, fix=fix)
        failed: list[Failure] = []
        if summary.to_index:
            embeds = bool(library.clip_models())
            asked = Asked(
                (pack, None, None),
                provider=provider,
                ml_uri=ml_uri,
                skip_faces=embeds and library.settings is None,
                skip_clip=not embeds,
            )
            failed = _search_again(library, conf, summary.to_index, asked)
        left = run(library, fix=False) if fix else summary
    lines = [f"{problem.what}: {problem.count} ({problem.repair})" for problem in summary.problems]
    if fix and summary.problems:
        names = "; ".join(f"{problem.what}: {problem.count}" for problem in left.problems)
        lines.append(f"Left: {names}" if names else "All mended.")
    elif summary.can_be_mended:
        lines.append("Run `facesets check --fix` to repair it.")
    if left.lost:
        lines.append(_WHAT_IS_LOST)
    console.show(
        replace(summary, lost=left.lost),
        lines or [f"{library.label} is sound."],
        asked_for=bool(left.problems),
    )
    console.failures([(photo.path, photo.reason) for photo in [*failed, *left.lost]])
    if left.problems:
        raise typer.Exit(1)


def _require_service(library: "Library", ml_uri: str | None) -> None:
    """Refuse to repair here what a service found: its faces are searched for again there or not at all."""
    from facesets.remote.service_embedder import service_model

    known = library.settings
    if ml_uri is None and known is not None and service_model(known) is not None:
        raise WrongUsage(
            f"The faces of {library.label} were found by a machine-learning service. Give its address: "
            "check --fix --ml-uri URL."
        )


def _search_again(
    library: "Library", conf: "Settings", paths: Sequence[str], asked: Asked
) -> "list[Failure]":
    """Index the affected images, those that are still there; return which cannot be read."""
    from facesets.cli.describing import describer
    from facesets.operations.ingest.index import index
    from facesets.operations.library.check import is_at_hand
    from facesets.sources.galleries import GallerySource

    there = [Path(path) for path in paths if is_at_hand(path)]
    if not there:
        return []
    with console.stoppable() as stop, console.progress() as progress:
        describe, options = describer(library, IndexOptions(), conf, asked, progress, stop)
        source = GallerySource(there)
        return index(source, library, describe, options, progress=progress, stop=stop).failures
