"""At which similarity two faces are one person: measured on the faces themselves.

Recognisers differ in what a similarity means. Two things can be seen without labels: how similar the
faces of one person typically are, from clusters that are certain, and how similar strangers are, from
random pairs, or from faces that share an image.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from facesets.clustering.agglomerative import merge_groups
from facesets.clustering.centroids import coherence
from facesets.clustering.constraints import Constraints, resolve
from facesets.clustering.labels import numbered
from facesets.clustering.neighbors import Edges, edge_chunks, pair_similarities
from facesets.clustering.same_image import same_image_pairs
from facesets.clustering.vectors import Embeddings, Float32, Float64, Int64, canonical_order, unit_rows

ARCFACE_TYPICAL_SIMILARITY = 0.6
"""Of faces of one person; InsightFace's w600k recognisers on news photos."""

_SAMPLE_FACES = 8000
_SAMPLE_PAIRS = 400_000
_CORE_SHARE = 0.81
_LINK_SHARE = 0.62
_SEVERAL_SHARE = 0.59
_LOOSE_SHARE = 0.5
_LEAST_CUT = 0.25
_MOST_STRANGERS = 0.9
_LEAST_CLUSTERS = 8
_LEAST_MEMBERS = 5
_LEAST_IMAGE_PAIRS = 300


@dataclass(frozen=True, slots=True)
class Calibration:
    """What similarities mean here. All are cosine similarities.

    Attributes
    ----------
    typical : float
        Mean similarity inside a typical person.
    strangers : float
        Rarely do two strangers' faces reach this.
    source : str
        What it was measured on, in words.
    """

    typical: float
    strangers: float
    source: str

    @property
    def core(self) -> float:
        """Mean similarity at which faces are one person beyond doubt."""
        return max(_CORE_SHARE * self.typical, self.strangers)

    @property
    def link(self) -> float:
        """Mean similarity from which merging is right more often than wrong."""
        return max(_LINK_SHARE * self.typical, self.strangers)

    @property
    def several(self) -> float:
        """The same for clusters of several faces."""
        return max(_SEVERAL_SHARE * self.typical, self.strangers)

    @property
    def loose(self) -> float:
        """Mean similarity at which junk gathers, well below where people may be merged."""
        return _LOOSE_SHARE * self.typical

    @property
    def coherent(self) -> float:
        """Least mean similarity inside a cluster of many faces that is one person."""
        return 0.7 * self.typical

    @property
    def satellite(self) -> float:
        """Similarity of centroids at which a loose cluster is a person's poor photos."""
        return max(0.9 * self.typical, self.strangers)

    @property
    def max_cosine_distance(self) -> float:
        """The cut for average linkage."""
        return 1.0 - self.link


def calibrate(embeddings: Embeddings, *, image_index: ArrayLike | None = None) -> Calibration:
    """Measure what similarities mean among these faces, without labels.

    Parameters
    ----------
    embeddings : float array of shape (n, d)
        Scaled to unit length if they are not.
    image_index : integers of shape (n,), optional
        The image of each face: pairs in one image are strangers for certain.

    Returns
    -------
    Calibration
        With the values of ArcFace where the faces tell too little.

    Raises
    ------
    ValueError
        When the embeddings are malformed (see `unit_rows`).
    """
    order = canonical_order(embeddings)
    step = max(1, -(-len(order) // _SAMPLE_FACES))
    rows = unit_rows(embeddings, order[::step])
    strangers, source = _strangers(rows), "random pairs"
    if image_index is not None:
        pairs = same_image_pairs(embeddings, image_index).cannot_link
        if len(pairs) >= _LEAST_IMAGE_PAIRS:
            strangers = max(strangers, _in_one_image(embeddings, pairs))
            source = f"random pairs and {len(pairs)} pairs in one image"
    typical = _typical(rows, min(max(_LEAST_CUT, strangers), _MOST_STRANGERS))
    if typical is None:
        return Calibration(ARCFACE_TYPICAL_SIMILARITY, min(strangers, 0.5), "ArcFace's values")
    return Calibration(typical, min(strangers, _CORE_SHARE * typical), f"{source}, certain clusters")


def _strangers(rows: Float32) -> float:
    """How similar random pairs rarely are."""
    if len(rows) < 2:
        return -1.0
    rng = np.random.default_rng(0)
    i, j = rng.integers(0, len(rows), (2, _SAMPLE_PAIRS // 4))
    apart = i != j
    similarity = pair_similarities(rows, i[apart], j[apart])
    return _rare(similarity)


def _rare(similarity: Float64) -> float:
    """What only one in ten thousand reaches, told from the bulk: the top may be no strangers."""
    median = float(np.median(similarity))
    return median + 4 * 1.4826 * float(np.median(np.abs(similarity - median)))


def _in_one_image(embeddings: Embeddings, pairs: Int64) -> float:
    used, place = np.unique(pairs[:_SAMPLE_PAIRS], return_inverse=True)
    place = place.reshape(-1, 2)
    similarity = pair_similarities(unit_rows(embeddings, used), place[:, 0], place[:, 1])
    # By their bulk as well: the top are relatives, and collages that passed for two people.
    return _rare(similarity)


def _typical(rows: Float32, lowest: float) -> float | None:
    """Mean similarity inside the median cluster, found at a cut that follows from itself."""
    chunks = [c for c in edge_chunks(rows, min_cosine_similarity=lowest) if len(c)]
    edges = Edges.concatenate(chunks)
    alone = resolve(Constraints(), len(rows))
    typical = None
    cut = max(lowest, _CORE_SHARE * ARCFACE_TYPICAL_SIMILARITY)
    for _ in range(6):
        labels = numbered(merge_groups(rows.copy(), alone, edges, cut))
        size, inside = coherence(rows, labels)
        judged = inside[size >= _LEAST_MEMBERS]
        if len(judged) < _LEAST_CLUSTERS:
            return typical
        typical = float(np.median(judged))
        if abs(_CORE_SHARE * typical - cut) < 0.01:
            break
        cut = max(lowest, _CORE_SHARE * typical)
    return typical
