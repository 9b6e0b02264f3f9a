"""`facesets immich-stage`."""

import os
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from facesets.cli import console
from facesets.cli.params import DatabaseOption
from facesets.errors import WrongUsage
from facesets.operations.options.declaration import Option
from facesets.operations.options.immich import ServerOptions, StageOptions
from facesets.plurals import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from facesets.operations.immich.stage_asset import Known
    from facesets.operations.immich.stage_summary import StageSummary
    from facesets.settings import Settings
    from facesets.store.postgres.library import Library


def immich_stage(
    user: Annotated[str, Option("Name of the folder below --out. The key decides whose photos come.")],
    out: Annotated[Path, Option("Where to put the photos and the queue.")] = Path("immich"),
    *,
    access: ServerOptions,
    known: Annotated[
        tuple[Path, ...], Option("A cache whose content is not staged again. May be repeated.")
    ] = (),
    known_library: Annotated[
        bool,
        Option(
            "Do not stage what the library holds, if there is one.",
            flag="--known-library/--ignore-library",
        ),
    ] = True,
    database: DatabaseOption = None,
    options: StageOptions,
) -> None:
    """Fetch the photos with large faces from an Immich server, as a queue for `embed --queue`.

    Run it again to go on after an outage, or for what is new: nothing is fetched twice.
    """
    from facesets import settings
    from facesets.assembly.immich import access_to
    from facesets.operations.immich.stage import immich_stage as run
    from facesets.remote.immich import Immich

    conf = settings.load()
    where = access_to(
        conf,
        access.url,
        access.api_key_file,
        connections=options.workers,
        timeout_s=access.timeout_s,
        first_wait_s=access.first_wait_s,
        patience_s=access.patience_s,
    )
    known_content = _known(known)
    with (
        _library(database, conf) if known_library else nullcontext() as library,
        console.stoppable() as stop,
        console.progress() as progress,
        closing(Immich(where, stop=stop)) as server,
    ):
        if library is not None:
            known_content.append(library.has_image)
        summary = run(server, out, user, options, known_content, progress=progress, stop=stop)
    console.show(summary, _lines(summary, dry_run=options.dry_run))
    console.failures([(failure.path, failure.reason) for failure in summary.failures])
    console.finish(failed=summary.failed)


@contextmanager
def _library(database: str | None, conf: "Settings") -> "Iterator[Library | None]":
    """The library that is named, else this user's own if there is one: none is made for this."""
    from facesets.assembly.stores import embedded_server, named_database, open_database
    from facesets.store.postgres.library import Library

    is_named = bool(named_database(database, conf))
    if not is_named and (os.name == "nt" or not embedded_server(conf, console).is_made):
        yield None
        return
    with open_database(database, conf, console) as session:
        library = Library(session)
        yield library if library.exists() else None


def _known(caches: "Sequence[Path]") -> "list[Known]":
    from facesets.assembly.stores import open_cache

    stores = [open_cache(path) for path in caches]
    for store in stores:
        if not store.exists():
            raise WrongUsage(f"There is no cache at {store.label}. Check --known.")
        store.has_image("")  # reads it once, before threads ask
    return [store.has_image for store in stores]


def _lines(summary: "StageSummary", *, dry_run: bool) -> list[str]:
    skipped = ", ".join(f"{count} {kind}" for kind, count in sorted(summary.skipped.items()))
    lines = [
        f"{counted(summary.listed, 'photo')} listed, {summary.settled_before} settled before. "
        + (
            f"{summary.staged} to stage"
            if dry_run
            else f"{summary.staged} staged ({summary.megabytes:g} MB fetched)"
        )
        + f", {counted(summary.aliases, 'copy', 'copies')} of these, {summary.known} known; "
        f"{summary.small_faces} with small faces only, {summary.no_face} without; "
        f"{summary.gone} vanished, {summary.failed} failed."
    ]
    if skipped:
        lines.append(f"Passed over: {skipped}.")
    if summary.of_others:
        belong = "photo belongs" if summary.of_others == 1 else "photos belong"
        lines.append(
            f"{summary.of_others} {belong} to another account than the key's: `immich-push` never changes "
            "anything there."
        )
    if "of another account" in summary.skipped:
        lines.append("Photos of other accounts, such as partners', are staged with --with-partners.")
    if summary.stopped:
        lines.append("Stopped early: run the same command again to go on.")
    return lines
