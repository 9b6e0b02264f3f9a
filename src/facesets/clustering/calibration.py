"""The similarity at which two faces are one person, measured on the faces themselves.

Recognizers differ in what a similarity means. Two things can be seen without labels: how similar the faces of
one person typically are, from clusters that are certain, and how similar strangers are, from random pairs, or
from faces that share an image. If the faces are too few to tell, known values of the recognizer decide.
"""

from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from facesets.clustering.average_linkage import merge_groups
from facesets.clustering.centroids import coherence
from facesets.clustering.constraints import Constraints, resolve, same_image_pairs
from facesets.clustering.graph import Edges, edge_chunks, pair_similarities
from facesets.clustering.known_recognizers import ARCFACE, KnownRecognizer, PairModel, known_recognizer
from facesets.clustering.labels import numbered
from facesets.clustering.vectors import Embeddings, Float32, Float64, Int64, canonical_order, unit_rows

_SAMPLE_FACES = 8000
_CORE_SHARE = 0.81
_LINK_SHARE = 0.62
_SEVERAL_SHARE = 0.59
_LOOSE_SHARE = 0.5
_CONFUSED_SHARE = 0.02
"""Maximum share of single faces that resemble some stranger enough to be linked by chance."""

_SEVERAL_SPREAD = 0.75
"""Mean vectors of several faces are shorter than one face's, so their products spread less by this factor."""

_MAX_STRANGERS = 0.9
_MIN_FACES = 50
_IN_NO_IMAGE = np.empty((0, 2), np.int64)
_MIN_CLUSTERS = 8
_MIN_MEMBERS = 5
_MIN_IMAGE_PAIRS = 300
_RARE_SPREADS = 4.0
_SAMPLE_PAIRS = 100_000
_IMAGE_PAIRS = 400_000
_HALVINGS = 2


def usual_link(recognizer: str | None) -> float:
    """Return the similarity above which two faces are rather one person than two, for a recognizer.

    Parameters
    ----------
    recognizer : str or None
        The file name of the network that made the embeddings.
    """
    return round(_LINK_SHARE * known_recognizer(recognizer).typical, 2)


@dataclass(frozen=True, slots=True)
class Calibration:
    """The meaning of similarities among some faces. All are cosine similarities.

    Attributes
    ----------
    typical : float
        Mean similarity inside a typical person.
    middle, spread : float
        Of the similarities of strangers: their median and standard deviation.
    faces : int
        How many there are: the more strangers, the more similar is the most similar of them.
    source : str
        What it was measured on, or taken from, in words.
    pairs : PairModel, optional
        Given where the recognizer's mean vectors mislead (see `KnownRecognizer`).
    """

    typical: float
    middle: float
    spread: float
    faces: int
    source: str
    pairs: PairModel | None = None

    @classmethod
    def linking_at(cls, link: float, middle: float, spread: float, faces: int) -> "Calibration":
        """Calibrate for a known mean similarity above which merging is right."""
        return cls(link / _LINK_SHARE, middle, spread, faces, "predefined")

    @property
    def strangers(self) -> float:
        """Return the similarity that two strangers' faces rarely reach."""
        return min(rare(self.middle, self.spread), self.core)

    @property
    def core(self) -> float:
        """Return the mean similarity at which faces are certainly one person."""
        return _CORE_SHARE * self.typical

    @property
    def link(self) -> float:
        """Return the mean similarity above which merging is right more often than wrong."""
        return max(_LINK_SHARE * self.typical, min(self.chance, self.core))

    @property
    def several(self) -> float:
        """Return the same for clusters of several faces."""
        if self.pairs is not None:
            return self.link
        chance = self.middle + _SEVERAL_SPREAD * (self.chance - self.middle)
        return max(_SEVERAL_SHARE * self.typical, min(chance, self.core))

    @property
    def loose(self) -> float:
        """Return the mean similarity at which junk gathers, well below where people may be merged."""
        return _LOOSE_SHARE * self.typical

    @property
    def coherent(self) -> float:
        """Return the minimum mean similarity inside a cluster of many faces that is one person."""
        return 0.7 * self.typical

    @property
    def satellite(self) -> float:
        """Return the similarity of centroids at which a loose cluster is a person's poor photos."""
        return 0.9 * self.typical

    @property
    def offset(self) -> bool:
        """Whether even strangers resemble each other, as all vectors have something in common."""
        return self.middle >= rare(ARCFACE.middle, ARCFACE.spread)

    @property
    def max_cosine_distance(self) -> float:
        """Return the cut for average linkage."""
        return 1.0 - self.link

    @property
    def chance(self) -> float:
        """Return the similarity to a face that the nearest of this many strangers rarely has."""
        above = NormalDist().inv_cdf(1.0 - _CONFUSED_SHARE / max(2, self.faces))
        return self.middle + above * self.spread


def calibrate(
    embeddings: Embeddings, *, image_index: ArrayLike | None = None, recognizer: str | None = None
) -> Calibration:
    """Calibrate similarities on these faces, without labels.

    Parameters
    ----------
    embeddings : float array of shape (n, d)
        Scaled to unit length if they are not.
    image_index : integers of shape (n,), optional
        The image of each face: pairs in one image are strangers for certain.
    recognizer : str, optional
        The file name of the network that made the embeddings. If the faces tell too little, what was
        measured of it elsewhere takes their place; of an unknown one, the values of ArcFace.

    Raises
    ------
    ValueError
        When the embeddings are malformed (see `unit_rows`).
    """
    known = known_recognizer(recognizer)
    order = canonical_order(embeddings)
    if known.pairs is not None:
        return Calibration(
            known.typical, known.middle, known.spread, len(order), known.source, pairs=known.pairs
        )
    step = max(1, -(-len(order) // _SAMPLE_FACES))
    rows = unit_rows(embeddings, order[::step])
    middle, spread, seen = _strangers(rows, embeddings, image_index, known)
    measured = Calibration(known.typical, middle, spread, len(order), seen)
    typical = _typical(rows, measured)
    if typical is not None:
        return replace(measured, typical=typical, source=f"{seen}, certain clusters")
    unseen = f"{known.source}: too few people with several faces to measure it here"
    if _may_be_strangers(middle, known) and seen != known.source:
        return replace(measured, source=f"{seen}; one person's faces {unseen}")
    return replace(measured, middle=known.middle, spread=known.spread, source=unseen)


def _strangers(
    rows: Float32, embeddings: Embeddings, image_index: ArrayLike | None, known: KnownRecognizer
) -> tuple[float, float, str]:
    """Return middle and spread of strangers' similarities, and what they were measured on."""
    if len(rows) < _MIN_FACES:
        return known.middle, known.spread, known.source
    middle, spread = bulk(random_similarities(rows))
    seen = "measured on random pairs"
    certain = _IN_NO_IMAGE if image_index is None else same_image_pairs(embeddings, image_index).cannot_link
    if len(certain) >= _MIN_IMAGE_PAIRS:
        together = bulk(_similarities_of(embeddings, certain))
        if not _may_be_strangers(middle, known) or rare(*together) > rare(middle, spread):
            middle, spread = together
        seen = f"{seen} and {len(certain)} pairs in one image"
    if known.is_sure and not _may_be_strangers(middle, known):
        return known.middle, known.spread, known.source
    return middle, spread, seen


def _may_be_strangers(middle: float, known: KnownRecognizer) -> bool:
    """Whether most pairs may be strangers; if nearly all faces are one person's, they are not."""
    return middle < rare(known.middle, known.spread)


def _typical(rows: Float32, measured: Calibration) -> float | None:
    """Return the mean similarity inside the median cluster, at a cut that follows from itself."""
    lowest = min(rare(measured.middle, measured.spread), _MAX_STRANGERS)
    edges = Edges.concatenate(edge_chunks(rows, min_cosine_similarity=lowest))
    alone = resolve(Constraints(), len(rows))
    typical = None
    cut = min(measured.chance, _MAX_STRANGERS)
    for _ in range(8):
        labels = numbered(merge_groups(rows.copy(), alone, edges, cut))
        size, inside = coherence(rows, labels)
        judged = inside[size >= _MIN_MEMBERS]
        if len(judged) < _MIN_CLUSTERS:
            return typical
        typical = float(np.median(judged))
        if abs(_CORE_SHARE * typical - cut) < 0.01:
            break
        cut = max(lowest, _CORE_SHARE * typical)
    return typical


def bulk(similarity: Float64) -> tuple[float, float]:
    """Find where similarities are densest, and how far they spread below; those above may be one person's.

    Returns
    -------
    middle, spread : float
        Median and standard deviation of the strangers' similarities, if most of them are strangers'. The
        middle is that of the shortest half of the shortest half.

    References
    ----------
    Rousseeuw and Leroy, "Robust regression and outlier detection", 1987 (the shortest half).
    """
    ordered = np.sort(similarity)
    dense = ordered
    for _ in range(_HALVINGS):
        half = (len(dense) + 1) // 2
        start = int((dense[half - 1 :] - dense[: len(dense) - half + 1]).argmin())
        dense = dense[start : start + half]
    middle = float(dense.mean())
    return middle, 1.4826 * float(np.median(middle - ordered[ordered <= middle]))


def rare(middle: float, spread: float) -> float:
    """Return the similarity that two strangers' faces rarely reach."""
    return middle + _RARE_SPREADS * spread


def random_similarities(rows: Float32, image: Int64 | None = None) -> Float64:
    """Compute cosine similarities of random pairs of unit rows, of different images if these are given (n,).

    Empty if there is no pair.
    """
    if len(rows) < 2:
        return np.empty(0)
    i, j = np.random.default_rng(0).integers(0, len(rows), (2, _SAMPLE_PAIRS))
    apart = i != j if image is None else image[i] != image[j]
    return pair_similarities(rows, i[apart], j[apart])


def _similarities_of(embeddings: Embeddings, pairs: Int64) -> Float64:
    """Compute cosine similarities of pairs of rows, of at most the first 400 000."""
    used, place = np.unique(pairs[:_IMAGE_PAIRS], return_inverse=True)
    place = place.reshape(-1, 2)
    return pair_similarities(unit_rows(embeddings, used), place[:, 0], place[:, 1])


def without_offset(embeddings: Embeddings) -> Float32:
    """Return the embeddings, of unit length, without their common part: the mean."""
    order = canonical_order(embeddings)
    rows = unit_rows(embeddings, order)
    # Summed in an order that does not depend on the caller's.
    rows -= rows.mean(axis=0, dtype=np.float64).astype(np.float32)
    rows[order] = rows.copy()
    return rows
