"""Cosine similarities that decide in a head's space, measured on people that it has not seen."""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from facesets.training.evaluation import Nearest

_WRONG = 0.0005
"""Of the faces that are given to somebody, so many may be wrong."""

_DOUBTFUL = 0.02
"""Of strangers' faces, so many may be asked about."""

_MARGIN_SHARE = 0.1
"""Of how much more similar one's own person is than the nearest other; 0.05 for ArcFace."""

_STRICT_SHARE = 0.25
_MOST = 0.99


@dataclass(frozen=True, slots=True)
class Thresholds:
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
    """

    assign: float
    review: float
    person: float
    margin: float
    max_cosine_distance: float


def calibrated(near: Nearest, people: int, max_cosine_distance: float) -> Thresholds:
    """Thresholds for a library of so many people.

    Parameters
    ----------
    near : Nearest
        Similarities in the head's space.
    """
    asked = max(2, len(near.other))
    # The nearest of few strangers was measured; the nearest of more of them is nearer.
    normal = NormalDist(float(near.other.mean()), max(float(near.other.std()), 1e-6))

    def passed_by(share: float) -> float:
        measured = float(np.quantile(near.other, 1 - share))
        expected = normal.inv_cdf(1 - min(share, share * asked / max(people, asked)))
        return min(_MOST, max(measured, expected))

    assign = passed_by(_WRONG)
    gap = float(np.median(near.own) - np.median(near.other))
    return Thresholds(
        assign=round(assign, 4),
        review=round(min(assign, passed_by(_DOUBTFUL)), 4),
        person=round(assign + _STRICT_SHARE * (1 - assign), 4),
        margin=round(_MARGIN_SHARE * max(0.0, gap), 4),
        max_cosine_distance=round(max_cosine_distance, 4),
    )
