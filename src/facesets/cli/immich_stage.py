"""`facesets immich-stage`."""

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from facesets.cli import console
from facesets.cli.params import DatabaseOption
from facesets.operations.options.declaration import Option
from facesets.operations.options.immich import ServerOptions, StageOptions
from facesets.plurals import counted
from facesets.words.phrases import GO_ON

if TYPE_CHECKING:
    from facesets.operations.immich.stage_summary import StageSummary


def immich_stage(
    user: Annotated[str, Option("Name of the folder below --out. The key decides whose photos come.")],
    out: Annotated[Path, Option("Where to put the photos and the queue.")] = Path("immich"),
    *,
    access: ServerOptions,
    known: Annotated[
        tuple[Path, ...],
        Option("A cache whose content is not staged again; with several, of any of them."),
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
    from facesets.assembly.immich import access_to, known_content
    from facesets.operations.immich.stage import immich_stage as run
    from facesets.remote.immich import Immich

    conf = settings.load()
    where = access_to(conf, access, connections=options.workers)
    with (
        known_content(known, database, conf, console, library=known_library) as contents,
        console.stoppable() as stop,
        console.progress() as progress,
        closing(Immich(where, stop=stop)) as server,
    ):
        summary = run(server, out, user, options, contents, progress=progress, stop=stop)
    console.show(summary, _lines(summary, dry_run=options.dry_run))
    console.failures([(failure.path, failure.reason) for failure in summary.failures])
    console.finish(failed=summary.failed)


def _lines(summary: "StageSummary", *, dry_run: bool) -> list[str]:
    skipped = ", ".join(f"{count} {kind}" for kind, count in sorted(summary.skipped.items()))
    lines = [
        f"{counted(summary.listed, 'photo')} listed, {summary.settled_before} finished before. "
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
        belong = counted(summary.of_others, "photo belongs", "photos belong")
        lines.append(
            f"{belong} to another account than the key's: `immich-push` never changes anything there."
        )
    if "of another account" in summary.skipped:
        lines.append("Photos of other accounts, such as partners', are staged with --with-partners.")
    if summary.stopped:
        lines.append(GO_ON)
    return lines
