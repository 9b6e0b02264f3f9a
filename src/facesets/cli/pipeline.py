"""`facesets pipeline`."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from facesets.cli import console
from facesets.cli.cluster import configured_grouping, grouped_lines
from facesets.cli.cluster_dual import dual_lines
from facesets.cli.configured import configured, configured_flags, configured_value
from facesets.cli.flags import options_of
from facesets.cli.index import finish_index, index_line, missing_words, pack_lines, require_faces
from facesets.cli.opening import work_on_library
from facesets.cli.params import DatabaseOption, StrictOption
from facesets.cli.people_prototypes import centroids_line
from facesets.cli.train import trained_lines
from facesets.cli.user import current_user
from facesets.errors import WrongUsage
from facesets.operations.options.assign import AssignOptions
from facesets.operations.options.batching import BatchingOptions
from facesets.operations.options.engine import EngineOptions
from facesets.operations.options.library import IndexOptions
from facesets.operations.options.pipeline import PipelineOptions
from facesets.operations.options.training import TrainOptions
from facesets.plurals import counted, people
from facesets.words import people as words
from facesets.words.phrases import GO_ON

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from facesets.assembly.pipeline import PipelineRequest
    from facesets.operations.library.pipeline import PipelineSummary, StepDone

_NO_TARGET = (
    "Name the folders of the photos: `facesets pipeline PHOTOS`; or in facesets.toml, below [pipeline]: "
    'targets = ["PHOTOS"].'
)


def pipeline(
    context: typer.Context,
    targets: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[DIR]...",
            help="Galleries, chunks or roots of galleries, or any folders of photos; else those of "
            "facesets.toml: targets below [pipeline], or target below [index].",
            show_default=False,
        ),
    ] = None,
    database: DatabaseOption = None,
    *,
    options: PipelineOptions,
    strict: StrictOption = False,
) -> None:
    """Keep a library current by one line in a crontab: index, cluster, assign, centroids, stats.

    A run that was stopped or killed, or that failed, goes on with the next one at that step. Other settings
    are those of `index`, `cluster`, `assign` and `train` in facesets.toml. A second run on the same library
    ends with status 75.
    """
    from facesets import settings
    from facesets.assembly.pipeline import run_pipeline

    request = _request(context, targets, options)
    console.only_the_result_unless_watched()
    conf = settings.load()
    with work_on_library(database) as (library, progress, stop):
        label = library.database.label
        summary = run_pipeline(
            library.database,
            request,
            conf,
            console,
            by=current_user(),
            on_step=lambda done: _tell(label, done, dry_run=options.dry_run),
            progress=progress,
            stop=stop,
        )
    indexed = [
        line
        for step in summary.steps
        if step.name == "index" and step.summary
        for line in pack_lines(step.summary)
    ]
    console.show(summary, [_line(label, summary), *indexed], asked_for=options.dry_run)
    finish_index(summary.failures, summary.away, strict=strict)


def _request(
    context: typer.Context, targets: list[Path] | None, options: PipelineOptions
) -> "PipelineRequest":
    """The options of the steps, by the environment and facesets.toml. Raises `WrongUsage` for no target."""
    from facesets.assembly.describing import Asked
    from facesets.assembly.pipeline import PipelineRequest

    indexing = configured(context, "index")
    of_index = partial(configured_value, indexing)
    named = targets or of_index("folders") or of_index("target")
    if not named:
        raise WrongUsage(_NO_TARGET)
    index = options_of(IndexOptions, indexing.params)
    ml_uri, skip_faces = of_index("ml_uri"), of_index("skip_faces")
    require_faces(index, assign=False, by_service=bool(ml_uri), skip_faces=skip_faces)
    grouping = configured(context, "cluster")
    cluster, dual = configured_grouping(grouping, dual=options.dual or options.full)
    return PipelineRequest(
        targets=tuple(map(Path, named)),
        options=options,
        include=of_index("include"),
        exclude=of_index("exclude"),
        index=replace(index, dry_run=False),
        asked=Asked(
            (of_index("pack"), of_index("det_size"), of_index("min_det_score")),
            of_index("clip_pack"),
            of_index("provider"),
            ml_uri,
            skip_faces=skip_faces,
            skip_clip=of_index("skip_clip"),
            workers=of_index("concurrency"),
            batching=options_of(BatchingOptions, indexing.params),
        ),
        body_model=of_index("body_model"),
        cluster=cluster,
        dual=dual,
        workers=options_of(EngineOptions, grouping.params),
        assign=options_of(AssignOptions, configured_flags(context, "assign")),
        train=options_of(TrainOptions, configured_flags(context, "train")),
    )


def _tell(label: str, done: "StepDone", *, dry_run: bool) -> None:
    """With -v: what a step did, in the words of its command."""
    if done.left_out:
        console.detail(f"{done.name}: was done by the run before.")
        return
    console.detail(f"{done.name}: {done.seconds:.1f} s")
    of_step: Mapping[str, Callable[[Any], list[str]]] = {
        "index": lambda summary: [index_line(label, summary, dry_run=dry_run)],
        "cluster": grouped_lines,
        "assign": words.assign,
        "centroids": lambda summary: [centroids_line(summary)],
        "dual": dual_lines,
        "train": trained_lines,
        "dual again": dual_lines,
    }
    if done.name in of_step and console.session.verbose:
        for line in of_step[done.name](done.summary):
            console.notice(f"  {line}" if line else "")


def _line(label: str, summary: "PipelineSummary") -> str:
    has_clusters = any(step.name == "dual" for step in summary.steps)
    words = ("new cluster",) if has_clusters else ("new person", "new people")
    before = f" Went on at {summary.went_on_at}." if summary.went_on_at else ""
    left = f" {summary.to_do} to do." if summary.to_do else ""
    line = (
        f"{label}: {counted(summary.new_images, 'new image')} with {counted(summary.new_faces, 'new face')}, "
        f"{summary.assigned} given to known people, {counted(summary.new_people, *words)}, "
        f"{summary.failed} failed.{left}{missing_words(summary.missing)}{before}"
    )
    totals = summary.library
    if totals is not None:
        everybody = sum(count for status, count in totals.persons.items() if status != "merged")
        line += (
            f" In all {counted(totals.images, 'image')}, {counted(totals.faces, 'face')} "
            f"({totals.assigned} with a person), {people(everybody)} ({totals.named} with a name)."
        )
        if totals.questions:
            waiting = counted(totals.questions, "question waits", "questions wait")
            line += f" {waiting}: `facesets people review`."
    if summary.dry_run:
        line += " Nothing was stored."
    return line + (f" {GO_ON}" if summary.stopped else "")
