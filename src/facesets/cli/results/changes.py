"""`facesets extend`, `enrich`, `relocate` and `undo`: commands that change a cache or results."""

from pathlib import Path
from typing import Annotated

import typer

from facesets import settings
from facesets.cli import console, queueing
from facesets.cli.flags import typed_flags
from facesets.cli.opening import opened_store, work_on_store
from facesets.cli.params import (
    CacheOrResultArgument,
    DatabaseOption,
    OptionalCacheArgument,
    PackOption,
    ProviderOption,
)
from facesets.errors import Command, WrongUsage
from facesets.files import printable
from facesets.operations.options.declaration import Option
from facesets.operations.options.results import EnrichOptions, ExtendOptions
from facesets.operations.options.shared import DryRun
from facesets.words import photos as photo_words
from facesets.words import results as words


def extend(
    first: CacheOrResultArgument,
    second: Annotated[
        Path | None, typer.Argument(metavar="RAW", help="A result folder of `cluster`.", show_default=False)
    ] = None,
    refine_out: Annotated[
        Path | None,
        Option("A result folder of `refine`, to extend its face sets, too.", metavar="DIR"),
    ] = None,
    database: DatabaseOption = None,
    *,
    options: ExtendOptions,
) -> None:
    """Add new faces to existing results; renumber nothing.

    Nothing is renumbered or moved, and photos and folders that you moved, renamed or deleted stay that way.
    """
    from facesets.operations.grouping.extend import extend as run

    cache, raw = (None, first) if second is None else (first, second)
    if cache is None and first.is_file():
        raise WrongUsage(f"Missing RAW. Usage: {Command('extend', printable(first), 'RAW')}.")
    with work_on_store(cache, database) as (store, work):
        done = run(store, raw, options, refine_out=refine_out, work=work)
    console.report(done, words.extend(done))


def enrich(
    context: typer.Context,
    cache: OptionalCacheArgument = None,
    database: DatabaseOption = None,
    pack: PackOption = None,
    provider: ProviderOption = "auto",
    *,
    options: EnrichOptions,
) -> None:
    """Add landmarks and pose to each face.

    Also measures face quality where an earlier version did not, and adds missing age and sex in a cache; in
    a library use `index --stage attributes`.
    """
    from facesets.assembly.embedding import enrich_store

    if queueing.is_asked():
        queueing.refuse_typed(typed_flags(context), "provider")
        if cache is not None:
            queueing.refuse("`enrich` works on a cache.")
        queueing.queue("enrich", database, pack=queueing.placed(pack), options=options)
        return
    conf = settings.load()
    with work_on_store(cache, database, alone="" if options.dry_run else "enrich") as (store, work):
        done = enrich_store(store, options, conf, console, pack=pack, provider=provider, work=work)
    console.report(done, photo_words.enrich(done, label=store.label))


def relocate(
    old: Annotated[
        Path, typer.Argument(metavar="OLD", help="Where the photos were before.", show_default=False)
    ],
    new: Annotated[
        Path | None,
        typer.Argument(
            metavar="[NEW]", help="Where they are now; leave it out with --forget.", show_default=False
        ),
    ] = None,
    cache: OptionalCacheArgument = None,
    forget: Annotated[bool, Option("Forget OLD for good: relocate OLD --forget [CACHE].")] = False,
    database: DatabaseOption = None,
    dry_run: DryRun = False,
) -> None:
    """Follow a photo folder that was moved or renamed.

    Reads no photos: CACHE or the library replaces OLD by NEW in its paths. Results follow at their next
    run. To undo it, move the folder back and run relocate NEW OLD.
    """
    from facesets.operations.ingest import relocate as run

    if forget and cache is not None:
        raise WrongUsage("--forget takes no NEW. Usage: relocate OLD --forget [CACHE].")
    if forget:
        new, cache = None, new
    elif new is None:
        raise WrongUsage(
            "Missing NEW. Give the folder where the photos are now, or --forget if they are gone."
        )
    with opened_store(cache, database) as store, run.writing(store, dry_run=dry_run):
        if new is None:
            done = run.forget_folder(store, old, dry_run=dry_run)
        else:
            results = None if cache is None else cache.parent
            done = run.relocate(store, old, new, dry_run=dry_run, results=results)
    console.show(done, photo_words.relocate(done, label=store.label))


def undo(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A result folder.", show_default=False)],
    run: Annotated[
        str,
        typer.Argument(
            metavar="[RUN]",
            help="The name or number of the run to undo. [default: list the runs]",
            show_default=False,
        ),
    ] = "",
    dry_run: DryRun = False,
) -> None:
    """List the runs that changed OUT, or undo one.

    Runs are undone newest first, and never over an edit of yours. This covers everything that a command
    wrote in OUT. `relocate` changes the cache or the library instead: move the folder back and relocate it
    back. OUT keeps what its last 10 runs replaced in .facesets-journal, at most 2 GiB.
    """
    from facesets.operations.undo import known_runs
    from facesets.operations.undo import undo as take_back
    from facesets.results.placement import WITHOUT_ORIGINAL

    if not run:
        known = known_runs(out)
        console.show(known, words.runs(known), asked_for=True)
        return
    done = take_back(out, run, dry_run=dry_run)
    console.show(done, words.undo(done, aside=WITHOUT_ORIGINAL))
