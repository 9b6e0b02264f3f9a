"""`facesets index`, and single analysis steps for photos of the library."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facesets import settings
from facesets.cli import console, queueing
from facesets.cli.command import SHARED
from facesets.cli.flags import options_of, typed_flags
from facesets.cli.opening import agrees_to_open_pack, opened_library, work_on_library
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
    chosen_folders,
)
from facesets.cli.settings_file import configured_flags
from facesets.cli.wording import worded
from facesets.errors import Field, SourceGone, WrongUsage
from facesets.files import plain_path, printable, require_suffix
from facesets.operations.options.declaration import Option
from facesets.operations.options.index import BatchingOptions, Delete, Force, IndexOptions, OneStage
from facesets.operations.options.people import AssignOptions
from facesets.operations.options.start import DetSize, LeastDetectionScore
from facesets.plurals import counted
from facesets.result import Result
from facesets.words import library as words
from facesets.words import photos as photo_words

if TYPE_CHECKING:
    from facesets.assembly.describing import RequestedModels
    from facesets.assembly.stages import StageModels
    from facesets.operations.ingest.changed_files import FileFailure
    from facesets.sources.galleries import GallerySource
    from facesets.store.postgres.library import Library

_STAGE_FLAGS = frozenset(
    {"stage", "folders", "target", "database", "concurrency", "provider", "trust_mtime", "alone", "strict"}
)
_STAGE_FLAGS |= {
    "ml_uri",
    "pack",
    "clip_pack",
    "body_model",
    "force",
    "retry_failed",
    "max_images",
    "dry_run",
}
_DELETE_FLAGS = frozenset({"stage", "delete", "database", "dry_run"})


def require_flags_of_stage(typed: Collection[str], *, delete: bool) -> None:
    """Refuse flags that a single step would ignore. Raises `WrongUsage`.

    Settings apply to runs of all steps, and pass.
    """
    others = sorted(set(typed) - (_DELETE_FLAGS if delete else _STAGE_FLAGS) - SHARED.keys())
    if not others:
        return
    flags = " and ".join("DIR" if each == "folders" else Field(each).flag for each in others)
    why = (
        "--delete, which deletes the results of the step for all photos"
        if delete
        else "--stage, which processes photos of the library"
    )
    raise WrongUsage(f"{flags} cannot be combined with {why}. Remove one of them.")


def index_stage(
    name: str,
    targets: Sequence[Path],
    database: str | None,
    options: "IndexOptions",
    asked: "RequestedModels",
    body_model: Path | None,
    *,
    force: bool,
    delete: bool,
    alone: bool,
    strict: bool,
) -> None:
    """Run one step on photos of the library that lack it, perhaps only below some folders."""
    from facesets.assembly.stages import stage_by_itself
    from facesets.assembly.tags import TARGET_OF, run_tags
    from facesets.operations.ingest.stage_run import StageRunOptions, run_stage

    if delete:
        _delete_stage(name, database, dry_run=options.dry_run)
        return
    console.quiet_unless_terminal()
    conf = settings.load()
    asked = replace(asked, detection=(asked.detection[0], None, None))
    which = StageRunOptions(
        force=force,
        retry_failed=options.retry_failed,
        max_images=options.max_images,
        concurrency=asked.workers or conf.cpus,
        below=tuple(str(plain_path(path)) for path in targets),
        dry_run=options.dry_run,
    )
    with work_on_library(database, alone="index --alone" if alone else "") as work:
        if name in TARGET_OF:
            done = run_tags(name, work.library, conf, asked, which, work)
        else:
            models = _stage_models(work.library, asked, body_model, trust_mtime=options.trust_mtime)
            stage = stage_by_itself(name, models, conf, console, work)
            done = run_stage(work.library, stage, which, work=work)
        report_empty_folders(work.library, which.below)
    console.show(done, photo_words.index_stage(done, label=work.session.label), asked_for=options.dry_run)
    if TARGET_OF.get(name) == "scene":
        report_unembedded(done)
    console.finish(failed=console.unreadable(done.failures, strict=strict))


def _stage_models(
    library: "Library", asked: "RequestedModels", body_model: Path | None, *, trust_mtime: bool
) -> "StageModels":
    from facesets.assembly.stages import StageModels

    return StageModels(
        library.settings,
        asked.local_pack,
        asked.provider,
        trust_mtime,
        library=library,
        clip_pack=asked.clip_pack,
        body_model=body_model,
    )


def report_unembedded(done: Result) -> None:
    """Report how many photos cannot be tagged."""
    if done.unavailable:
        console.notice(
            f"{counted(done.unavailable, 'photo')} cannot be tagged without an embedding of this model. Run "
            "`facesets index PHOTOS`."
        )


def report_empty_folders(library: "Library", folders: Sequence[str]) -> None:
    """Warn about given folders without photos in the library."""
    from facesets.operations.ingest.stage_run import folders_without_photos

    for folder in folders_without_photos(library, folders):
        console.notice(f"The library has no photo below {printable(folder)}.")


def _delete_stage(name: str, database: str | None, *, dry_run: bool) -> None:
    """Delete the results of one step."""
    from facesets.operations.library.findings import delete_findings

    with opened_library(database) as library:
        done = delete_findings(library, name, dry_run=dry_run)
    console.show(done, photo_words.delete_stage(done, label=library.label), asked_for=dry_run)


FoldersArgument = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="[DIR]...",
        help="Photo folders or galleries.",
        show_default=False,
    ),
]
TargetOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--target", metavar="DIR...", help="The same as DIR; all folders count.", show_default=False
    ),
]
ConcurrencyOption = Annotated[
    int | None,
    Option(
        "Number of files processed at a time.",
        least=1,
        flag="--concurrency --workers",
        unset="as measured on this machine, else one per processor; with --ml-uri "
        f"{IndexOptions().concurrency}",
    ),
]
AloneOption = Annotated[bool, Option("End with status 75 if another `index --alone` is running. For cron.")]


_HOST_FLAGS = ("body_model", "concurrency", "provider", "max_batch", "max_wait_ms", "strict")
"""Flags that do not affect what is added to the library."""

_NOT_WITH_ENRICH = (
    "--enrich needs face detection with local models. Remove --ml-uri and --skip-faces, or run "
    "`facesets enrich` afterwards."
)


_NO_TARGET = "Missing PHOTOS. Usage: `facesets index PHOTOS`."
_DELETE_IS_STAGE_FLAGS = "--delete needs --stage, such as --stage attributes."
_FORCE_IS_STAGE_FLAGS = "--force needs --stage, such as --stage metadata."


def index(
    context: typer.Context,
    folders: FoldersArgument = None,
    target: TargetOption = None,
    database: DatabaseOption = None,
    concurrency: ConcurrencyOption = None,
    include: IncludeOption = (),
    exclude: ExcludeOption = (),
    ml_uri: MlUriOption = None,
    skip_faces: Annotated[bool, Option("Only embed photos (CLIP).")] = False,
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
    assign: Annotated[bool, Option("Then match the new faces to known people, as `assign` does.")] = False,
    alone: AloneOption = False,
    strict: StrictOption = False,
    profile: ProfileOption = None,
) -> None:
    """Add photos and their faces to the library.

    Embeds every photo below the folders and every face in it, once. Run it again for new photos: known ones
    are not read again. Several runs may work at once, on one machine or many. In cron, -q prints only
    warnings.
    """
    from facesets.assembly.describing import RequestedModels
    from facesets.sources.galleries import GallerySource

    targets = chosen_folders(context, folders, target)
    queueing.refuse_typed(typed_flags(context), *_HOST_FLAGS)
    queueing.refuse_with_index(stage, profile, assign=assign, alone=alone)
    asked = RequestedModels(
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
        raise WrongUsage(_FORCE_IS_STAGE_FLAGS if force else _DELETE_IS_STAGE_FLAGS if delete else _NO_TARGET)
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
    asked: "RequestedModels",
    body_model: Path | None,
    assign_by: AssignOptions | None,
    profile: Path | None,
    *,
    alone: bool,
) -> Result:
    """Index folders and print the result."""
    from facesets.assembly.commands import VERBS
    from facesets.operations.models.profile import Meter
    from facesets.stopwatch import Stopwatch

    if profile is not None:
        require_suffix(profile, ".json")
    stopwatch, meter = Stopwatch(), Meter()
    console.quiet_unless_terminal()
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
    if not options.dry_run:
        console.profile(stopwatch, meter, workers=stopwatch.workers, path=profile)
    return summary


def require_faces(options: IndexOptions, *, assign: bool, by_service: bool, skip_faces: bool) -> None:
    """Refuse options that need faces or local models without them. Raises `WrongUsage`."""
    if options.enrich and (by_service or skip_faces):
        raise WrongUsage(_NOT_WITH_ENRICH)
    if assign and skip_faces:
        raise WrongUsage("--assign needs faces. Remove --skip-faces.")


def finish_index(failures: "Sequence[FileFailure]", unavailable: Sequence[str], *, strict: bool) -> None:
    """List the failed files, and exit with the status for failures and unavailable targets."""
    failed = console.unreadable(failures, strict=strict)
    if unavailable and not console.session.stopped_by:
        raise typer.Exit(SourceGone.exit_status)
    console.finish(failed=failed)
