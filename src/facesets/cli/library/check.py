"""`facesets stats` and `facesets check`: the size and the integrity of the library."""

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from facesets import settings
from facesets.cli import console
from facesets.cli.opening import opened_library, working
from facesets.cli.params import DatabaseOption, MlUriOption, PackOption, ProviderOption
from facesets.cli.wording import worded
from facesets.errors import Field, WrongUsage
from facesets.operations.options.declaration import Option
from facesets.operations.options.index import IndexOptions
from facesets.plurals import counted
from facesets.result import Result
from facesets.words import library as words
from facesets.words.phrases import local_time

if TYPE_CHECKING:
    from collections.abc import Sequence

    from facesets.assembly.describing import RequestedModels
    from facesets.interfaces import Describer
    from facesets.operations.ingest.changed_files import FileFailure
    from facesets.operations.people.grouping.staleness import Staleness
    from facesets.settings import Settings
    from facesets.store.postgres.library import Library
    from facesets.store.postgres.statistics import LibraryStatistics, StageCounts


def stats(
    database: DatabaseOption = None,
    stages: Annotated[bool, Option("Show the progress of each analysis step instead.")] = False,
) -> None:
    """Show how much is in the library."""
    from facesets.operations.library.stats import stages as count_stages
    from facesets.operations.library.stats import stats as run

    with opened_library(database) as library:
        if stages:
            found = count_stages(library)
            console.show(found, _stage_lines(found.stages), asked_for=True)
            return
        totals = run(library)
    console.show(totals, _totals(totals), asked_for=True)


def _totals(totals: "LibraryStatistics") -> list[str]:
    people = sum(count for status, count in totals.persons.items() if status != "merged")
    undecided = counted(totals.candidates, "undecided face")
    rows = [
        ("photos", totals.images),
        (
            "paths",
            f"{totals.paths} ({counted(totals.aliases, 'copy', 'copies')}, {totals.unreadable} unreadable)",
        ),
        *([("missing", f"{totals.missing} (`facesets check` lists them)")] if totals.missing else []),
        ("galleries", totals.galleries),
        ("faces", f"{totals.faces} ({totals.assigned} assigned, {totals.unassigned} unassigned)"),
        ("clustered", totals.clustered),
        ("people", f"{people} ({totals.named} named)"),
        *((f"  {status}", count) for status, count in totals.persons.items()),
        ("reference faces", totals.prototypes),
        ("for review", f"{counted(totals.questions, 'suggestion')}, {undecided}"),
        *(
            [("job queue", ", ".join(f"{count} {state}" for state, count in totals.queue.items()))]
            if totals.queue
            else []
        ),
        ("database", f"{totals.megabytes} MB"),
        *((f"last {command}", when) for command, when in totals.last_runs.items()),
        *(
            (
                "face models",
                f"{model.pack} at {model.det_size}, minimum score {model.min_det_score:g}: {found}",
            )
            for model in totals.models
            for found in [f"{counted(model.images, 'photo')}, {counted(model.faces, 'face')}"]
        ),
        *((model.model, f"{counted(model.images, 'photo')} embedded") for model in totals.clip),
    ]
    width = max(len(name) for name, _ in rows)
    lines = [f"{name:<{width}} {value}" for name, value in rows]
    if totals.faces_without_norm:
        from facesets.operations.ingest.norms import how_to_measure

        lines += ["", worded(how_to_measure(totals.faces_without_norm))]
    return lines


def _stage_lines(stages: "Sequence[StageCounts]") -> list[str]:
    names = ("pending", "processing", "completed", "failed")
    lines = ["step        " + "".join(f"{name:>12}" for name in names) + "  version"]
    for stage in stages:
        numbers = "".join(f"{getattr(stage, name):>12}" for name in names)
        lines.append(f"{stage.stage:<12}{numbers}  {stage.version[:40]}".rstrip())
        lines += [f"  {counted(count, 'photo')} failed: {reason}" for reason, count in stage.reasons.items()]
    return lines


def check(
    database: DatabaseOption = None,
    fix: Annotated[bool, Option("Repair it: read the affected photos again.")] = False,
    ml_uri: MlUriOption = None,
    pack: PackOption = None,
    provider: ProviderOption = "auto",
    staleness: Annotated[
        bool, Option("Show instead whether the saved hierarchy should be rebuilt, and why.")
    ] = False,
    erase_missing: Annotated[
        bool, Option("Erase photos without any file left, with their faces, for good.")
    ] = False,
    dry_run: Annotated[bool, Option("With --erase-missing: show what would be erased.")] = False,
    yes: Annotated[bool, Option("With --erase-missing: skip the question.")] = False,
) -> None:
    """Check library integrity.

    Finds what manual changes have broken, and lists photos without any file left, which other commands
    ignore until their files are back. Exits with status 1 if something is left broken.
    """
    from facesets.assembly.describing import RequestedModels
    from facesets.operations.library.check import check as run

    if staleness and fix:
        raise WrongUsage("--staleness repairs nothing. Remove --fix, or run `facesets check` once for each.")
    if erase_missing and (fix or staleness):
        raise WrongUsage("--erase-missing cannot be combined with --fix and --staleness.")
    if (dry_run or yes) and not erase_missing:
        raise WrongUsage("--dry-run and --yes need --erase-missing.")
    conf = settings.load()
    if erase_missing:
        _erase_missing(database, conf, dry_run=dry_run, yes=yes)
        return
    with opened_library(database) as library:
        if staleness:
            from facesets.operations.people.grouping.staleness import staleness as measure

            found_stale = measure(library)
            console.show(found_stale, staleness_lines(found_stale), asked_for=True)
            return
        if fix:
            asked = RequestedModels((pack, None, None), provider=provider, ml_uri=ml_uri)
            found, left, failures = _repaired(library, asked, conf)
        else:
            found = left = run(library, fix=False)
            failures = []
    problems = [replace(problem, repair=worded(problem.repair)) for problem in found.problems]
    done = Result(found, problems=problems, lost=left.lost, missing=left.missing)
    lines = words.check(done, label=library.label, left=left if fix else None)
    console.show(done, lines, asked_for=bool(left.problems))
    console.failures([(photo.path, photo.reason) for photo in [*failures, *left.lost]])
    if left.problems:
        raise typer.Exit(1)


def _erase_missing(database: str | None, conf: "Settings", *, dry_run: bool, yes: bool) -> None:
    from facesets.operations.library.check import erase_missing, plan_erasing
    from facesets.store.stored_crops import FOLDER

    with opened_library(database) as library:
        plan = plan_erasing(library)
        if plan.numbers and not dry_run:
            if not yes:
                _ask(plan)
            plan = erase_missing(library, plan, pictures=conf.cache_dir / FOLDER)
    console.show(plan, words.check_erase_missing(plan), asked_for=dry_run)


def _ask(plan: Result) -> None:
    if not console.can_ask():
        raise WrongUsage(
            f"This erases {words.photos_to_erase(plan)} permanently. Preview it with "
            f"{Field('dry_run')}, or confirm it with {Field('yes')}."
        )
    for line in words.check_erase_missing(plan):
        console.notice(line)
    if not console.agrees("Erase all of this permanently? This cannot be undone."):
        raise WrongUsage("Nothing was erased.")


def _repaired(
    library: "Library", asked: "RequestedModels", conf: "Settings"
) -> "tuple[Result, Result, list[FileFailure]]":
    from facesets.assembly.describing import describer
    from facesets.operations.library.check import Skip, repair, require_service

    require_service(library, asked.ml_uri)
    with working() as work:

        def prepare(skip: Skip) -> "tuple[Describer, IndexOptions]":
            rest = replace(asked, skip_faces=skip.faces, skip_clip=skip.clip)
            return describer(library, IndexOptions(), conf, rest, console, work)

        return repair(library, prepare, work=work)


def staleness_lines(found: "Staleness") -> list[str]:
    """Describe how outdated the saved hierarchy is."""
    again = "Rebuild it with `facesets cluster --method hdbscan --full`."
    if not found.exists:
        if found.due:
            return [f"The saved hierarchy is not in use: {found.reasons[0]}. {again}"]
        return ["There is no saved hierarchy. Build one with `facesets cluster --method hdbscan`."]
    made = local_time(found.made)
    figures = (
        f"Hierarchy of {counted(found.faces, 'face')}, built {made}: {found.added} added since "
        f"({found.share_added:.1%}), {found.unassigned} of these unassigned "
        f"({found.share_unassigned:.1%}); 90 % of the centroids moved by less than {found.drift:.3f}."
    )
    verdict = f"Rebuilding is due: {'; '.join(found.reasons)}. {again}" if found.due else "It is up to date."
    return [figures, *found.changed, verdict]
