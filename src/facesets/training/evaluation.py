"""Measure how well embeddings separate people: verification and assignment of known faces.

From the same faces follow the cosine similarities that decide in a head's space.
"""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from facesets.records import Bool, Float32, Int64
from facesets.training.head import project

FALSE_ACCEPTS = 1e-3
_EXEMPLARS = 3
_CUTS = 400
_WRONG = 0.0005
"""Maximum share of wrong assignments."""

_LOST = 0.02
"""Maximum share of people's own faces that a cautious threshold may lose."""

_DOUBTFUL = 0.02
"""Maximum share of strangers' faces that become suggestions."""

_MARGIN_SHARE = 0.1
"""Margin, as a share of the lead of the own person over the nearest other; 0.05 for ArcFace."""

_STRICT_SHARE = 0.25
_MAX_THRESHOLD = 0.99


@dataclass(frozen=True, slots=True)
class RecognitionTrial:
    """Faces to separate: unit rows of shape (n, d), their people, and which are queries.

    The other faces are the known ones of each person.
    """

    embedding: Float32
    person: Int64
    asked: Bool


def trial_of(embedding: Float32, person: Int64, asked: Bool) -> RecognitionTrial:
    """Return a trial of the people who have both queries and other faces."""
    answerable = np.isin(person, person[asked]) & np.isin(person, person[~asked])
    return RecognitionTrial(embedding[answerable], person[answerable], asked[answerable])


@dataclass(frozen=True, slots=True)
class Verification:
    """Pairs of a query and a known face.

    Attributes
    ----------
    accuracy : float
        Share of right decisions at the best threshold, where half of the pairs are of one person.
    true_accepts : float
        Share of pairs of one person that pass where one in a thousand pairs of two people does.
    """

    accuracy: float
    true_accepts: float


@dataclass(frozen=True, slots=True)
class Nearest:
    """Each query's similarity to its own person's prototypes, and to the nearest other's."""

    own: Float32
    other: Float32


@dataclass(frozen=True, slots=True)
class NearestAssignment:
    """Results of assigning faces to the nearest person, at the threshold with the best F1.

    Every face is tested twice: with its person among the known ones, and as a stranger.
    """

    precision: float
    recall: float
    f1: float
    threshold: float


Project = Callable[[Float32], Float32]


_DECIMALS = 6
"""Decimals of cosine similarities: smaller differences depend on the processor's order of adding."""


def _similarity(asked: Float32, known: Float32) -> Float32:
    similarity: Float32 = np.round(asked @ known.T, _DECIMALS)
    return similarity


def verification(trial: RecognitionTrial, projected: Float32) -> Verification:
    """Judge pairs; `projected` holds the trial's rows as unit vectors of any dimension."""
    similarity = _similarity(projected[trial.asked], projected[~trial.asked])
    same = trial.person[trial.asked][:, None] == trial.person[~trial.asked][None, :]
    one, two = np.sort(similarity[same]), np.sort(similarity[~same])
    if not len(one) or not len(two):
        return Verification(0.5, 0.0)
    passing = 1 - np.searchsorted(one, one) / len(one)
    refused = np.searchsorted(two, one) / len(two)
    allowed = int(FALSE_ACCEPTS * len(two))
    true_accepts = float((one > two[-1 - allowed]).mean())
    return Verification(float((passing + refused).max() / 2), true_accepts)


def strangers(trial: RecognitionTrial, projected: Float32) -> Float32:
    """Return the similarities of all pairs of a query and a known face of different people."""
    similarity = _similarity(projected[trial.asked], projected[~trial.asked])
    two: Float32 = similarity[trial.person[trial.asked][:, None] != trial.person[~trial.asked][None, :]]
    return two


def nearest_people(trial: RecognitionTrial, to_projected: Project) -> Nearest:
    """Return the similarity of each query to its person's prototypes, and to the nearest other's.

    Prototypes are those of `assign`: the unit mean of the faces as the recognizer made them, and some faces.
    """
    people, index = np.unique(trial.person[~trial.asked], return_inverse=True)
    known = trial.embedding[~trial.asked]
    means = np.zeros((len(people), known.shape[1]), np.float32)
    np.add.at(means, index, known)
    order = np.argsort(index, kind="stable")
    place = np.arange(len(order)) - np.searchsorted(index[order], index[order])
    exemplars = order[place < _EXEMPLARS]
    owner = np.concatenate([np.arange(len(people)), index[exemplars]])
    prototypes = to_projected(np.concatenate([project((), means), known[exemplars]]))
    by_owner = np.argsort(owner, kind="stable")
    starts = np.searchsorted(owner[by_owner], np.arange(len(people)))
    similarity = _similarity(to_projected(trial.embedding[trial.asked]), prototypes[by_owner])
    best = np.maximum.reduceat(similarity, starts, axis=1)
    column = np.searchsorted(people, trial.person[trial.asked])
    rows = np.arange(len(best))
    own = best[rows, column].copy()
    best[rows, column] = -np.inf
    return Nearest(own, best.max(axis=1))


def assignment(near: Nearest) -> NearestAssignment:
    """Return precision and recall at the best threshold."""
    if not len(near.own):
        return NearestAssignment(0.0, 0.0, 0.0, 1.0)
    cuts = np.unique(np.quantile(near.own, np.linspace(0, 1, _CUTS)).astype(np.float32))[:, None]
    right = ((near.own >= cuts) & (near.own > near.other)).mean(axis=1)
    # Assigned to another person although its person is known, or to any although it is a stranger's.
    wrong = ((near.other >= cuts) & (near.other >= near.own)).mean(axis=1) + (near.other >= cuts).mean(axis=1)
    precision = right / np.maximum(right + wrong, 1e-9)
    f1 = 2 * precision * right / np.maximum(precision + right, 1e-9)
    best = int(f1.argmax())
    return NearestAssignment(
        float(precision[best]), float(right[best]), float(f1[best]), float(cuts[best, 0])
    )


@dataclass(frozen=True, slots=True)
class ProjectedThresholds:
    """Cosine similarities of projected embeddings, and one cosine distance.

    Attributes
    ----------
    assign : float
        Above it a face is assigned to a person.
    review : float
        Above it a face becomes a suggestion.
    person : float
        The strict one of `cluster --dual`.
    margin : float
        By which the second-best person has to be less similar.
    max_cosine_distance : float
        Where average linkage is best cut.
    middle, spread : float
        Of the similarities of strangers' faces: their median and standard deviation.
    """

    assign: float
    review: float
    person: float
    margin: float
    max_cosine_distance: float
    middle: float
    spread: float


def calibrated(
    near: Nearest, people: int, *, max_cosine_distance: float, strangers: tuple[float, float]
) -> ProjectedThresholds:
    """Return thresholds for a library of this many people.

    Parameters
    ----------
    near : Nearest
        Similarities in the head's space.
    strangers : tuple of float
        Median and standard deviation of similarities of faces of two people there.
    """
    asked = max(2, len(near.other))
    # The nearest of few strangers was measured; the nearest of more of them is nearer.
    normal = NormalDist(float(near.other.mean()), max(float(near.other.std()), 1e-6))

    def passed_by(share: float) -> float:
        measured = float(np.quantile(near.other, 1 - share))
        expected = normal.inv_cdf(1 - min(share, share * asked / max(people, asked)))
        return min(_MAX_THRESHOLD, max(measured, expected))

    # If people's own faces are well above strangers, use the midpoint: caution costs nothing.
    enough, lowest_own = passed_by(_WRONG), float(np.quantile(near.own, _LOST))
    assign = (enough + max(enough, lowest_own)) / 2
    gap = float(np.median(near.own) - np.median(near.other))
    return ProjectedThresholds(
        assign=round(assign, 4),
        review=round(min(assign, passed_by(_DOUBTFUL)), 4),
        person=round(assign + _STRICT_SHARE * (1 - assign), 4),
        margin=round(_MARGIN_SHARE * max(0.0, gap), 4),
        max_cosine_distance=round(max_cosine_distance, 4),
        middle=round(strangers[0], 4),
        spread=round(strangers[1], 4),
    )
