"""`facesets immich-stage`."""

from contextlib import closing
from datetime import datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facesets.cli import console
from facesets.cli.immich_access import (
    ApiKeyFileOption,
    BackoffOption,
    PatienceOption,
    TimeoutOption,
    UrlOption,
)
from facesets.cli.params import DatabaseOption, DebugOption, DryRunOption, JsonOption
from facesets.errors import WrongUsage
from facesets.files import printable
from facesets.operations.options.immich import StageOptions
from facesets.plurals import counted

if TYPE_CHECKING:
    from facesets.operations.immich.stage_summary import StageSummary

_STAGE = StageOptions()


def immich_stage(
    user: Annotated[
        str, typer.Option(help="Name of the folder below --out. The key decides whose photos come.")
    ],
    out: Annotated[Path, typer.Option(help="Where to put the photos and the queue.")] = Path("immich"),
    url: UrlOption = None,
    api_key_file: ApiKeyFileOption = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Assets worked on at a time.")] = _STAGE.workers,
    min_face_short: Annotated[
        float, typer.Option(min=0, help="Least short edge of a photo's largest face, in original pixels.")
    ] = _STAGE.min_face_short,
    known: Annotated[
        list[Path] | None,
        typer.Option(help="A cache whose content is not staged again. May be repeated.", show_default=False),
    ] = None,
    known_library: Annotated[
        bool,
        typer.Option(
            "--known-library/--ignore-library", help="Do not stage what the library holds, if there is one."
        ),
    ] = True,
    database: DatabaseOption = None,
    thumbnails: Annotated[
        bool,
        typer.Option(
            "--include-thumbnails/--exclude-thumbnails", help="Immich's own thumbnails, indexed as photos."
        ),
    ] = _STAGE.thumbnails,
    trashed: Annotated[
        bool, typer.Option("--include-trashed/--exclude-trashed", help="Photos in the trash.")
    ] = _STAGE.trashed,
    hidden: Annotated[
        bool, typer.Option("--include-hidden/--exclude-hidden", help="Photos that Immich hides.")
    ] = _STAGE.hidden,
    locked: Annotated[
        bool,
        typer.Option(
            "--include-locked/--exclude-locked", help="The locked folder, if the server lets a key."
        ),
    ] = _STAGE.locked,
    archived: Annotated[
        bool, typer.Option("--include-archived/--exclude-archived", help="Photos in the archive.")
    ] = _STAGE.archived,
    edited: Annotated[
        bool,
        typer.Option("--include-edited/--exclude-edited", help="Originals of photos edited in Immich."),
    ] = _STAGE.edited,
    partners: Annotated[
        bool,
        typer.Option(
            "--with-partners",
            help="Photos of other accounts, too, which partners share or albums hold. They are never "
            "written to.",
        ),
    ] = _STAGE.partners,
    faceless: Annotated[
        bool,
        typer.Option(
            "--include-faceless/--exclude-faceless",
            help="Photos in which the server found no face: `immich-push` adds those that are found here.",
        ),
    ] = _STAGE.faceless,
    album: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Only photos of this album. May be repeated.", show_default=False),
    ] = None,
    person: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Only photos of this person, by the server's account. May be repeated.",
            show_default=False,
        ),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="DATE", help="Only photos taken from then on: 2024-05-01.", show_default=False),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(
            metavar="DATE", help="Only photos taken until then, that day included.", show_default=False
        ),
    ] = None,
    recheck: Annotated[
        bool, typer.Option("--recheck", help="Ask again about photos that had no face in Immich.")
    ] = _STAGE.recheck,
    timeout: TimeoutOption = 60.0,
    backoff: BackoffOption = 1.0,
    patience: PatienceOption = 5.0,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Fetch the photos with large faces from an Immich server, as a queue for `embed --queue`.

    Run it again to go on after an outage, or for what is new: nothing is fetched twice.
    """
    from facesets import settings
    from facesets.assembly.immich import access_to, known_content
    from facesets.operations.immich.stage import immich_stage as run
    from facesets.remote.immich import Immich

    conf = settings.load()
    access = access_to(
        conf,
        url,
        api_key_file,
        connections=workers,
        timeout_s=timeout,
        first_wait_s=backoff,
        patience_s=patience,
    )
    options = StageOptions(
        workers=workers,
        min_face_short=min_face_short,
        thumbnails=thumbnails,
        trashed=trashed,
        hidden=hidden,
        locked=locked,
        archived=archived,
        edited=edited,
        partners=partners,
        faceless=faceless,
        recheck=recheck,
        albums=tuple(album or ()),
        people=tuple(person or ()),
        since=_moment("--since", since, time.min),
        until=_moment("--until", until, time.max),
        dry_run=dry_run,
    )
    with (
        known_content(known or [], database, conf, console, library=known_library) as contents,
        console.stoppable() as stop,
        console.progress() as progress,
        closing(Immich(access, stop=stop)) as server,
    ):
        summary = run(server, out, user, options, contents, progress=progress, stop=stop)
    console.show(summary, _lines(summary, dry_run=dry_run))
    console.failures([(failure.path, failure.reason) for failure in summary.failures])
    console.finish(failed=summary.failed)


def _moment(flag: str, text: str | None, at: time) -> datetime | None:
    """The time that was given; of a date alone that time of its day."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise WrongUsage(f"{flag} {printable(text)} is no date. Give one such as 2024-05-01.") from error
    return moment if "T" in text or " " in text else datetime.combine(moment.date(), at)


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
