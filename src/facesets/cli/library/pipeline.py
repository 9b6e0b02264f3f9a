"""`facesets pipeline`, `assign` and `maintain`: keep a library up to date."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from facesets.cli import console, queueing
from facesets.cli.flags import options_of
from facesets.cli.library.index import finish_index, require_faces
from facesets.cli.opening import work_on_library
from facesets.cli.params import DatabaseOption, StrictOption
from facesets.cli.settings_file import configured, configured_flags, configured_value
from facesets.cli.start.cluster import configured_grouping
from facesets.errors import WrongUsage
from facesets.operations.options.grouping import EngineOptions
from facesets.operations.options.index import BatchingOptions, IndexOptions
from facesets.operations.options.people import AssignOptions
from facesets.operations.options.upkeep import MaintainOptions, PipelineOptions, TrainOptions, tasks_named
from facesets.result import Result
from facesets.words import corrections as correction_words
from facesets.words import library as words

_NO_TARGET = (
    'Missing PHOTOS. Usage: `facesets pipeline PHOTOS`; or set targets = ["PHOTOS"] under [pipeline] '
    "in facesets.toml."
)


def pipeline(
    context: typer.Context,
    targets: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[DIR]...",
            help="Photo folders or galleries. [default: `targets` below [pipeline] in facesets.toml, or "
            "`target` below [index]]",
            show_default=False,
        ),
    ] = None,
    database: DatabaseOption = None,
    *,
    options: PipelineOptions,
    strict: StrictOption = False,
) -> None:
    """Index, cluster and assign, by one line in a crontab.

    An interrupted or failed run resumes at that step. Other settings are those of `index`, `cluster`,
    `assign` and `train` in facesets.toml. A second run on the same library exits with status 75.
    """
    from facesets.assembly.pipeline import run_pipeline

    given = _given(context, targets, options)
    console.quiet_unless_terminal()
    with work_on_library(database) as work:
        label = work.session.label
        tell = partial(_print_details, label, dry_run=options.dry_run)
        summary = run_pipeline(work, options, given, on_step=tell)
    console.show(summary, words.pipeline(summary, label=label), asked_for=options.dry_run)
    finish_index(summary.failures, summary.away, strict=strict)


def _given(
    context: typer.Context, targets: list[Path] | None, options: PipelineOptions
) -> dict[str, dict[str, Any]]:
    """Return the options of each step from environment and settings. Raises `WrongUsage` without a target."""
    from facesets.assembly.describing import RequestedModels
    from facesets.sources.galleries import GallerySource

    indexing = configured(context, "index")
    of_index = partial(configured_value, indexing)
    named = targets or of_index("folders") or of_index("target")
    if not named:
        raise WrongUsage(_NO_TARGET)
    index = options_of(IndexOptions, indexing.params)
    ml_uri, skip_faces = of_index("ml_uri"), of_index("skip_faces")
    require_faces(index, assign=False, by_service=bool(ml_uri), skip_faces=skip_faces)
    asked = RequestedModels(
        (of_index("pack"), of_index("det_size"), of_index("min_det_score")),
        of_index("clip_pack"),
        of_index("provider"),
        ml_uri,
        skip_faces=skip_faces,
        skip_clip=of_index("skip_clip"),
        workers=of_index("concurrency"),
        batching=options_of(BatchingOptions, indexing.params),
    )
    grouping = configured(context, "cluster")
    cluster, dual = configured_grouping(grouping, dual=options.dual or options.full)
    return {
        "index": {
            "source": GallerySource(
                tuple(map(Path, named)), include=of_index("include"), exclude=of_index("exclude")
            ),
            "options": replace(index, dry_run=False),
            "asked": asked,
            "body_model": of_index("body_model"),
        },
        "cluster": {"options": cluster, "workers": options_of(EngineOptions, grouping.params)},
        "cluster --dual": {"options": cluster, "dual": dual},
        "assign": {"options": options_of(AssignOptions, configured_flags(context, "assign"))},
        "train": {"options": options_of(TrainOptions, configured_flags(context, "train"))},
    }


def _print_details(label: str, done: Result, *, dry_run: bool) -> None:
    """Print the summary of a step, with -v."""
    from facesets.assembly.commands import VERBS
    from facesets.assembly.pipeline import COMMAND_OF

    if done.left_out:
        console.detail(f"{done.name}: finished in the previous run.")
        return
    console.detail(f"{done.name}: {done.seconds:.1f} s")
    if not console.session.verbose:
        return
    if done.name == "index":
        # The last lines of the command include its notes.
        lines = words.index(done.summary, label=label, dry_run=dry_run)[:1]
    else:
        verb = VERBS.get(COMMAND_OF.get(done.name, done.name))
        lines = verb.words(done.summary) if verb is not None and verb.words is not None else []
    for line in lines:
        console.notice(f"  {line}" if line else "")


def assign(
    database: DatabaseOption = None,
    *,
    options: AssignOptions,
) -> None:
    """Match unassigned faces to known people.

    Compares each face with the reference faces of all people (`facesets people prototypes`). Uncertain
    matches become suggestions. Run it again after each `index`, or use `index --assign`.
    """
    queueing.begin("assign", database, options=options)
    console.finish()


def maintain(
    tasks: Annotated[
        list[str],
        typer.Argument(
            metavar="TASK...",
            help="centroids, medoids, empty, statistics, must-links, violations, merge-similar, unassigned, "
            "associate, staleness or health; or daily or weekly.",
            show_default=False,
        ),
    ],
    database: DatabaseOption = None,
    *,
    options: MaintainOptions,
) -> None:
    """Tidy the library's people and clusters.

    associate, merge-similar, unassigned, empty and must-links are each one change that `people undo` undoes;
    the others report, or refresh derived data. daily is centroids, empty, statistics, must-links and
    violations; weekly is daily, medoids, merge-similar, unassigned and associate.
    """
    done = queueing.carry_out("maintain", database, tasks=tasks_named(tasks), options=options)
    if done is None:
        return
    quiet = console.session.quiet and not options.dry_run
    lines = correction_words.maintain(done.tasks, dry_run=options.dry_run, briefly=quiet)
    if lines or console.session.json:
        console.show_list("tasks", done.tasks, "\n".join(lines))
    console.finish()
