"""Labels of clusters: how they are numbered, and how well they agree with the truth.

The same partition always gets the same labels.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facesets.clustering.vectors import Bool, Float64, Int64

NOISE = -1


def numbered(labels: ArrayLike) -> Int64:
    """Number clusters 0, 1, … by falling size, ties by smallest member.

    Parameters
    ----------
    labels : integers of shape (n,)
        Any numbers; negative ones are noise.

    Returns
    -------
    int64 array of shape (n,)
        The same partition. Noise is -1.
    """
    given = as_labels(labels)
    _, first, inverse, counts = np.unique(given, return_index=True, return_inverse=True, return_counts=True)
    is_noise = given[first] < 0
    order = np.lexsort((first, -counts, is_noise))
    number = np.empty(len(order), np.int64)
    number[order] = np.arange(len(order))
    number[is_noise] = NOISE
    return number[inverse]


def as_labels(labels: ArrayLike) -> Int64:
    """Return labels as an int64 array.

    Raises
    ------
    ValueError
        When they are not a row of integers.
    """
    given: NDArray[Any] = np.asarray(labels)
    if given.ndim != 1 or (given.size and not np.issubdtype(given.dtype, np.integer)):
        raise ValueError("labels must be a one-dimensional array of integers.")
    return given.astype(np.int64)


def check_labels(labels: ArrayLike, count: int) -> Int64:
    """Return labels as int64, one a face.

    Raises
    ------
    ValueError
        When they are not integers or not as many as the faces.
    """
    given = as_labels(labels)
    if len(given) != count:
        raise ValueError(f"There are {len(given)} labels for {count} faces.")
    return given


def in_callers_order(labels: Int64, order: Int64) -> Int64:
    """Number labels of rows taken in `order`, and return them in the caller's order."""
    placed = np.empty(len(labels), np.int64)
    placed[order] = labels
    return numbered(placed)


def singletons_as_noise(labels: Int64, *, min_size: int = 2) -> Int64:
    """Give the members of clusters smaller than `min_size` the label -1."""
    given = numbered(labels)
    small: Bool = cluster_sizes(given)[given] < min_size
    return numbered(np.where((given < 0) | small, NOISE, given))


def cluster_sizes(labels: Int64) -> Int64:
    """Count the members of clusters 0, 1, …; noise is not counted, and has an entry 0 at the end.

    The last entry makes `cluster_sizes(labels)[labels]` valid for the label -1 as well.
    """
    sizes = np.bincount(labels[labels >= 0], minlength=int(labels.max(initial=-1)) + 1)
    return np.append(sizes, 0).astype(np.int64)


@dataclass(frozen=True, slots=True)
class Scores:
    """Agreement of a clustering with the truth; all but counts in [0, 1], 1 is best.

    Attributes
    ----------
    pairwise_precision, pairwise_recall, pairwise_f1 : float
        Over pairs of faces: of those together, how many belong together, and the reverse.
    bcubed_precision, bcubed_recall, bcubed_f1 : float
        The same, averaged over faces, so that large people do not decide alone.
    normalized_mutual_information : float
        With the arithmetic mean of the entropies; then it equals the V-measure.
    clusters, people, faces, noise : int
        `clusters` counts each noise face as its own cluster.
    """

    pairwise_precision: float
    pairwise_recall: float
    pairwise_f1: float
    bcubed_precision: float
    bcubed_recall: float
    bcubed_f1: float
    homogeneity: float
    completeness: float
    v_measure: float
    normalized_mutual_information: float
    clusters: int
    people: int
    faces: int
    noise: int


def evaluate(labels: ArrayLike, truth: ArrayLike) -> Scores:
    """Compare labels with the truth.

    Parameters
    ----------
    labels : integers of shape (n,)
        Each face with a negative label (noise) counts as a cluster of its own.
    truth : array of shape (n,)
        Names or numbers of people; any type that numpy can sort.

    Raises
    ------
    ValueError
        When the two differ in length or labels are not integers.

    References
    ----------
    Amigó et al., "A comparison of extrinsic clustering evaluation metrics", Information Retrieval, 2009
    (BCubed); Rosenberg & Hirschberg, "V-Measure", EMNLP 2007.
    """
    given = as_labels(labels)
    people: NDArray[Any] = np.asarray(truth)
    if people.shape != given.shape:
        raise ValueError(f"There are {len(given)} labels for {people.size} faces with a known person.")
    table = _contingency(_noise_apart(given), people)
    precision, recall = table.pairwise()
    bcubed_precision, bcubed_recall = table.bcubed()
    homogeneity, completeness = table.homogeneity_and_completeness()
    v_measure = _harmonic(homogeneity, completeness)
    return Scores(
        pairwise_precision=precision,
        pairwise_recall=recall,
        pairwise_f1=_harmonic(precision, recall),
        bcubed_precision=bcubed_precision,
        bcubed_recall=bcubed_recall,
        bcubed_f1=_harmonic(bcubed_precision, bcubed_recall),
        homogeneity=homogeneity,
        completeness=completeness,
        v_measure=v_measure,
        normalized_mutual_information=v_measure,
        clusters=len(table.cluster_size),
        people=len(table.person_size),
        faces=len(given),
        noise=int((given < 0).sum()),
    )


def _noise_apart(labels: Int64) -> Int64:
    apart = labels.copy()
    noise = np.flatnonzero(labels < 0)
    apart[noise] = labels.max(initial=-1) + 1 + np.arange(len(noise))
    return apart


@dataclass(frozen=True, slots=True)
class _Contingency:
    """Counts of faces by cluster and person, where there are any."""

    cluster: Int64
    person: Int64
    shared: Float64
    cluster_size: Float64
    person_size: Float64

    def pairwise(self) -> tuple[float, float]:
        together = _pairs(self.shared).sum()
        in_clusters, in_people = _pairs(self.cluster_size).sum(), _pairs(self.person_size).sum()
        # No pair was claimed (or due), so none was wrong (or missed).
        precision = together / in_clusters if in_clusters else 1.0
        return float(precision), float(together / in_people if in_people else 1.0)

    def bcubed(self) -> tuple[float, float]:
        faces = self.shared.sum()
        if not faces:
            return 1.0, 1.0
        squared = self.shared**2
        precision = (squared / self.cluster_size[self.cluster]).sum() / faces
        return float(precision), float((squared / self.person_size[self.person]).sum() / faces)

    def homogeneity_and_completeness(self) -> tuple[float, float]:
        by_person, by_cluster = _entropy(self.person_size), _entropy(self.cluster_size)
        mutual = by_person + by_cluster - _entropy(self.shared)
        homogeneity = mutual / by_person if by_person else 1.0
        completeness = mutual / by_cluster if by_cluster else 1.0
        return min(1.0, max(0.0, homogeneity)), min(1.0, max(0.0, completeness))


def _contingency(labels: Int64, people: NDArray[Any]) -> _Contingency:
    clusters, cluster = np.unique(labels, return_inverse=True)
    names, person = np.unique(people, return_inverse=True)
    keys, shared = np.unique(cluster * max(1, len(names)) + person, return_counts=True)
    of_cluster, of_person = np.divmod(keys, max(1, len(names)))
    return _Contingency(
        of_cluster,
        of_person,
        shared.astype(np.float64),
        np.bincount(cluster, minlength=len(clusters)).astype(np.float64),
        np.bincount(person, minlength=len(names)).astype(np.float64),
    )


def _pairs(sizes: Float64) -> Float64:
    pairs: Float64 = sizes * (sizes - 1) / 2
    return pairs


def _entropy(sizes: Float64) -> float:
    share = sizes / max(1.0, float(sizes.sum()))
    return float(-(share * np.log(share)).sum())


def _harmonic(a: float, b: float) -> float:
    return 2 * a * b / (a + b) if a + b else 0.0
