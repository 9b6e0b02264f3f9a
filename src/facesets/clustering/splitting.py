"""One person's faces in parts, where they may be several people's."""

from dataclasses import dataclass

import numpy as np

from facesets.clustering.agglomerative import average_linkage
from facesets.clustering.constraints import Constraints, Partners, as_pairs
from facesets.clustering.recognisers import recogniser_named
from facesets.clustering.vectors import Embeddings, Float32, Int64, unit_rows

_LINK_SHARE, _CORE_SHARE = 0.62, 0.81
"""As `cluster_auto` cuts: from where merging is right, to where faces are one person beyond doubt."""

_CUTS = 8
_LOOSEST, _TIGHTEST, _STEPS = 0.9, 1e-5, 30
"""Cosine distances to cut at for a given number of parts, the next always a third smaller."""


@dataclass(frozen=True, slots=True)
class FaceParts:
    """What faces fall into.

    Attributes
    ----------
    labels : int64 array of shape (n,)
        The largest part is 0; all are 0 where they hold together. -1 for a face that may be in none of them.
    min_cosine_similarity : float
        Mean similarity at which they fall apart; 0 where they do not.
    """

    labels: Int64
    min_cosine_similarity: float

    @property
    def count(self) -> int:
        """How many parts there are."""
        return int(self.labels.max(initial=0)) + 1


def split(
    embeddings: Embeddings,
    *,
    count: int | None = None,
    min_size: int = 3,
    constraints: Constraints | None = None,
    recogniser: str | None = None,
) -> FaceParts:
    """Average linkage, cut more and more tightly until the faces fall into several parts.

    Parameters
    ----------
    embeddings : float array of shape (n, d)
    count : int, optional
        How many parts; by default what the loosest cut gives at which there is more than one. Without it the
        cut is never tighter than where faces are one person beyond doubt.
    min_size : int
        Fewest faces of a part; smaller ones join the part whose mean they resemble most.
    constraints : Constraints, optional
        Faces that stay together, and those that do not share a part.
    recogniser : str, optional
        The file name of the network that made the embeddings.
    """
    known = constraints if constraints is not None else Constraints()
    rows = unit_rows(embeddings)
    if len(rows) < 2 * min_size or count == 1:
        return FaceParts(np.zeros(len(rows), np.int64), 0.0)
    typical = recogniser_named(recogniser).typical
    cuts = np.linspace(_LINK_SHARE * typical, _CORE_SHARE * typical, _CUTS)
    if count is not None:
        cuts = 1 - np.geomspace(_LOOSEST, _TIGHTEST, _STEPS)
    for cut in cuts.tolist():
        labels = average_linkage(rows, max_cosine_distance=1 - cut, constraints=known)
        large = int((np.bincount(labels) >= min_size).sum())
        if large >= (count or 2):
            return FaceParts(_joined(rows, labels, count or large, known), round(cut, 4))
    return FaceParts(np.zeros(len(rows), np.int64), 0.0)


def _joined(rows: Float32, labels: Int64, count: int, known: Constraints) -> Int64:
    """Let the clusters after the first `count` join the one that they resemble most, as far as they may."""
    partners = Partners.of_pairs(as_pairs(known.cannot_link), len(rows))
    means = np.stack([rows[labels == part].mean(axis=0) for part in range(count)])
    parts = np.where(labels < count, labels, -1)
    for small in range(count, int(labels.max()) + 1):
        members = np.flatnonzero(labels == small)
        barred = {int(parts[other]) for face in members.tolist() for other in partners.of(face).tolist()}
        order = np.argsort(-(means @ rows[members].mean(axis=0)), kind="stable").tolist()
        parts[members] = next((part for part in order if part not in barred), -1)
    return parts


def distances_between(embeddings: Float32, labels: Int64) -> Float32:
    """Cosine distance of the mean of each part to that of each other: shape (parts, parts)."""
    parts = int(labels.max(initial=-1)) + 1
    means = np.stack([embeddings[labels == part].mean(axis=0) for part in range(parts)])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    distances: Float32 = (1 - means @ means.T).astype(np.float32)
    return distances
