"""Find the k nearest neighbours of every face, or the nearest of some known vectors, exactly."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from facesets.clustering.engine import IN_PROCESS, Engine, on_all_cores
from facesets.clustering.graph import Block, Edges, OnProgress, searched_blocks
from facesets.clustering.vectors import (
    Embeddings,
    Float32,
    Int32,
    Int64,
    Rows,
    check_matrix,
    rows_of,
    unit_rows,
)

_SAMPLE_COLUMNS = 512
_SAMPLED_ROWS = 1024
_PENDING_PAIRS = 4_000_000
_PENDING_PAIRS_PER_ROW = 24
_MIN_SIMILARITY = np.float32(-1.5)
_EDGE_ROWS = 16_384
_SORTED_PARTS = 16
_BLOCK_ROWS = 4096
_BLOCK_REFERENCES = 4096


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The nearest other faces of each face, the nearest first.

    Attributes
    ----------
    index : int32 array of shape (n, k)
        Rows; -1 if there are fewer than k others.
    similarity : float32 array of shape (n, k)
        Cosine similarity; -inf if there is no neighbour.
    """

    index: Int32
    similarity: Float32

    def edges(self, *, min_cosine_similarity: float = -1.0, engine: Engine = IN_PROCESS) -> Edges:
        """Return each pair with one face a neighbour of the other, once, by its rows; held by the engine."""
        parts = [self._once(start, min_cosine_similarity) for start in range(0, len(self.index), _EDGE_ROWS)]
        count = sum(map(len, parts))
        i, j = (engine.empty((count,), np.int32) for _ in range(2))
        similarity = engine.empty((count,), np.float32)
        done, step = 0, max(_EDGE_ROWS, -(-len(self.index) // _SORTED_PARTS))
        # Sort some rows at a time, as sorting needs more memory than the sorted values.
        for start in range(0, len(self.index), step):
            some = Edges.concatenate(
                [each.take((each.i >= start) & (each.i < start + step)) for each in parts]
            )
            some = some.take(np.lexsort((some.j, some.i)))
            here = slice(done, done + len(some))
            i[here], j[here], similarity[here] = some.i, some.j, some.similarity
            done += len(some)
        return Edges(i, j, similarity)

    def _once(self, start: int, min_cosine_similarity: float) -> Edges:
        """Return the pairs of some rows with their neighbours, except those that the lower row also has."""
        index = np.asarray(self.index[start : start + _EDGE_ROWS])
        similarity = np.asarray(self.similarity[start : start + _EDGE_ROWS])
        i, place = np.nonzero((index >= 0) & (similarity >= min_cosine_similarity))
        j, similarity, i = index[i, place], similarity[i, place], (i + start).astype(np.int32)
        behind = np.flatnonzero(j < i)
        named = self.index[j[behind]] == i[behind, None]
        named &= self.similarity[j[behind]] >= min_cosine_similarity
        once = np.ones(len(i), bool)
        once[behind[named.any(axis=1)]] = False
        return Edges(np.minimum(i, j)[once], np.maximum(i, j)[once], similarity[once])


def knn_graph(embeddings: Embeddings, *, k: int, on_progress: OnProgress | None = None) -> Neighbours:
    """Find the k most similar other faces of every face.

    Every pair is multiplied once; of each block only entries that beat the k-th best seen so far are
    looked at, so that selecting costs little beside the products. Ties go to the lower row.

    Parameters
    ----------
    embeddings : float array of shape (n, d)
        Scaled to unit length if they are not. Rows of a memory map stay on disk.
    k : int
        At least 1.

    Raises
    ------
    ValueError
        When the embeddings are malformed (see `unit_rows`) or `k` is below 1.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, not {k}.")
    return nearest_rows(rows_of(embeddings), k, on_progress=on_progress)


def nearest_rows(rows: Rows, k: int, *, on_progress: OnProgress | None = None) -> Neighbours:
    """Run `knn_graph` on rows of unit length."""
    selection = NeighborSelection(sampled_bound(rows, k), k)
    for found in searched_blocks(rows, selection.candidates, on_progress=on_progress):
        selection.take(*found)
    return selection.neighbours()


class NeighborSelection:
    """The best k of each row so far, and pairs that may improve them.

    Attributes
    ----------
    bound : float32 array of shape (n,)
        What a pair must reach to be among a row's best.
    """

    def __init__(self, bound: Float32, k: int) -> None:
        self._index: Int32 = np.full((len(bound), k), -1, np.int32)
        self._similarity: Float32 = np.full((len(bound), k), -np.inf, np.float32)
        self.bound = bound
        self._pending: list[tuple[Int64 | Int32, Int64 | Int32, Float32]] = []
        self._pending_count = 0

    def candidates(self, block: Block) -> tuple[Edges, Edges]:
        """Find entries that beat the bounds of a block's rows, and those of its columns."""
        height, width = block.similarity.shape
        rows = self.bound[block.row : block.row + height, None]
        columns = self.bound[None, block.column : block.column + width]
        return (
            block.pairs(np.flatnonzero(block.similarity >= np.maximum(rows, _MIN_SIMILARITY))),
            block.pairs(np.flatnonzero(block.similarity >= np.maximum(columns, _MIN_SIMILARITY))),
        )

    def take(self, for_rows: Edges, for_columns: Edges) -> None:
        """Take the candidates of a block."""
        self.add(for_rows.i, for_rows.j, for_rows.similarity)
        self.add(for_columns.j, for_columns.i, for_columns.similarity)

    def add(self, i: Int64 | Int32, j: Int64 | Int32, similarity: Float32) -> None:
        """Take pairs of a row `i` and a neighbour `j`, none of them twice."""
        self._pending.append((i, j, similarity))
        self._pending_count += len(i)
        # Settling costs time, but raises the bounds, so that fewer pairs come in.
        if self._pending_count > min(_PENDING_PAIRS, _PENDING_PAIRS_PER_ROW * len(self.bound)):
            self._settle()

    def neighbours(self) -> Neighbours:
        """Return the best of all pairs taken; overwritten when more are taken."""
        self._settle()
        return Neighbours(self._index, self._similarity)

    def _settle(self) -> None:
        """Merge the pending pairs into the best k, and raise the bounds."""
        if not self._pending_count:
            return
        i = np.concatenate([pending[0] for pending in self._pending]).astype(np.int64)
        j = np.concatenate([pending[1] for pending in self._pending])
        similarity = np.concatenate([pending[2] for pending in self._pending])
        self._pending, self._pending_count = [], 0
        k = self._index.shape[1]
        touched = np.flatnonzero(np.bincount(i, minlength=len(self._index)))
        i = np.concatenate([np.repeat(touched, k), i])
        j = np.concatenate([self._index[touched].ravel(), j])
        similarity = np.concatenate([self._similarity[touched].ravel(), similarity])
        order = _best_first(i, j, similarity)
        i, j, similarity = i[order], j[order], similarity[order]
        starts = np.flatnonzero(np.r_[True, i[1:] != i[:-1]])
        best = starts[:, None] + np.arange(k)
        self._index[touched] = j[best]
        self._similarity[touched] = similarity[best]
        self.bound[touched] = np.maximum(self.bound[touched], self._similarity[touched, -1])


def _best_first(i: Int64, j: Int64, similarity: Float32) -> Int64:
    """Order pairs by row, then falling similarity, then neighbour."""
    bits = (similarity + np.float32(0.0)).view(np.int32).astype(np.int64)
    # Floats compare like their bits, but negative ones the wrong way round.
    falling = np.where(bits >= 0, 0x7FFFFFFF - bits, bits + 0x1_0000_0000)
    key = (i << 32) + falling
    order = np.argsort(key)
    ordered = key[order]
    if (ordered[1:] == ordered[:-1]).any():
        order = np.lexsort((j, key))
    return order


def sampled_bound(rows: Rows, k: int) -> Float32:
    """Estimate a lower bound of each row's k-th best similarity, from a sample of the others."""
    step = max(1, len(rows) // _SAMPLE_COLUMNS)
    sample = rows[::step]
    if len(sample) <= k + 1:
        return np.full(len(rows), -np.inf, np.float32)

    def of_rows(start: int) -> Float32:
        product = rows[start : start + _SAMPLED_ROWS] @ sample.T
        # One rank deeper than k, because a row may have met itself; and a little slack for rounding.
        product.partition(len(sample) - k - 1, axis=1)
        return product[:, len(sample) - k - 1] - np.float32(1e-5)

    return np.concatenate(list(on_all_cores(of_rows, range(0, len(rows), _SAMPLED_ROWS))))


class Matches(NamedTuple):
    """The nearest reference of each face.

    Attributes
    ----------
    reference : int64 array of shape (n,)
        Row of the reference; -1 when there are none.
    cosine_distance : float32 array of shape (n,)
        In [0, 2]; infinite when there are none.
    """

    reference: Int64
    cosine_distance: Float32


def nearest(embeddings: Embeddings, references: Embeddings) -> Matches:
    """Find for each face the reference with the least cosine distance; ties go to the lower row.

    Memory does not grow with the product of the two counts.

    Parameters
    ----------
    embeddings : float array of shape (n, d)
        Scaled to unit length if they are not.
    references : float array of shape (m, d)
        Centroids, exemplars or faces; scaled as well.

    Raises
    ------
    ValueError
        When either is malformed (see `unit_rows`) or their dimensions differ.
    """
    check_matrix(embeddings)
    check_matrix(references, name="references")
    if embeddings.shape[1] != references.shape[1]:
        raise ValueError(
            f"Embeddings with {embeddings.shape[1]} dimensions cannot be compared with "
            f"{references.shape[1]}-dimensional references: they come from different recognition models."
        )
    known = unit_rows(references, name="references")
    index = np.full(len(embeddings), -1, np.int64)
    similarity = np.full(len(embeddings), -np.inf, np.float32)
    for start in range(0, len(embeddings), _BLOCK_ROWS):
        span = slice(start, start + _BLOCK_ROWS)
        rows = unit_rows(embeddings[span])
        for first in range(0, len(known), _BLOCK_REFERENCES):
            product = rows @ known[first : first + _BLOCK_REFERENCES].T
            best = product.argmax(axis=1)
            value = product[np.arange(len(rows)), best]
            better = value > similarity[span]
            index[span] = np.where(better, best + first, index[span])
            similarity[span] = np.where(better, value, similarity[span])
    distance: Float32 = np.where(index >= 0, np.clip(1 - similarity, 0, 2), np.inf).astype(np.float32)
    return Matches(index, distance)
