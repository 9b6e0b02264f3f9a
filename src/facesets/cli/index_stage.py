"""`facesets index --stage`: one stage over photos that the library knows."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from facesets.cli import console
from facesets.cli.command import SHARED
from facesets.cli.opening import opened_library, work_on_library
from facesets.errors import WrongUsage
from facesets.files import printable
from facesets.words import photos as words

if TYPE_CHECKING:
    from facesets.assembly.describing import Asked
    from facesets.assembly.stages import StageModels
    from facesets.operations.options.index import IndexOptions
    from facesets.store.postgres.library import Library


_OF_STAGE = frozenset(
    {"stage", "folders", "target", "database", "concurrency", "provider", "trust_mtime", "alone", "strict"}
)
_OF_STAGE |= {"ml_uri", "pack", "clip_pack", "body_model", "force", "retry_failed", "max_images", "dry_run"}
_OF_DELETE = frozenset({"stage", "delete", "database", "dry_run"})


def require_flags_of_stage(typed: Collection[str], *, delete: bool) -> None:
    """Refuse flags of the command line that a stage by itself would not obey. Raises `WrongUsage`.

    What settings say holds for the usual runs of `index`, and does not matter here.
    """
    others = sorted(set(typed) - (_OF_DELETE if delete else _OF_STAGE) - SHARED.keys())
    if not others:
        return
    flags = " and ".join("DIR" if each == "folders" else f"--{each.replace('_', '-')}" for each in others)
    why = (
        "--delete, which deletes what the stage found about all photos"
        if delete
        else "--stage, which looks at photos that the library knows already"
    )
    raise WrongUsage(f"{flags} cannot be given together with {why}. Leave out one of them.")


def index_stage(
    name: str,
    targets: Sequence[Path],
    database: str | None,
    options: "IndexOptions",
    asked: "Asked",
    body_model: Path | None,
    *,
    force: bool,
    delete: bool,
    alone: bool,
    strict: bool,
) -> None:
    """Let one stage look at the photos of the library that lack it, or at those below some folders."""
    from dataclasses import replace

    from facesets import settings
    from facesets.assembly.stages import stage_by_itself
    from facesets.assembly.tags import TARGET_OF, run_tags
    from facesets.files import plain_path
    from facesets.operations.ingest.stage_run import StageRunOptions, run_stage

    if delete:
        _delete_stage(name, database, dry_run=options.dry_run)
        return
    console.only_the_result_unless_watched()
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
            models = _models(work.library, asked, body_model, trust_mtime=options.trust_mtime)
            stage = stage_by_itself(name, models, conf, console, work)
            done = run_stage(work.library, stage, which, work=work)
        say_which_are_empty(work.library, which.below)
    console.show(done, words.index_stage(done, label=work.session.label), asked_for=options.dry_run)
    console.finish(failed=console.unreadable(done.failures, strict=strict))


def _models(
    library: "Library", asked: "Asked", body_model: Path | None, *, trust_mtime: bool
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


def say_which_are_empty(library: "Library", folders: Sequence[str]) -> None:
    """Name the folders that were asked for and of which the library has no photo."""
    from facesets.operations.ingest.stage_run import folders_without_photos

    for folder in folders_without_photos(library, folders):
        console.notice(f"The library has no photo below {printable(folder)}.")


def _delete_stage(name: str, database: str | None, *, dry_run: bool) -> None:
    """Delete what one stage found."""
    from facesets.operations.library.delete_findings import delete_findings
    from facesets.store.postgres.library import Library

    with opened_library(database) as session:
        library = Library(session)
        done = delete_findings(library, name, dry_run=dry_run)
    console.show(done, words.delete_stage(done, label=library.label), asked_for=dry_run)
