"""`facesets stats`."""

from typing import TYPE_CHECKING, Annotated

from facesets.cli import console
from facesets.cli.opening import opened_library
from facesets.cli.params import DatabaseOption
from facesets.cli.wording import worded
from facesets.operations.options.declaration import Option
from facesets.plurals import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from facesets.store.postgres.statistics import LibraryStatistics, StageCounts


def stats(
    database: DatabaseOption = None,
    stages: Annotated[bool, Option("How far each stage of looking at photos is, instead.")] = False,
) -> None:
    """Show how much is in the library: images, faces, people."""
    from facesets.operations.library.stats import stages as count_stages
    from facesets.operations.library.stats import stats as run
    from facesets.store.postgres.library import Library

    with opened_library(database) as session:
        if stages:
            found = count_stages(Library(session))
            console.show(found, _stage_lines(found.stages), asked_for=True)
            return
        totals = run(Library(session))
    console.show(totals, _lines(totals), asked_for=True)


def _lines(totals: "LibraryStatistics") -> list[str]:
    people = sum(count for status, count in totals.persons.items() if status != "merged")
    undecided = f"{counted(totals.candidates, 'face')} without a decision"
    rows = [
        ("images", totals.images),
        (
            "paths",
            f"{totals.paths} ({counted(totals.aliases, 'copy', 'copies')}, {totals.unreadable} unreadable)",
        ),
        *([("missing", f"{totals.missing} (`facesets check` names them)")] if totals.missing else []),
        ("galleries", totals.galleries),
        ("faces", f"{totals.faces} ({totals.assigned} with a person, {totals.unassigned} without)"),
        ("clustered", totals.clustered),
        ("people", f"{people} ({totals.named} with a name)"),
        *((f"  {status}", count) for status, count in totals.persons.items()),
        ("prototypes", totals.prototypes),
        ("for review", f"{counted(totals.questions, 'question')}, {undecided}"),
        *(
            [("queue", ", ".join(f"{count} {state}" for state, count in totals.queue.items()))]
            if totals.queue
            else []
        ),
        ("database", f"{totals.megabytes} MB"),
        *((f"last {command}", when) for command, when in totals.last_runs.items()),
        *(
            ("found by", f"{model.pack} at {model.det_size}, from score {model.min_det_score:g}: {found}")
            for model in totals.models
            for found in [f"{counted(model.images, 'image')}, {counted(model.faces, 'face')}"]
        ),
        *((model.model, f"{counted(model.images, 'image')} embedded") for model in totals.clip),
    ]
    width = max(len(name) for name, _ in rows)
    lines = [f"{name:<{width}} {value}" for name, value in rows]
    if totals.faces_without_norm:
        from facesets.operations.ingest.norms import how_to_measure

        lines += ["", worded(how_to_measure(totals.faces_without_norm))]
    return lines


def _stage_lines(stages: "Sequence[StageCounts]") -> list[str]:
    names = ("pending", "processing", "completed", "failed")
    lines = ["stage       " + "".join(f"{name:>12}" for name in names) + "  version"]
    for stage in stages:
        numbers = "".join(f"{getattr(stage, name):>12}" for name in names)
        lines.append(f"{stage.stage:<12}{numbers}  {stage.version[:40]}".rstrip())
        lines += [f"  {counted(count, 'photo')} failed: {reason}" for reason, count in stage.reasons.items()]
    return lines
