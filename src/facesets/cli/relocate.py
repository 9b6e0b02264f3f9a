"""`facesets relocate`."""

from pathlib import Path
from typing import Annotated

import typer

from facesets.cli import console
from facesets.cli.opening import opened_store
from facesets.cli.params import (
    DatabaseOption,
    OptionalCacheArgument,
)
from facesets.errors import WrongUsage
from facesets.operations.options.declaration import Option
from facesets.operations.options.shared import DryRun
from facesets.words import photos as words


def relocate(
    old: Annotated[
        Path, typer.Argument(metavar="OLD", help="Where the photos lay before.", show_default=False)
    ],
    new: Annotated[
        Path | None,
        typer.Argument(
            metavar="[NEW]", help="Where they lie now; left out with --forget.", show_default=False
        ),
    ] = None,
    cache: OptionalCacheArgument = None,
    forget: Annotated[bool, Option("OLD is gone for good: relocate OLD --forget [CACHE].")] = False,
    database: DatabaseOption = None,
    dry_run: DryRun = False,
) -> None:
    """Follow a folder of photos that was moved or renamed, without reading the photos.

    What is known below OLD, in CACHE or in the library, is known below NEW from then on. Results follow with
    their next run. To take it back, move the folder back and relocate NEW OLD.
    """
    from facesets.operations.ingest import relocate as run

    if forget and cache is not None:
        raise WrongUsage("--forget takes no NEW: relocate OLD --forget, and CACHE where there is one.")
    if forget:
        new, cache = None, new
    elif new is None:
        raise WrongUsage("Where do the photos lie now? Give OLD and NEW, or --forget where they are gone.")
    with opened_store(cache, database) as store, run.writing(store, dry_run=dry_run):
        if new is None:
            done = run.forget_folder(store, old, dry_run=dry_run)
        else:
            beside = None if cache is None else cache.parent
            done = run.relocate(store, old, new, dry_run=dry_run, results=beside)
    console.show(done, words.relocate(done, label=store.label))
