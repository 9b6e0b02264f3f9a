"""Whether a projection tells people apart better than the recogniser's own vectors do."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from facesets.clustering.average_linkage import best_cut
from facesets.records import Float32, Int64
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
from facesets.training.head import Layers, project
from facesets.training.lesson import capped, held_out_faces

PLAIN = "plain"
_FACES_TRIED = 1500
"""In one trial: their pairs are compared one by one."""


@dataclass(frozen=True, slots=True)
class Figures:
    """How well people are told apart, each figure at the threshold that is best for it; 1 is best.

    Attributes
    ----------
    accuracy : float
        Of telling whether two faces are one person, if half of the pairs are.
    true_accepts : float
        Share of pairs of one person that pass where one in a thousand pairs of two people does.
    clustering_f1 : float
        BCubed F1 of average linkage.
    precision, recall, assignment_f1 : float
        Of giving faces to the nearest person, among faces of whom half are strangers'.
    """

    accuracy: float
    true_accepts: float
    clustering_f1: float
    precision: float
    recall: float
    assignment_f1: float

    @property
    def score(self) -> float:
        """Mean of accuracy, true accepts, clustering F1 and assignment F1: what decides."""
        return (self.accuracy + self.true_accepts + self.clustering_f1 + self.assignment_f1) / 4


@dataclass(frozen=True, slots=True)
class HeadComparison:
    """One way of comparing faces.

    Attributes
    ----------
    kind : str
        `plain`, `triplet`, `whitening` or `lda`.
    on_people : Figures
        With people that it has not seen: the mean of five folds.
    on_faces : Figures
        With other faces of the people that it was made from.
    gain : float
        By how much its score with unseen people exceeds that of plain vectors, as mean of five folds.
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
        """Whether it is better by more than the folds differ: so it is in each of them."""
        return self.gain > self.spread and self.gain > 0


def trial_of_people(embedding: Float32, person: Int64, seed: int) -> RecognitionTrial:
    """Faces of people, half of each asked about."""
    rows = capped(person, _FACES_TRIED, seed)
    return trial_of(embedding[rows], person[rows], held_out_faces(person[rows], seed, one_in=2))


def figures(trial: RecognitionTrial, layers: Layers) -> Figures:
    """Measure how well projected vectors tell the people of a trial apart."""
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
    """What the figures of five folds, with unseen people each, say of one way."""
    gains = [fold[kind].score - fold[PLAIN].score for fold in folds]
    each = [asdict(fold[kind]) for fold in folds]
    mean = Figures(**{name: float(np.mean([values[name] for values in each])) for name in each[0]})
    return HeadComparison(kind, mean, on_faces[kind], float(np.mean(gains)), float(max(gains) - min(gains)))


def thresholds(trial: RecognitionTrial, layers: Layers, people: int) -> ProjectedThresholds:
    """Thresholds in a projection's space for a library of so many people, by people that it has not seen."""
    near = nearest_people(trial, lambda rows: project(layers, rows))
    projected = project(layers, trial.embedding)
    distance, _ = best_cut(projected, trial.person)
    two = strangers(trial, projected)
    return calibrated(
        near, people, max_cosine_distance=distance, strangers=(float(np.median(two)), float(two.std()))
    )
