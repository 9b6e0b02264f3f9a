"""`facesets index --stage`: one stage over photos that the library knows."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from facesets.cli import console
from facesets.plurals import counted

if TYPE_CHECKING:
    from facesets.operations.ingest.stage_run import StageOptions, StageSummary


def index_stage(
    name: str,
    targets: Sequence[Path],
    database: str | None,
    options: "StageOptions",
    *,
    pack: str | None,
    provider: str,
    body_model: Path | None,
) -> None:
    """Let one stage look at the photos of the library that lack it, or at those below some folders."""
    from dataclasses import replace

    from facesets import settings
    from facesets.assembly.stages import StageModels, stage_by_itself
    from facesets.assembly.stores import open_database
    from facesets.files import plain_path
    from facesets.operations.ingest.stage_run import run_stage
    from facesets.store.postgres.library import Library

    console.only_the_result_unless_watched()
    conf = settings.load()
    options = replace(options, below=tuple(str(plain_path(path)) for path in targets))
    with (
        console.stoppable() as stop,
        console.progress() as progress,
        open_database(database, conf, console) as session,
    ):
        library = Library(session)
        models = StageModels(library.settings, pack, provider, body_model)
        stage = stage_by_itself(name, models, conf, console, progress, stop)
        summary = run_stage(library, stage, options, progress=progress, stop=stop)
    console.show(summary, [_line(library.label, summary)], asked_for=options.dry_run)
    console.finish(failed=console.unreadable(summary.failures, strict=False))


def _line(label: str, summary: "StageSummary") -> str:
    if summary.dry_run:
        to_do = counted(summary.to_do, "photo")
        return f"{label}: stage {summary.stage}: {to_do} to look at. Nothing was stored."
    return (
        f"{label}: stage {summary.stage}: {counted(summary.completed, 'photo')} done, {summary.failed} failed"
        + (f", {summary.unavailable} unavailable" if summary.unavailable else "")
        + "."
        + (f" {summary.to_do} to do." if summary.to_do else "")
        + (" Stopped early: run the same command again to go on." if summary.stopped else "")
    )
