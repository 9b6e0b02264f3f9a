"""`facesets index`."""

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facesets.cli import console, queueing
from facesets.cli.index_stage import delete_stage, index_stage
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
)
from facesets.cli.results import as_before, would
from facesets.cli.user import current_user
from facesets.errors import SourceGone, WrongUsage
from facesets.operations.options.cache import DetSize, LeastDetectionScore
from facesets.operations.options.declaration import Option
from facesets.operations.options.library import IndexOptions
from facesets.operations.options.stages import Delete, Force, OneStage
from facesets.plurals import counted

if TYPE_CHECKING:
    from facesets.operations.ingest.index import IndexSummary
    from facesets.sources.galleries import GallerySource

TargetOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--target",
        metavar="DIR...",
        help="Galleries, chunks or roots of galleries, or any folders of photos.",
        show_default=False,
    ),
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


_NOT_WITH_ENRICH = (
    "--enrich adds landmarks to faces that are found in this run by the models here. Leave out --ml-uri and "
    "--skip-faces, or run `facesets enrich` afterwards."
)


@dataclass(frozen=True, slots=True)
class _Models:
    """By which models photos are looked at, wherever that is."""

    pack: str | None
    det_size: int | None
    min_det_score: float | None
    clip_pack: str | None
    ml_uri: str | None
    skip_faces: bool
    skip_clip: bool


_NO_TARGET = "Name the folders of the photos: `facesets index --target PHOTOS`."
_DELETE_IS_OF_STAGE = "--delete belongs to --stage. Name the stage, such as --stage attributes."
_FORCE_IS_OF_STAGE = "--force belongs to --stage. Name the stage to do again, such as --stage metadata."


def index(
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
    stage: OneStage = None,
    force: Force = False,
    delete: Delete = False,
    assign: Annotated[bool, Option("Then give the new faces to known people, as `assign` does.")] = False,
    alone: AloneOption = False,
    strict: StrictOption = False,
    profile: ProfileOption = None,
) -> None:
    """Embed every image below the targets and every face on it, and keep it all in the library.

    Run it again whenever photos were added: what is known is not read again. Several runs may be at it
    at once, on one machine or many. In cron -q leaves nothing but warnings.
    """
    from facesets import settings
    from facesets.assembly.describing import Asked, describer
    from facesets.assembly.indexing import assigned
    from facesets.assembly.stages import StageModels, stages_of_run
    from facesets.assembly.stores import open_database
    from facesets.operations.ingest.empty_sources import require_a_target
    from facesets.operations.ingest.index import index as run
    from facesets.operations.ingest.stage_run import StageOptions
    from facesets.operations.models.profile import Meter, profile_of
    from facesets.sources.galleries import GallerySource
    from facesets.stopwatch import Stopwatch
    from facesets.store.postgres.claims import RunLock
    from facesets.store.postgres.connection import now
    from facesets.store.postgres.library import Library

    queueing.refuse_with_index(stage, profile, assign=assign, alone=alone)
    if stage is not None and delete:
        delete_stage(stage, database, dry_run=options.dry_run)
        return
    if stage is not None:
        of_stage = StageOptions(
            force=force,
            retry_failed=options.retry_failed,
            max_images=options.max_images,
            concurrency=concurrency or settings.load().cpus,
            dry_run=options.dry_run,
        )
        by = Asked((pack, None, None), clip_pack, provider, ml_uri)
        models = StageModels(
            None, pack, provider, options.trust_mtime, clip_pack=clip_pack, body_model=body_model
        )
        index_stage(stage, target or [], database, of_stage, by, models)
        return
    if target is None or force or delete:
        raise WrongUsage(_FORCE_IS_OF_STAGE if force else _DELETE_IS_OF_STAGE if delete else _NO_TARGET)
    _require_what_fits(options.enrich, assign, bool(ml_uri), skip_faces, profile)
    if queueing.queue_index(
        database,
        target,
        (include, exclude),
        asdict(_Models(pack, det_size, min_det_score, clip_pack, ml_uri, skip_faces, skip_clip)),
        options,
    ):
        return
    stopwatch, meter = Stopwatch(), Meter()
    console.only_the_result_unless_watched()
    conf = settings.load()
    options = replace(options, concurrency=concurrency or options.concurrency)
    source = GallerySource(target, include=include, exclude=exclude)
    with (
        console.stoppable() as stop,
        console.progress() as progress,
        open_database(database, conf, console) as session,
    ):
        library = Library(session)
        require_a_target(source, library)
        is_first = library.settings is None and not options.dry_run and options.max_images is None
        asked = Asked(
            (pack, det_size, min_det_score),
            clip_pack,
            provider,
            ml_uri,
            skip_faces=skip_faces,
            skip_clip=skip_clip,
            workers=concurrency,
            is_long=lambda: is_first and _is_long(source),
        )
        with RunLock(session, "index --alone") if alone else nullcontext():
            describe, options = describer(
                library, options, conf, asked, console, progress, stop, stopwatch=stopwatch
            )
            models = StageModels(
                describe.faces_from,
                pack,
                provider,
                options.trust_mtime,
                library=library,
                describer=describe,
                clip_pack=clip_pack,
                body_model=body_model,
            )
            stages = (
                []
                if options.dry_run
                else stages_of_run(
                    options.stages, models, conf, console, progress, stop, enrich=options.enrich
                )
            )
            index_all = partial(run, stages=stages, stopwatch=stopwatch)
            began = session.run(now) if assign else None
            summary = index_all(source, library, describe, options, progress=progress, stop=stop)
            if began is not None and not options.dry_run and not summary.stopped:
                summary = assigned(
                    summary,
                    Library(session, describe.faces_from),
                    began,
                    by=current_user(),
                    progress=progress,
                    stop=stop,
                )
    _show(library.label, summary, dry_run=options.dry_run)
    if (profile is not None or console.session.verbose) and not options.dry_run:
        console.profile(profile_of(stopwatch, meter, workers=options.concurrency, path=profile))
    _finish(summary, strict=strict)


def _is_long(source: "GallerySource") -> bool:
    from facesets.operations.models.tuning import is_long

    return is_long(chain.from_iterable(source.stamps()), 0)


def _require_what_fits(
    enrich: bool, assign: bool, by_service: bool, skip_faces: bool, profile: Path | None
) -> None:
    """Refuse what needs faces, or models here, where there are none. Raises `WrongUsage`."""
    from facesets.files import require_suffix

    if profile is not None:
        require_suffix(profile, ".json")
    if enrich and (by_service or skip_faces):
        raise WrongUsage(_NOT_WITH_ENRICH)
    if assign and skip_faces:
        raise WrongUsage("--assign gives new faces to people. Leave out --skip-faces.")


def _finish(summary: "IndexSummary", *, strict: bool) -> None:
    failed = console.unreadable(summary.failures, strict=strict)
    if summary.away and not console.session.stopped_by:
        raise typer.Exit(SourceGone.exit_status)
    console.finish(failed=failed)


def _show(label: str, summary: "IndexSummary", *, dry_run: bool) -> None:
    lines = [_line(label, summary, dry_run=dry_run), *_passed_over(summary.passed_over)]
    console.show(summary, lines, asked_for=dry_run)


def _line(label: str, summary: "IndexSummary", *, dry_run: bool) -> str:
    left = f" {summary.to_do} to do." if summary.to_do else ""
    added = f"{counted(summary.completed, 'known image')} got what was lacking, " if summary.completed else ""
    return (
        f"{label}: {counted(summary.indexed, 'new image')}, "
        f"{counted(summary.faces, 'new face')}, "
        f"{counted(summary.embeddings, 'image')} embedded, {added}"
        f"{counted(summary.aliases, 'copy', 'copies')} of known images"
        + (f" ({summary.moved} moved)" if summary.moved else "")
        + f", {summary.unchanged} unchanged, "
        + (f"{summary.ignored} ignored, " if summary.ignored else "")
        + f"{summary.pruned} {would(dry_run, 'forgotten', 'to forget')}, {summary.failed} failed"
        f"{as_before(summary.failures)}.{left}"
        + (
            f" {summary.assigned} given to people, {summary.to_review} to be asked about."
            if summary.assigned is not None
            else ""
        )
        + (" Nothing was stored." if dry_run else "")
        + (" Stopped early: run the same command again to go on." if summary.stopped else "")
    )


def _passed_over(counts: Mapping[str, int]) -> list[str]:
    words = {"raw": "RAW file", "videos": "video", "linked_folders": "linked folder"}
    parts = [counted(counts[kind], word) for kind, word in words.items() if counts.get(kind)]
    return [f"Passed over: {', '.join(parts)}."] if parts else []
