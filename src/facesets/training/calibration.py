"""Cosine similarities that decide in a head's space, measured on people that it has not seen."""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from facesets.training.evaluation import Nearest

_WRONG = 0.0005
"""Of the faces that are given to somebody, so many may be wrong."""

_LOST = 0.02
"""Of people's own faces, so many may be below what is asked for out of caution."""

_DOUBTFUL = 0.02
"""Of strangers' faces, so many may be asked about."""

_MARGIN_SHARE = 0.1
"""Of how much more similar one's own person is than the nearest other; 0.05 for ArcFace."""

_STRICT_SHARE = 0.25
_MOST = 0.99


@dataclass(frozen=True, slots=True)
class ProjectedThresholds:
    """Cosine similarities of projected vectors, and one cosine distance.

    Attributes
    ----------
    assign : float
        From which a face is given to a person.
    review : float
        From which it is worth a question.
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
    """Thresholds for a library of so many people.

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
        return min(_MOST, max(measured, expected))

    # Where people's own faces are well above strangers, halfway: nothing is lost by being careful.
    enough, kept = passed_by(_WRONG), float(np.quantile(near.own, _LOST))
    assign = (enough + max(enough, kept)) / 2
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
