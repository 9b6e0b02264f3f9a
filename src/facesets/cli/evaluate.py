"""`facesets evaluate`."""

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facesets.cli import console
from facesets.cli.params import DatabaseOption
from facesets.operations.options.cache import ClusterOptions, Method
from facesets.operations.options.declaration import Option
from facesets.plurals import counted, people

if TYPE_CHECKING:
    from facesets.operations.reports.evaluate import Evaluation

_DEFAULT = ClusterOptions()


def evaluate(
    cache: Annotated[
        Path | None,
        typer.Argument(
            metavar="[CACHE]",
            help="A cache; without one and without --vectors, the library.",
            show_default=False,
        ),
    ] = None,
    database: DatabaseOption = None,
    truth: Annotated[
        str, Option("parent-folder, or a CSV file with the columns name and face or path.")
    ] = "parent-folder",
    vectors: Annotated[
        Path | None,
        Option("An .npz file with the arrays embedding, name and optionally image."),
    ] = None,
    method: Annotated[Method, Option("How to group.")] = _DEFAULT.method,
    threshold: Annotated[
        float | None,
        typer.Option(
            help="Cosine distance (agglomerative) or similarity (components). [default: the method's own]",
            show_default=False,
        ),
    ] = None,
    sweep: Annotated[
        str | None,
        Option("Try thresholds from:to:step, such as 0.4:0.8:0.05."),
    ] = None,
    sheet: Annotated[
        Path | None,
        Option("Draw the worst merges and splits into this PNG."),
    ] = None,
) -> None:
    """Cluster faces whose people are known, and say how well that went: worst errors first."""
    from facesets import settings
    from facesets.assembly.stores import open_store
    from facesets.errors import WrongUsage
    from facesets.files import require_suffix
    from facesets.operations.reports import evaluate as run

    if sheet is not None:
        require_suffix(sheet, ".png")
    collection = None
    if vectors is not None:
        known = run.truth_of_vectors(vectors)
    else:
        with open_store(cache, database, settings.load(), console) as store:
            collection = store.load()
        by_folder = truth == run.PARENT_FOLDER
        known = run.truth_of_folders(collection) if by_folder else run.truth_of_csv(collection, Path(truth))
    options = replace(_DEFAULT, method=method)
    if threshold is not None:
        (options,) = run.sweep(options, [threshold])
    trials = run.sweep(options, _range(sweep)) if sweep else [options]
    evaluation = run.evaluate(known, trials)
    if sheet is not None:
        if collection is None:
            raise WrongUsage("--sheet needs a cache or the library: vectors alone have no pictures.")
        from facesets.operations.reports.evaluation_sheet import draw_errors

        with console.stoppable() as stop, console.progress() as progress:
            draw_errors(evaluation, collection, sheet, progress=progress, stop=stop)
    console.show(evaluation, _lines(evaluation), asked_for=True)


def _range(text: str) -> list[float]:
    from facesets.errors import WrongUsage

    match = re.fullmatch(r"(\d*\.?\d+):(\d*\.?\d+):(\d*\.?\d+)", text)
    first, last, step = (float(part) for part in match.groups()) if match else (0.0, 0.0, 0.0)
    if step <= 0 or last < first:
        raise WrongUsage(f"--sweep {text} is not from:to:step, such as 0.4:0.8:0.05.")
    return [round(first + i * step, 6) for i in range(int((last - first) / step + 1e-9) + 1)]


def _lines(evaluation: "Evaluation") -> list[str]:
    headings = ("method", "cut", "pairwise P", "R", "F1", "BCubed P", "R", "F1", "V", "clusters")
    rows = [
        (
            trial.method,
            "measured" if trial.threshold is None else f"{trial.threshold:g}",
            *(
                f"{value:.4f}"
                for value in (
                    trial.scores.pairwise_precision,
                    trial.scores.pairwise_recall,
                    trial.scores.pairwise_f1,
                    trial.scores.bcubed_precision,
                    trial.scores.bcubed_recall,
                    trial.scores.bcubed_f1,
                    trial.scores.v_measure,
                )
            ),
            trial.scores.clusters,
        )
        for trial in evaluation.trials
    ]
    left_out = f", {evaluation.unknown} named without a face here" if evaluation.unknown else ""
    lines = [
        f"{counted(evaluation.faces, 'face')} of {people(evaluation.people)}{left_out}",
        console.table(headings, rows),
    ]
    for merge in evaluation.merges:
        mixed = ", ".join(f"{name} ({count})" for name, count in merge.people[:6])
        lines.append(f"merged, {counted(merge.pairs, 'wrong pair')}: {mixed}")
    for split in evaluation.splits:
        pieces = " + ".join(str(piece) for piece in split.pieces[:10])
        lines.append(f"split, {counted(split.pairs, 'pair')} apart: {split.person} ({pieces})")
    return lines
