"""The five folds of `train`: in each a fifth of the people is held out, and the rest is learnt from."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from facesets.operations.options.upkeep import TrainOptions
from facesets.operations.people.training.head_comparison import (
    PLAIN,
    Figures,
    HeadComparison,
    compared,
    figures,
    trial_of_people,
)
from facesets.records import Bool, Float32, Int64
from facesets.stop import Stop
from facesets.training.evaluation import RecognitionTrial, trial_of
from facesets.training.head import Layers
from facesets.training.lesson import Lesson, TrainingPlan
from facesets.training.linear import discriminants, whitening
from facesets.training.splitting import capped, held_out_faces, held_out_people

if TYPE_CHECKING:
    from collections.abc import Callable

    from facesets.training.checkpoints import Epoch

_SEED = 0
_FACES_TRIED = 3000
"""With known people, of whose faces only a fifth is asked about."""

_FACES_FITTED = 50_000
"""By what is linear: more need gigabytes, and change nothing."""


@dataclass(frozen=True, slots=True)
class Taught:
    """Faces to learn from: unit rows, and whose they are, people numbered from 0."""

    embedding: Float32
    person: Int64

    @property
    def people(self) -> int:
        """How many they show."""
        return int(self.person.max(initial=-1)) + 1


@dataclass(frozen=True, slots=True)
class Fold:
    """What was learnt without some people, and how well it does.

    Attributes
    ----------
    layers : mapping of kind to layers
        None at all for plain vectors.
    trial : RecognitionTrial
        Faces of the people that were held out.
    """

    layers: dict[str, Layers]
    trial: RecognitionTrial
    on_people: dict[str, Figures]
    on_faces: dict[str, Figures]
    epochs: "tuple[Epoch, ...]"
    training_faces: int
    validation_faces: int


def run_folds(
    taught: Taught,
    options: TrainOptions,
    directory: Path,
    *,
    on_epoch: "Callable[[int, Epoch], None]",
    stop: Stop,
) -> list[Fold]:
    """Train and measure five times; fewer folds where it was stopped.

    Only the first fold's head can come into use; the others say how much figures differ by chance. What was
    done before an interruption is taken from checkpoints.

    Parameters
    ----------
    directory : Path
        Where checkpoints of the first fold are kept, and below it those of the others.
    on_epoch : function
        Hears the fold's number, from 0, and what an epoch came to.

    Raises
    ------
    CannotWrite
        A checkpoint cannot be written.
    """
    folds: list[Fold] = []
    for number, held in enumerate(held_out_people(taught.people, _SEED)):
        place = directory / f"fold_{number + 1}" if number else directory
        fold = _run_fold(taught, held, options, place, lambda epoch, n=number: on_epoch(n, epoch), stop)  # type: ignore[misc]
        if fold is None:
            break
        folds.append(fold)
    return folds


def _run_fold(
    taught: Taught,
    held: Int64,
    options: TrainOptions,
    directory: Path,
    on_epoch: "Callable[[Epoch], None]",
    stop: Stop,
) -> Fold | None:
    """One fold; None where it was stopped."""
    # Only here, for it needs torch.
    from facesets.training.loop import train

    out: Bool = np.isin(taught.person, held)
    embedding, person = taught.embedding[~out], taught.person[~out]
    validates = held_out_faces(person, _SEED)
    plan = TrainingPlan(options.epochs, options.margin, options.batch_size, options.learning_rate, _SEED)
    trained = train(Lesson(embedding, person, validates), plan, directory, on_epoch=on_epoch, stop=stop)
    if len(trained.epochs) < options.epochs:
        return None
    fit = np.flatnonzero(~validates)
    fit = fit[capped(person[fit], _FACES_FITTED, _SEED)]
    fitted = embedding[fit], person[fit]
    layers: dict[str, Layers] = {
        PLAIN: (),
        "triplet": trained.layers,
        "whitening": whitening(*fitted),
        "lda": discriminants(*fitted),
    }
    trial = trial_of_people(taught.embedding[out], taught.person[out], _SEED)
    rows = capped(person, _FACES_TRIED, _SEED)
    known = trial_of(embedding[rows], person[rows], validates[rows])
    return Fold(
        layers=layers,
        trial=trial,
        on_people={kind: figures(trial, each) for kind, each in layers.items()},
        on_faces={kind: figures(known, each) for kind, each in layers.items()},
        epochs=trained.epochs,
        training_faces=int((~validates).sum()),
        validation_faces=int(validates.sum()),
    )


def comparison(folds: list[Fold]) -> list[HeadComparison]:
    """How each way of comparing faces did, plain vectors first."""
    on_people = [fold.on_people for fold in folds]
    return [compared(kind, on_people, folds[0].on_faces) for kind in folds[0].layers]


def winner(lines: list[HeadComparison]) -> HeadComparison | None:
    """The best of those that beat plain vectors by more than folds differ; None where none does."""
    return max((line for line in lines if line.wins), key=lambda line: line.gain, default=None)
