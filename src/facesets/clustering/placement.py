"""The result of automatic clustering, and its description."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from facesets.clustering.calibration import Calibration
from facesets.clustering.vectors import Int64
from facesets.plurals import counted


class Placement(IntEnum):
    """How a face joined its cluster."""

    CORE = 0
    """Certainly one person with others of its cluster."""
    JOINED = 1
    """Single before, and similar to the centroid of its cluster."""
    LINKED = 2
    """Linked by average linkage at the calibrated cut."""
    SATELLITE = 3
    """In a loose cluster that surrounds its cluster."""
    ALONE = 4
    """Not similar enough to any cluster."""
    INCOHERENT = 5
    """In an incoherent cluster, and joined no other: noise."""
    POOR = 6
    """Shows too little of the person, and is not similar enough to any cluster."""


@dataclass(frozen=True, slots=True)
class AutoResult:
    """Clusters, and how faces joined them.

    Attributes
    ----------
    labels : int64 array of shape (n,)
        Clusters by falling size, ties by smallest member. A face alone has a label of its own; faces
        left over from incoherent clusters are noise, -1.
    placement : uint8 array of shape (n,)
        A `Placement` for each face.
    method : str
        What was done, in words.
    calibration : Calibration
        The similarities that decided.
    reasons : tuple of str
        Sentences for the user.
    contradictions : int64 array of shape (x, 2)
        Cannot-link pairs that must-links tie together.
    """

    labels: Int64
    placement: NDArray[np.uint8]
    method: str
    calibration: Calibration
    reasons: tuple[str, ...]
    contradictions: Int64


def describe(
    measured: Calibration, placement: NDArray[np.uint8], cannot: int, contradictions: int
) -> tuple[str, ...]:
    """Describe a result in sentences for the user."""
    count: list[int] = np.bincount(placement, minlength=len(Placement)).tolist()
    sentences = [
        (
            f"Faces of one person typically have a similarity of {measured.typical:.2f}, faces of "
            f"different people rarely {measured.strangers:.2f} ({measured.source})."
        ),
        (f"Cores were cut at a mean similarity of {measured.core:.2f} and linked from {measured.link:.2f}."),
        (
            f"{_faces_are(count[Placement.CORE])} certain, {count[Placement.JOINED]} match the centroid of "
            f"their cluster, {count[Placement.LINKED]} are linked, {count[Placement.SATELLITE]} joined as "
            f"outliers, {count[Placement.ALONE]} are unassigned."
        ),
    ]
    if count[Placement.INCOHERENT]:
        sentences.append(
            f"{_faces_are(count[Placement.INCOHERENT])} unassigned because the mean similarity in their "
            f"cluster is below {measured.coherent:.2f}."
        )
    if count[Placement.POOR]:
        sentences.append(
            f"{counted(count[Placement.POOR], 'face is', 'faces are')} too low quality to group."
        )
    if cannot:
        sentences.append(f"{counted(cannot, 'pair of faces was', 'pairs of faces were')} kept apart.")
    if contradictions:
        pairs = counted(contradictions, "pair")
        sentences.append(f"{pairs} had to be both together and apart; they were kept together.")
    return tuple(sentences)


def _faces_are(count: int) -> str:
    return counted(count, "face is", "faces are")
