"""Compare how well a projection and the recognition model separate people, by five folds."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from facesets.clustering.average_linkage import best_cut
from facesets.operations.options.upkeep import TrainOptions
from facesets.records import Bool, Float32, Int64
from facesets.training.evaluation import (
    ProjectedThresholds,
    RecognitionTrial,
    assignment,
    calibrated,
    nearest_people,
    strangers,
    trial_of,
    verification,
)
from facesets.training.head import Layers, discriminants, project, whitening
from facesets.training.lesson import Lesson, TrainingPlan, capped, held_out_faces, held_out_people
from facesets.work import Stop

if TYPE_CHECKING:
    from collections.abc import Callable

    from facesets.training.checkpoints import Epoch

PLAIN = "plain"
_FACES_TRIED = 1500
"""Maximum faces of one trial, because all pairs are compared."""


@dataclass(frozen=True, slots=True)
class Figures:
    """How well people are separated, each figure at its best threshold; 1 is best.

    Attributes
    ----------
    accuracy : float
        Accuracy of deciding whether two faces are one person, if half of the pairs are.
    true_accepts : float
        Share of same-person pairs accepted when one in a thousand other pairs is.
    clustering_f1 : float
        BCubed F1 of average linkage.
    precision, recall, assignment_f1 : float
        Figures of assigning faces to the nearest person, if half of the faces are strangers'.
    """

    accuracy: float
    true_accepts: float
    clustering_f1: float
    precision: float
    recall: float
    assignment_f1: float

    @property
    def score(self) -> float:
        """The mean of accuracy, true accepts, clustering F1 and assignment F1, which decides."""
        return (self.accuracy + self.true_accepts + self.clustering_f1 + self.assignment_f1) / 4


@dataclass(frozen=True, slots=True)
class HeadComparison:
    """One way of comparing faces.

    Attributes
    ----------
    kind : str
        `plain`, `triplet`, `whitening` or `lda`.
    on_people : Figures
        Figures for unseen people: the mean of five folds.
    on_faces : Figures
        Figures for other faces of the training people.
    gain : float
        Its score for unseen people less that of plain vectors: the mean of five folds.
    spread : float
        The largest less the smallest of the five gains.
    """

    kind: str
    on_people: Figures
    on_faces: Figures
    gain: float = 0.0
    spread: float = 0.0

    @property
    def wins(self) -> bool:
        """Whether its gain exceeds the spread of the folds."""
        return self.gain > self.spread and self.gain > 0


def trial_of_people(embedding: Float32, person: Int64, seed: int) -> RecognitionTrial:
    """Return a trial of these people, with half of their faces as queries."""
    rows = capped(person, _FACES_TRIED, seed)
    return trial_of(embedding[rows], person[rows], held_out_faces(person[rows], seed, one_in=2))


def figures(trial: RecognitionTrial, layers: Layers) -> Figures:
    """Measure how well projected embeddings separate the people of a trial."""
    projected = project(layers, trial.embedding)
    verified = verification(trial, projected)
    assigned = assignment(nearest_people(trial, lambda rows: project(layers, rows)))
    _, f1 = best_cut(projected, trial.person)
    return Figures(
        verified.accuracy, verified.true_accepts, f1, assigned.precision, assigned.recall, assigned.f1
    )


def compared(
    kind: str, folds: Sequence[Mapping[str, Figures]], on_faces: Mapping[str, Figures]
) -> HeadComparison:
    """Return the comparison of one way over five folds of unseen people."""
    gains = [fold[kind].score - fold[PLAIN].score for fold in folds]
    each = [asdict(fold[kind]) for fold in folds]
    mean = Figures(**{name: float(np.mean([values[name] for values in each])) for name in each[0]})
    return HeadComparison(kind, mean, on_faces[kind], float(np.mean(gains)), float(max(gains) - min(gains)))


def thresholds(trial: RecognitionTrial, layers: Layers, people: int) -> ProjectedThresholds:
    """Return thresholds in a projection's space for a library of this many people."""
    near = nearest_people(trial, lambda rows: project(layers, rows))
    projected = project(layers, trial.embedding)
    distance, _ = best_cut(projected, trial.person)
    two = strangers(trial, projected)
    return calibrated(
        near, people, max_cosine_distance=distance, strangers=(float(np.median(two)), float(two.std()))
    )


_SEED = 0
_KNOWN_FACES_TRIED = 3000
"""Maximum faces of a trial with known people, as only a fifth of their faces are queries."""

_FACES_FITTED = 50_000
"""Maximum faces for linear heads: more need gigabytes without changing the result."""


@dataclass(frozen=True, slots=True)
class Taught:
    """The training faces: unit rows, and their people, numbered from 0."""

    embedding: Float32
    person: Int64

    @property
    def people(self) -> int:
        """The number of people."""
        return int(self.person.max(initial=-1)) + 1


@dataclass(frozen=True, slots=True)
class Fold:
    """A head learned without some people, and its results.

    Attributes
    ----------
    layers : mapping of kind to layers
        Without an entry for plain vectors.
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
    """Train and measure five times; fewer if stopped.

    Only the first fold's head can be used; the others show how much the figures vary by chance. After an
    interruption, training resumes from checkpoints.

    Parameters
    ----------
    directory : Path
        The folder for checkpoints of the first fold; those of the others are below it.
    on_epoch : function
        Receives the fold's number, from 0, and the result of an epoch.

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
    """Run one fold; None if stopped."""
    # Imported only here, because it needs torch.
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
    rows = capped(person, _KNOWN_FACES_TRIED, _SEED)
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
    """Return the results of each way of comparing faces, plain embeddings first."""
    on_people = [fold.on_people for fold in folds]
    return [compared(kind, on_people, folds[0].on_faces) for kind in folds[0].layers]


def winner(lines: list[HeadComparison]) -> HeadComparison | None:
    """Return the best way that beats plain embeddings by more than the folds differ, or None."""
    return max((line for line in lines if line.wins), key=lambda line: line.gain, default=None)
