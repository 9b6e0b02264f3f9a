"""Match faces to known people: by their prototypes, a threshold and a margin."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from statistics import NormalDist
from typing import TypeAlias

import numpy as np

from facesets.clustering.calibration import Calibration, rare
from facesets.clustering.engine import on_all_cores
from facesets.clustering.known_recognizers import KnownRecognizer
from facesets.clustering.people.incremental import PersonMatches, strongest
from facesets.clustering.vectors import Bool, Float32, Int64

NearPairs: TypeAlias = Callable[[Float32, float], tuple[Int64, Int64]]
"""Returns candidate pairs of unit rows and vectors above a similarity: it may return too many, never too
few.
"""

_BLOCK_COLUMNS = 8192
_PRODUCTS_AT_ONCE = 32_768
_EXEMPLAR_SLACK = 0.2
"""Maximum difference between a suggested face's similarity to an exemplar and that to the centroid."""

_MAX_REVIEWED = 3
"""Maximum people suggested for one face."""

_WRONG_SHARE = 5e-4
"""Maximum share of strangers' faces that may match some prototype well enough to be assigned."""

_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Cosine similarities that decide whether a face matches a person.

    Attributes
    ----------
    assign : float
        Above it a face is assigned to the most similar person,
    margin : float
        if the next one is at least this much less similar.
    review : float
        Above it an unassigned face becomes a suggestion.
    nearby : float
        Above this similarity to a person's centroid, a face is compared with their exemplars.
    """

    assign: float
    margin: float
    review: float
    nearby: float


def thresholds(assign: float, margin: float, review: float, known: KnownRecognizer) -> Thresholds:
    """Return the thresholds with the one that follows from them: which exemplars count."""
    review = min(review, assign)
    least = min(review, assign - margin)
    nearby = min(least, max(least - _EXEMPLAR_SLACK, rare(known.middle, known.spread)))
    return Thresholds(assign, margin, review, nearby)


def measured_threshold(measured: Calibration, prototypes: int) -> float:
    """Return the similarity that a stranger's face hardly ever has to one of `count` prototypes.

    The means of several faces are shorter than one face: similarities to their direction stray the more.
    """
    share = _WRONG_SHARE / max(1, prototypes)
    if measured.pairs is not None:
        return min(measured.pairs.reached_by(share), 1.0)
    above = NormalDist().inv_cdf(1.0 - share)
    chance = measured.middle + above * measured.spread / float(np.sqrt(measured.typical))
    return min(max(measured.link, chance), measured.core)


def usual_review(assign: float, known: KnownRecognizer) -> float:
    """Return the default similarity for a suggestion, given the threshold for a match."""
    return max(0.0, min(known.review, assign - (known.assign - known.review)))


def by_products(vectors: Float32) -> NearPairs:
    """Return a search for near ones of these vectors, by all products."""

    def near(rows: Float32, least: float) -> tuple[Int64, Int64]:
        found = [(np.empty(0, np.int64), np.empty(0, np.int64))]
        for start in range(0, len(vectors), _BLOCK_COLUMNS):
            product = rows @ vectors[start : start + _BLOCK_COLUMNS].T
            i, j = np.divmod(np.flatnonzero(product >= np.float32(least)), product.shape[1])
            found.append((i, start + j))
        row, vector = zip(*found, strict=True)
        return np.concatenate(row), np.concatenate(vector)

    return near


class KnownPeople:
    """Prototypes to compare faces with: centroids first, then the exemplars of near people."""

    def __init__(
        self,
        vectors: Float32,
        person: Int64,
        is_exemplar: Bool,
        *,
        search: Callable[[Float32], NearPairs] = by_products,
    ) -> None:
        """Take the prototypes of people 0, 1, ….

        Parameters
        ----------
        vectors : float32 array of shape (k, d)
            Of unit length.
        person : int64 array of shape (k,)
            Person of each, ascending.
        is_exemplar : bool array of shape (k,)
        search : callable
            Makes a search for near ones from the centroids.
        """
        self.people = int(person.max(initial=-1)) + 1
        has_centroid = np.zeros(self.people, bool)
        has_centroid[person[~is_exemplar]] = True
        # If faces cancel out, there is no centroid: their exemplars take its place.
        first = ~is_exemplar | ~has_centroid[person]
        self.centroids, self.owner = vectors[first], person[first]
        self._near_pairs = search(self.centroids)
        self.exemplars = vectors[~first]
        self.count = np.bincount(person[~first], minlength=self.people)
        self.start = np.cumsum(self.count) - self.count

    def similar(self, rows: Float32, limits: Thresholds) -> PersonMatches:
        """Find pairs of a face and a person that affect a decision, with their similarity.

        Parameters
        ----------
        rows : float32 array of shape (n, d)
            Of unit length.
        """
        found = self._near(rows, limits.nearby)
        better = self._with_exemplars(rows, found)
        least = min(limits.review, limits.assign - limits.margin) - _ROUNDING
        return better.of(better.similarity >= least)

    def _near(self, rows: Float32, least: float) -> PersonMatches:
        face, centroid = self._near_pairs(rows, least - _ROUNDING)
        similarity = _products(rows, face, self.centroids, centroid)
        near = similarity >= np.float32(least)
        return strongest(face[near], self.owner[centroid[near]], similarity[near], self.people)

    def _with_exemplars(self, rows: Float32, pairs: PersonMatches) -> PersonMatches:
        """Return the same pairs, each with the highest similarity to any prototype of the person."""
        similarity = pairs.similarity.copy()
        count = self.count[pairs.person]
        for part in _parts(count):
            repeats = count[part]
            pair = np.repeat(np.arange(part.start, part.stop), repeats)
            within = np.arange(len(pair)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
            exemplar = self.start[pairs.person[pair]] + within
            product = _products(rows, pairs.face[pair], self.exemplars, exemplar)
            np.maximum.at(similarity, pair, product)
        return PersonMatches(pairs.face, pairs.person, similarity)


def _products(rows: Float32, row: Int64, others: Float32, other: Int64) -> Float32:
    """Compute the similarity of each of some rows with one of the others."""
    product = np.empty(len(row), np.float32)
    for start in range(0, len(row), _PRODUCTS_AT_ONCE):
        part = slice(start, start + _PRODUCTS_AT_ONCE)
        np.einsum("ij,ij->i", rows[row[part]], others[other[part]], out=product[part])
    return product


def _parts(count: Int64) -> Iterator[slice]:
    """Yield runs of pairs that together have few exemplars."""
    ends = np.cumsum(count)
    start = done = 0
    while start < len(count):
        stop = max(start + 1, int(np.searchsorted(ends, done + _PRODUCTS_AT_ONCE, side="right")))
        yield slice(start, stop)
        start, done = stop, int(ends[stop - 1])


def similar_people(
    blocks: Iterable[tuple[Int64, Float32]], known: KnownPeople, limits: Thresholds
) -> Iterator[tuple[int, PersonMatches]]:
    """Compare faces with people on all cores, a block at a time.

    Parameters
    ----------
    blocks : iterable of (int64 array of shape (n,), float32 array of shape (n, d))
        Numbers of faces, and their vectors of unit length.

    Yields
    ------
    faces : int
        How many were compared.
    matches : PersonMatches
        By the numbers of the faces.
    """

    def compare(block: tuple[Int64, Float32]) -> tuple[int, PersonMatches]:
        numbers, rows = block
        found = known.similar(rows, limits)
        return len(numbers), PersonMatches(numbers[found.face], found.person, found.similarity)

    return on_all_cores(compare, blocks)


@dataclass(frozen=True, slots=True)
class AssignedPeople:
    """The people of some faces.

    Attributes
    ----------
    given : PersonMatches
        Faces that match a person, each once.
    review : PersonMatches
        For the others the people they may be: the most similar ones.
    """

    given: PersonMatches
    review: PersonMatches


def choose_people(
    matches: PersonMatches, image: Int64, limits: Thresholds, *, same_image_ok: bool = False
) -> AssignedPeople:
    """Assign each face to the person it is by far most similar to.

    Parameters
    ----------
    matches : PersonMatches
        Each pair once. Pairs that were ruled out are not among them.
    image : int64 array of shape (m,)
        The image of the face of each pair.
    same_image_ok : bool
        Two faces of one image may be assigned to one person. Otherwise the more similar one is, and the other
        stays unassigned.
    """
    order = np.lexsort((matches.person, -matches.similarity, matches.face))
    pairs, image = matches.of(order), image[order]
    if not len(pairs):
        return AssignedPeople(pairs, pairs)
    first = np.r_[True, np.diff(pairs.face) != 0]
    rank = np.arange(len(first)) - np.flatnonzero(first)[np.cumsum(first) - 1]
    next_one = np.r_[np.where(first[1:], -np.inf, pairs.similarity[1:]), -np.inf]
    sure = pairs.similarity - next_one >= limits.margin - _ROUNDING
    chosen = np.flatnonzero(first & sure & (pairs.similarity >= limits.assign - _ROUNDING))
    twice = np.empty(0, np.int64)
    if not same_image_ok:
        is_best = _best_of_image(pairs.of(chosen), image[chosen])
        chosen, twice = chosen[is_best], chosen[~is_best]
    given = pairs.of(chosen)
    # A person who is already in the photo by a more similar face is no suggestion.
    asked = (pairs.similarity >= limits.review - _ROUNDING) & (rank < _MAX_REVIEWED)
    asked &= ~np.isin(pairs.face, given.face)
    asked[twice] = False
    if not same_image_ok and len(given):
        taken = set(zip(image[chosen].tolist(), given.person.tolist(), strict=True))
        for at in np.flatnonzero(asked & np.isin(image, image[chosen])).tolist():
            asked[at] = (int(image[at]), int(pairs.person[at])) not in taken
    return AssignedPeople(given, pairs.of(asked))


def _best_of_image(pairs: PersonMatches, image: Int64) -> Bool:
    """Whether each pair is the most similar one of its image and person."""
    order = np.lexsort((pairs.face, -pairs.similarity, pairs.person, image))
    same = (np.diff(image[order]) == 0) & (np.diff(pairs.person[order]) == 0)
    best = np.zeros(len(order), bool)
    best[order] = np.r_[True, ~same][: len(order)]
    return best
