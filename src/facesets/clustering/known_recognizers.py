"""Calibrations of recognizers that were measured in advance.

If there are too few faces to measure, these values replace measured ones. `scripts/benchmarks/recognizer.py`
measures them, on faces whose people are known.
"""

import math
from dataclasses import dataclass
from pathlib import PurePath
from statistics import NormalDist


@dataclass(frozen=True, slots=True)
class PairModel:
    """Distribution of the similarity of two faces. All are cosine similarities.

    Attributes
    ----------
    mean, spread : float
        Of pairs of one person's faces, which are taken as normally distributed.
    reached : float
        The similarity that one in a hundred pairs of strangers reaches.
    decay : float
        Similarity over which their share falls to 1/e beyond it.
    """

    mean: float
    spread: float
    reached: float
    decay: float

    def one_person(self, similarity: float) -> tuple[float, float]:
        """Return the share of one person's pairs that reach a similarity, and their density there."""
        normal = NormalDist(self.mean, self.spread)
        return 1.0 - normal.cdf(similarity), normal.pdf(similarity)

    def strangers(self, similarity: float) -> tuple[float, float]:
        """Return the same for strangers' pairs, beyond the similarity that few of them reach."""
        share = _FEW_STRANGERS * math.exp((self.reached - similarity) / self.decay)
        return share, share / self.decay

    def reached_by(self, share: float) -> float:
        """Return the similarity that this share of strangers' pairs reaches."""
        return self.reached - self.decay * math.log(share / _FEW_STRANGERS)


_FEW_STRANGERS = 0.01


@dataclass(frozen=True, slots=True)
class NormLimits:
    """Minimum norms of faces: lengths of embeddings before they are scaled to 1.

    Attributes
    ----------
    founding : float
        Faces below it make no new person.
    joining : float
        Faces below it are assigned to no person, and are no reference faces.
    """

    founding: float
    joining: float


@dataclass(frozen=True, slots=True)
class KnownRecognizer:
    """Measured values of a recognizer. All are cosine similarities.

    Attributes
    ----------
    typical : float
        Mean similarity inside a typical person.
    middle, spread : float
        Median and standard deviation of the similarities of strangers.
    pairs : PairModel, optional
        Given if only the mean similarity of pairs separates people. Mean vectors then draw in
        strangers, and what is measured without labels misleads: these values are taken as they are.
    merge_max_cosine_distance : float
        Up to which the centroids of two clusters belong to one person.
    max_from_centroid : float
        Cosine distance from a person's centroid beyond which faces may well be strangers'.
    neighbour_cosine_distance : float
        Up to which two faces count as neighbours where chains of neighbours are people.
    assign, review : float
        Similarity to one of a person's prototypes above which a face is theirs, and above which it is
        a suggestion.
    source : str
        Where these come from, in words.
    is_sure : bool
        Whether it was measured, and not merely assumed.
    norm_limits : NormLimits, optional
        As measured; without, they are measured on the faces at hand.
    norm_is_informative : bool
        Whether embeddings are longer before they are scaled, the more a face shows.
    """

    typical: float
    middle: float
    spread: float
    source: str
    is_sure: bool = True
    pairs: PairModel | None = None
    merge_max_cosine_distance: float = 0.40
    max_from_centroid: float = 0.55
    neighbour_cosine_distance: float = 0.50
    assign: float = 0.6
    review: float = 0.5
    norm_limits: NormLimits | None = None
    norm_is_informative: bool = True


ARCFACE = KnownRecognizer(0.6, 0.01, 0.065, "typical for ArcFace", is_sure=False)
"""For unmeasured recognizers: those trained with ArcFace's loss differ little from each other."""

_MEASURED = {
    "w600k_mbf": KnownRecognizer(
        0.6,
        0.014,
        0.067,
        "measured for w600k_mbf on news photos",
        norm_limits=NormLimits(founding=16.0, joining=14.0),
    ),
    "dlib_resnet": KnownRecognizer(
        0.613,
        0.175,
        0.07,
        "measured for the open pack on news photos",
        pairs=PairModel(mean=0.636, spread=0.102, reached=0.376, decay=0.0354),
        merge_max_cosine_distance=0.30,
        max_from_centroid=0.40,
        neighbour_cosine_distance=0.38,
        assign=0.65,
        review=0.55,
        norm_is_informative=False,
    ),
}


def known_recognizer(file_name: str | None) -> KnownRecognizer:
    """Return the values of the network in a file of that name; for an unknown one, the defaults."""
    return _MEASURED.get(PurePath(file_name or "").stem, ARCFACE)
