"""The conclusion of `explain`: what decided about a face, and what would change it."""

from dataclasses import dataclass

import numpy as np

from facesets.clustering.poor_faces import Clarity
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.models import DetectorRow
from facesets.store.postgres.people.face_details import FaceRow, library_norm_limits, quality_of_faces


@dataclass(frozen=True, slots=True)
class PersonSimilarity:
    """How similar a face is to a person.

    Attributes
    ----------
    person, name : str
        The printed id, and the name.
    cosine_similarity : float
        Similarity to the nearest of their prototypes (see `people prototypes`), without the face itself.
    nearest : list of (face, cosine similarity)
        Their most similar faces.
    """

    person: str
    name: str
    cosine_similarity: float
    nearest: list[tuple[int, float]]


def turning_point(
    about: PersonSimilarity | None, runner_up: PersonSimilarity | None, thresholds: dict[str, float]
) -> float | None:
    """Return the minimum similarity at which `assign` gives the face to the person."""
    if about is None:
        return None
    minimum = thresholds["assign"]
    if runner_up is not None:
        minimum = max(minimum, runner_up.cosine_similarity + thresholds["margin"])
    return round(minimum, 4)


def verdict_of(
    face: FaceRow,
    about: PersonSimilarity | None,
    runner_up: PersonSimilarity | None,
    turning: float | None,
    margin: float,
    *,
    bound: bool,
) -> str:
    """Return what would change the match, in a sentence."""
    if about is None or turning is None:
        return "It cannot be compared: it has no embedding, or there are no people to compare it with."
    if bound and face.assigned_by in {"manual", "constrained"}:
        return "You confirmed it; no similarity changes that."
    rival = f", because of {runner_up.name}" if runner_up and _by_rival(runner_up, turning, margin) else ""
    if about.cosine_similarity >= turning:
        return (
            f"`assign` gives it to {about.name}: similarity {about.cosine_similarity:.2f}, at least "
            f"{turning:.2f} needed{rival}."
        )
    return (
        f"`assign` does not give it to {about.name}: similarity {about.cosine_similarity:.2f}, at least "
        f"{turning:.2f} needed{rival}."
    )


def verdict_of_unassigned(connection: Connection, detector: DetectorRow, face: FaceRow, verdict: str) -> str:
    """Return the verdict about an unassigned face, with its quality if that is too low."""
    limits = library_norm_limits(connection, detector)
    clarity = quality_of_faces(connection, detector, np.array([face.id]), limits)[0]
    measured = limits is not None and np.isfinite(face.norm)
    if clarity == Clarity.NOTHING and limits is not None:
        return (
            f"Its quality is too low to recognise the person (norm {face.norm:.1f}, at least "
            f"{limits.joining:g} needed): it is not assigned and not suggested."
        )
    if clarity == Clarity.LITTLE:
        why = (
            f"norm {face.norm:.1f}, at least {limits.founding:g} needed"
            if measured and limits
            else "its pixels"
        )
        return f"{verdict} Its quality is too low for `cluster` to make a new person of it ({why})."
    return verdict


def _by_rival(runner_up: PersonSimilarity, turning: float, margin: float) -> bool:
    return round(runner_up.cosine_similarity + margin, 4) >= turning
