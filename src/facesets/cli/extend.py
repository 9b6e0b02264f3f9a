"""`facesets extend`."""

from pathlib import Path
from typing import Annotated

import typer

from facesets.cli.opening import work_on_store
from facesets.cli.params import DatabaseOption
from facesets.cli.results import CacheOrResultArgument, report
from facesets.errors import Command, WrongUsage
from facesets.files import printable
from facesets.operations.options.declaration import Option
from facesets.operations.options.results import ExtendOptions
from facesets.words import results as words


def extend(
    first: CacheOrResultArgument,
    second: Annotated[
        Path | None, typer.Argument(metavar="RAW", help="What `cluster` wrote.", show_default=False)
    ] = None,
    refine_out: Annotated[
        Path | None,
        Option("What `refine` wrote; its face sets grow, too.", metavar="DIR"),
    ] = None,
    database: DatabaseOption = None,
    *,
    options: ExtendOptions,
) -> None:
    """Fold the faces that are new in CACHE, or in the library, into results that exist.

    Nothing there is renumbered or moved. What you moved, renamed or deleted in the folders is respected.
    """
    from facesets.operations.grouping.extend import extend as run

    cache, raw = (None, first) if second is None else (first, second)
    if cache is None and first.is_file():
        raise WrongUsage(f"Extend what? Say {Command('extend', printable(first), 'RAW')}.")
    with work_on_store(cache, database) as (store, work):
        done = run(store, raw, options, refine_out=refine_out, work=work)
    report(done, words.extend(done))
