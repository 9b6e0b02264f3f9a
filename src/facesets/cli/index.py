"""`facesets index`."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facesets.cli import console, queueing
from facesets.cli.configured import configured_flags
from facesets.cli.flags import options_of
from facesets.cli.index_stage import index_stage, require_flags_of_stage
from facesets.cli.opening import agrees_to_open_pack, work_on_library
from facesets.cli.params import (
    BodyModelOption,
    ClipPackOption,
    DatabaseOption,
    ExcludeOption,
    IncludeOption,
    MlUriOption,
    PackOption,
    ProfileOption,
    ProviderOption,
    StrictOption,
    folders_meant,
)
from facesets.cli.thresholds import typed_flags
from facesets.cli.wording import worded
from facesets.errors import SourceGone, WrongUsage
from facesets.operations.options.declaration import Option
from facesets.operations.options.index import BatchingOptions, Delete, Force, IndexOptions, OneStage
from facesets.operations.options.people import AssignOptions
from facesets.operations.options.start import DetSize, LeastDetectionScore
from facesets.result import Result
from facesets.words import index as words

if TYPE_CHECKING:
    from facesets.assembly.describing import Asked
    from facesets.operations.ingest.changed_files import FileFailure
    from facesets.sources.galleries import GallerySource

FoldersArgument = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="[DIR]...",
        help="Galleries, chunks or roots of galleries, or any folders of photos; all that are named.",
        show_default=False,
    ),
]
TargetOption = Annotated[
    list[Path] | None,
    typer.Option("--target", metavar="DIR...", help="The same as DIR; all of both.", show_default=False),
]
ConcurrencyOption = Annotated[
    int | None,
    Option(
        "Files worked on at a time.",
        least=1,
        unset="as measured on this machine, else one a processor; with --ml-uri "
        f"{IndexOptions().concurrency}",
    ),
]
AloneOption = Annotated[bool, Option("End with status 75 if another `index --alone` is going. For cron.")]


_OF_THE_HOST = ("body_model", "concurrency", "provider", "max_batch", "max_wait_ms", "strict")
"""Flags that say nothing about what comes into the library."""

_NOT_WITH_ENRICH = (
    "--enrich adds landmarks to faces that are found in this run by the models here. Leave out --ml-uri and "
    "--skip-faces, or run `facesets enrich` afterwards."
)


_NO_TARGET = "Name the folders of the photos: `facesets index PHOTOS`."
_DELETE_IS_OF_STAGE = "--delete belongs to --stage. Name the stage, such as --stage attributes."
_FORCE_IS_OF_STAGE = "--force belongs to --stage. Name the stage to do again, such as --stage metadata."


def index(
    context: typer.Context,
    folders: FoldersArgument = None,
    target: TargetOption = None,
    database: DatabaseOption = None,
    concurrency: ConcurrencyOption = None,
    include: IncludeOption = (),
    exclude: ExcludeOption = (),
    ml_uri: MlUriOption = None,
    skip_faces: Annotated[bool, Option("Only embed images (CLIP).")] = False,
    skip_clip: Annotated[bool, Option("Only find and embed faces.")] = False,
    pack: PackOption = None,
    clip_pack: ClipPackOption = None,
    body_model: BodyModelOption = None,
    det_size: DetSize = None,
    min_det_score: LeastDetectionScore = None,
    provider: ProviderOption = "auto",
    *,
    options: IndexOptions,
    batching: BatchingOptions,
    stage: OneStage = None,
    force: Force = False,
    delete: Delete = False,
    assign: Annotated[bool, Option("Then give the new faces to known people, as `assign` does.")] = False,
    alone: AloneOption = False,
    strict: StrictOption = False,
    profile: ProfileOption = None,
) -> None:
    """Embed every image below some folders and every face on it, and keep it all in the library.

    Run it again whenever photos were added: what is known is not read again. Several runs may be at it
    at once, on one machine or many. In cron -q leaves nothing but warnings.
    """
    from facesets.assembly.describing import Asked
    from facesets.sources.galleries import GallerySource

    targets = folders_meant(context, folders, target)
    queueing.refuse_typed(typed_flags(context), *_OF_THE_HOST)
    queueing.refuse_with_index(stage, profile, assign=assign, alone=alone)
    asked = Asked(
        (pack, det_size, min_det_score),
        clip_pack,
        provider,
        ml_uri,
        skip_faces=skip_faces,
        skip_clip=skip_clip,
        workers=concurrency,
        batching=batching,
    )
    if stage is not None:
        require_flags_of_stage(typed_flags(context), delete=delete)
        of_stage = options, asked, body_model
        index_stage(
            stage, targets, database, *of_stage, force=force, delete=delete, alone=alone, strict=strict
        )
        return
    if not targets or force or delete:
        raise WrongUsage(_FORCE_IS_OF_STAGE if force else _DELETE_IS_OF_STAGE if delete else _NO_TARGET)
    require_faces(options, assign=assign, by_service=bool(ml_uri), skip_faces=skip_faces)
    if queueing.queue_index(database, targets, (include, exclude), asked, options):
        return
    assign_by = None
    if assign:
        assign_by = replace(options_of(AssignOptions, configured_flags(context, "assign")), dry_run=False)
    source = GallerySource(targets, include=include, exclude=exclude)
    done = _index(database, source, options, asked, body_model, assign_by, profile, alone=alone)
    finish_index(done.failures, done.away, strict=strict)


def _index(
    database: str | None,
    source: "GallerySource",
    options: IndexOptions,
    asked: "Asked",
    body_model: Path | None,
    assign_by: AssignOptions | None,
    profile: Path | None,
    *,
    alone: bool,
) -> Result:
    """Index folders, and say what came of it."""
    from facesets.assembly.commands import VERBS
    from facesets.files import require_suffix
    from facesets.operations.models.profile import Meter, profile_of
    from facesets.stopwatch import Stopwatch

    if profile is not None:
        require_suffix(profile, ".json")
    stopwatch, meter = Stopwatch(), Meter()
    console.only_the_result_unless_watched()
    with work_on_library(database, alone="index --alone" if alone else "") as work:
        summary = VERBS["index"].run(
            work,
            source=source,
            options=options,
            asked=replace(asked, agrees_to_open=agrees_to_open_pack(work.progress)),
            body_model=body_model,
            assign=assign_by,
            stopwatch=stopwatch,
        )
    summary = Result(summary, pack_note=worded(summary.pack_note))
    lines = words.index(summary, label=work.session.label, dry_run=options.dry_run)
    console.show(summary, lines, asked_for=options.dry_run)
    if (profile is not None or console.session.verbose) and not options.dry_run:
        console.profile(profile_of(stopwatch, meter, workers=stopwatch.workers, path=profile))
    return summary


def require_faces(options: IndexOptions, *, assign: bool, by_service: bool, skip_faces: bool) -> None:
    """Refuse what needs faces, or models here, where there are none. Raises `WrongUsage`."""
    if options.enrich and (by_service or skip_faces):
        raise WrongUsage(_NOT_WITH_ENRICH)
    if assign and skip_faces:
        raise WrongUsage("--assign gives new faces to people. Leave out --skip-faces.")


def finish_index(failures: "Sequence[FileFailure]", unavailable: Sequence[str], *, strict: bool) -> None:
    """Name the files that failed, and end with the status that these and unavailable targets make."""
    failed = console.unreadable(failures, strict=strict)
    if unavailable and not console.session.stopped_by:
        raise typer.Exit(SourceGone.exit_status)
    console.finish(failed=failed)
