"""`train`: learn a projection from named people, and use it if it helps with unseen people."""

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from facesets.errors import Command, WrongUsage, require_extra
from facesets.interfaces import Progress
from facesets.operations.options.upkeep import TrainOptions
from facesets.operations.people.training.head_evaluation import (
    PLAIN,
    Fold,
    HeadComparison,
    Taught,
    comparison,
    run_folds,
    thresholds,
    winner,
)
from facesets.result import Result, plain
from facesets.store.postgres.claims import RunLock
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.library import Library
from facesets.store.postgres.models import DetectorRow
from facesets.store.postgres.people.training import load_named_faces, load_vectors, store_head, use_head
from facesets.store.postgres.runs import recorded_run
from facesets.training.head import onnx_model
from facesets.training.lesson import FOLDS, capped
from facesets.work import Work

if TYPE_CHECKING:
    from collections.abc import Callable

    from facesets.training.checkpoints import Epoch

_MIN_PEOPLE = 5
_MAX_FACES = 100_000
"""Maximum training faces, with fair shares per person. More take long and help little."""


def train_heads(
    library: Library,
    options: TrainOptions,
    directory: Path,
    *,
    work: Work,
    on_epoch: "Callable[[Epoch], None]",
) -> Result:
    """Train a head on named people, compare it, and use it if it helps with unseen people.

    Parameters
    ----------
    directory : Path
        The folder for checkpoints, from which an interrupted run resumes.
    on_epoch : function
        Receives each epoch of the head that may be used.

    Raises
    ------
    MissingExtra
        Torch is not installed.
    WrongUsage
        Too few people have a name.
    AlreadyRunning
        Another `train` is working on the library.
    CannotWrite
        A checkpoint cannot be written.
    """
    if not options.dry_run:
        require_extra("train")
    database = library.database
    with (
        RunLock(database, "train"),
        recorded_run(database, "train", asdict(options), dry_run=options.dry_run) as run,
    ):
        began = time.monotonic()
        work.progress.begin("Reading faces")
        detector, taught = database.run(_load, library, options)
        work.progress.end()
        counts = _nothing_learnt(taught, options)
        if options.dry_run:
            return counts
        work.progress.begin("Training", total=FOLDS * options.epochs)
        folds = run_folds(
            taught, options, directory, on_epoch=_counting(work.progress, on_epoch), stop=work.stop
        )
        work.progress.end()
        if len(folds) < FOLDS:
            run.stopped = True
            return Result(counts, stopped=True)
        summary = database.run(_store_heads, detector, counts, folds)
        from facesets.training.checkpoints import path_of

        last = path_of(directory, options.epochs)
        summary = Result(summary, checkpoint=str(last), seconds=round(time.monotonic() - began, 3))
        run.summary = plain(summary)
    return summary


def _nothing_learnt(taught: Taught, options: TrainOptions) -> Result:
    return Result(
        people=taught.people,
        faces=len(taught.person),
        held_out_people=0,
        training_faces=0,
        validation_faces=0,
        epochs=[],
        comparison=[],  # plain vectors first
        heads={},  # names of the stored heads, by kind
        activated="",  # the head used from now on
        verdict="",
        checkpoint="",
        seconds=0.0,
        dry_run=options.dry_run,
        stopped=False,
    )


def _counting(progress: Progress, on_epoch: "Callable[[Epoch], None]") -> "Callable[[int, Epoch], None]":
    """Count the epochs of all folds; pass on those of the head that may be used."""

    def hear(fold: int, epoch: "Epoch") -> None:
        progress.advance()
        if not fold:
            on_epoch(epoch)

    return hear


def _load(connection: Connection, library: Library, options: TrainOptions) -> tuple[DetectorRow, Taught]:
    connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
    detector = library.require_detector(connection)
    faces = load_named_faces(connection, detector, options.min_quality)
    enough = np.bincount(faces.person, minlength=1)[faces.person] >= options.min_faces
    faces = faces.take(np.flatnonzero(enough))
    faces = faces.take(capped(faces.person, _MAX_FACES, 0))
    people = int(faces.person.max(initial=-1)) + 1
    if people < _MIN_PEOPLE:
        raise WrongUsage(
            f"Training needs {_MIN_PEOPLE} named people with at least {options.min_faces} faces of quality "
            f"{options.min_quality:g} or higher each; the library has {people}. Name more with "
            f"{Command('people name', 'WHO', 'NAME')}."
        )
    faces, vectors = load_vectors(connection, detector, faces)
    return detector, Taught(vectors, faces.person)


def _store_heads(connection: Connection, detector: DetectorRow, counts: Result, folds: list[Fold]) -> Result:
    """Store the first fold's heads, and use the winner if there is one."""
    first, lines = folds[0], comparison(folds)
    names: dict[str, str] = {}
    best = winner(lines)
    activated = ""
    for line in lines:
        if line.kind == PLAIN:
            continue
        layers = first.layers[line.kind]
        metrics = asdict(line) | {"people": counts.people, "faces": counts.faces}
        calibration = asdict(thresholds(first.trial, layers, counts.people))
        size = layers[-1].weight.shape[1]
        head = store_head(
            connection, detector.model_id, line.kind, onnx_model(layers), size, metrics, calibration
        )
        names[line.kind] = head.name
        if line is best:
            use_head(connection, detector.model_id, head.id)
            activated = head.name
    return Result(
        counts,
        held_out_people=len(np.unique(first.trial.person)),
        training_faces=first.training_faces,
        validation_faces=first.validation_faces,
        epochs=[asdict(epoch) for epoch in first.epochs],
        comparison=lines,
        heads=names,
        activated=activated,
        verdict=_verdict(lines, best, activated),
    )


def _verdict(lines: list[HeadComparison], best: HeadComparison | None, activated: str) -> str:
    if best is not None:
        return (
            f"{activated} is now in use: on unseen people it scores {best.gain:.4f} above the plain "
            f"embeddings, and the folds differ by only {best.spread:.4f}."
        )
    nearest = max((line for line in lines if line.kind != PLAIN), key=lambda line: line.gain - line.spread)
    return (
        "No head is put to use: on unseen people none beats the plain embeddings by more than the folds "
        f"differ. The closest is {nearest.kind}: {nearest.gain:+.4f}, and the folds differ by "
        f"{nearest.spread:.4f}."
    )
