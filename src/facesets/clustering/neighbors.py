"""Who is near whom: exact graphs from blocked matrix products.

A product of two blocks of rows is the only expensive step. Each pair of faces is multiplied once (the
matrix is symmetric), and a block stays in the processor's cache while it is searched.
"""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product as all_combinations
from typing import Self, TypeVar

import numpy as np

from facesets.clustering.parallel_blas import on_all_cores
from facesets.clustering.vectors import (
    SIMILARITY_RESOLUTION,
    Bool,
    Embeddings,
    Float32,
    Float64,
    Int32,
    Int64,
    Rows,
    check_cosine_similarity,
    rows_of,
)

OnProgress = Callable[[int, int], None]
"""Called with the steps done and the steps in all."""

_BLOCK_ROWS = 512
_BLOCK_COLUMNS = 2048
"""A multiple of `_BLOCK_ROWS`, so that a block that meets the diagonal starts on it."""
_LOADED_ROWS = 8192
_NOT_A_PAIR = np.float32(-2.0)

_Found = TypeVar("_Found")


@dataclass(frozen=True, slots=True)
class Edges:
    """Pairs of faces, each once.

    Attributes
    ----------
    i, j : int32 arrays of shape (m,)
        Rows; i < j.
    similarity : float32 array of shape (m,)
        Cosine similarity.
    """

    i: Int32
    j: Int32
    similarity: Float32

    def __len__(self) -> int:
        return len(self.i)

    def take(self, which: Bool | Int64) -> Self:
        """Some of the pairs."""
        return type(self)(self.i[which], self.j[which], self.similarity[which])

    def span(self, start: int, stop: int) -> Self:
        """A run of the pairs, not copied."""
        return type(self)(self.i[start:stop], self.j[start:stop], self.similarity[start:stop])

    @classmethod
    def empty(cls) -> Self:
        """No pairs."""
        return cls(np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.float32))

    @classmethod
    def concatenate(cls, parts: list[Self]) -> Self:
        """The pairs of all parts."""
        if not parts:
            return cls.empty()
        return cls(
            np.concatenate([part.i for part in parts]),
            np.concatenate([part.j for part in parts]),
            np.concatenate([part.similarity for part in parts]),
        )


@dataclass(frozen=True, slots=True)
class Block:
    """The similarities of some rows with some columns; overwritten by a later block.

    Entries that are no pair (a face with itself, or the mirrored half) are -2.
    """

    row: int
    column: int
    similarity: Float32

    def pairs(self, which: Int64) -> Edges:
        """The entries at these places of the raveled block."""
        i, j = np.divmod(which, self.similarity.shape[1])
        return Edges(
            (i + self.row).astype(np.int32),
            (j + self.column).astype(np.int32),
            self.similarity.ravel()[which],
        )


@dataclass(frozen=True, slots=True)
class _Factors:
    row: int
    column: int
    left: Float32
    right: Float32


def searched_blocks(
    rows: Rows,
    search: Callable[[Block], _Found],
    *,
    chosen: Callable[[int, int], bool] | None = None,
    on_progress: OnProgress | None = None,
) -> Iterator[_Found]:
    """Multiply the upper half of `rows @ rows.T` in blocks, and yield what a search finds in each, in order.

    Rows on disk are read a few thousand at a time, and each about once for every 8192 faces.

    Parameters
    ----------
    rows : float32 array of shape (n, d), or UnitRows
        Unit length.
    search : callable
        Runs in threads, so that it must change nothing shared; and keeps nothing of the block.
    chosen : callable, optional
        Given the numbers of a block among those of its rows and of its columns, whether it is wanted.
    on_progress : callable, optional
    """
    own = threading.local()

    def find(factors: _Factors) -> _Found:
        if not hasattr(own, "buffer"):
            own.buffer = np.empty(_BLOCK_ROWS * _BLOCK_COLUMNS, np.float32)
        height, width = len(factors.left), len(factors.right)
        product = own.buffer[: height * width].reshape(height, width)
        np.matmul(factors.left, factors.right.T, out=product)
        if factors.column < factors.row + height:
            # Such a block starts on the diagonal.
            product[np.tri(height, width, dtype=bool)] = _NOT_A_PAIR
        return search(Block(factors.row, factors.column, product))

    spans = _upper_half(len(rows))
    if chosen is not None:
        spans = [span for span in spans if chosen(span[1] // _BLOCK_ROWS, span[2] // _BLOCK_COLUMNS)]
    for step, found in enumerate(on_all_cores(find, _factors(rows, spans)), start=1):
        yield found
        if on_progress is not None:
            on_progress(step, len(spans))


def _upper_half(count: int) -> list[tuple[int, int, int, int]]:
    """Blocks that cover the upper half: first loaded row, first row, first column, end."""
    return [
        (high, row, max(row, column), min(column + _BLOCK_COLUMNS, count))
        for high in range(0, count, _LOADED_ROWS)
        for column in range(high, count, _BLOCK_COLUMNS)
        for row in range(high, min(high + _LOADED_ROWS, column + _BLOCK_COLUMNS, count), _BLOCK_ROWS)
    ]


def _factors(rows: Rows, spans: list[tuple[int, int, int, int]]) -> Iterator[_Factors]:
    upper = right = np.empty((0, 0), np.float32)
    above = end = -1
    for high, row, column, stop in spans:
        if above != high:
            upper = rows[high : high + _LOADED_ROWS]
        if (above, end) != (high, stop):
            # The topmost block of these columns comes first, and has all that the others have.
            right = rows[column:stop]
        above, end = high, stop
        left = upper[row - high : row - high + _BLOCK_ROWS]
        yield _Factors(row, column, left, right[len(right) - (stop - column) :])


def edge_chunks(
    rows: Rows, *, min_cosine_similarity: float, on_progress: OnProgress | None = None
) -> Iterator[Edges]:
    """Yield the pairs of unit rows that are at least this similar, some at a time.

    A pair nearer to the limit than float32 products can tell is decided in double precision, so that
    the answer does not depend on where in a block the pair fell.
    """

    def search(block: Block) -> Edges:
        return _decided(block.pairs(_at_least(block.similarity, lowest)), rows, rows, min_cosine_similarity)

    lowest = np.float32(min_cosine_similarity - SIMILARITY_RESOLUTION)
    return searched_blocks(rows, search, on_progress=on_progress)


def cross_edge_chunks(rows: Float32, others: Float32, *, min_cosine_similarity: float) -> Iterator[Edges]:
    """Yield the pairs of a unit row (i) and another (j) that are at least this similar."""

    def search(span: tuple[int, int]) -> Edges:
        row, column = span
        left, right = rows[row : row + _BLOCK_ROWS], others[column : column + _BLOCK_COLUMNS]
        found = similar_pairs(left, right, min_cosine_similarity=min_cosine_similarity)
        return Edges(found.i + np.int32(row), found.j + np.int32(column), found.similarity)

    spans = all_combinations(range(0, len(rows), _BLOCK_ROWS), range(0, len(others), _BLOCK_COLUMNS))
    return on_all_cores(search, spans)


def similar_pairs(rows: Float32, others: Float32, *, min_cosine_similarity: float) -> Edges:
    """The pairs of a unit row (i) and another (j) that are at least this similar, from one product."""
    product = rows @ others.T
    lowest = np.float32(min_cosine_similarity - SIMILARITY_RESOLUTION)
    found = Block(0, 0, product).pairs(_at_least(product, lowest))
    return _decided(found, rows, others, min_cosine_similarity)


def _at_least(similarity: Float32, lowest: np.float32) -> Int64:
    """Where a raveled block of similarities reaches a limit."""
    # Most rows reach it nowhere, and their maximum is found sooner than all comparisons are made.
    row = np.flatnonzero(similarity.max(axis=1, initial=-np.inf) >= lowest)
    if 2 * len(row) > len(similarity):
        return np.flatnonzero(similarity >= lowest)
    place, column = np.divmod(np.flatnonzero(similarity[row] >= lowest), similarity.shape[1])
    found: Int64 = row[place] * similarity.shape[1] + column
    return found


def _decided(edges: Edges, rows: Rows, others: Rows, min_cosine_similarity: float) -> Edges:
    """Those pairs that reach the limit also in double precision."""
    close = np.flatnonzero(edges.similarity < np.float32(min_cosine_similarity + SIMILARITY_RESOLUTION))
    if not len(close):
        return edges
    precise = pair_similarities(rows, edges.i[close], edges.j[close], others)
    keep = np.ones(len(edges), bool)
    # Half the resolution below the limit: equal vectors count as similar by 1 after rounding.
    keep[close] = precise >= min_cosine_similarity - SIMILARITY_RESOLUTION / 2
    return edges.take(keep)


def pair_similarities(rows: Rows, i: Int32 | Int64, j: Int32 | Int64, others: Rows | None = None) -> Float64:
    """Cosine similarity of chosen pairs of unit rows, in double precision.

    `j` counts rows of `others` where that is given.
    """
    right_rows = rows if others is None else others
    result = np.empty(len(i), np.float64)
    for start in range(0, len(i), _BLOCK_ROWS):
        span = slice(start, start + _BLOCK_ROWS)
        left, right = rows[i[span]].astype(np.float64), right_rows[j[span]].astype(np.float64)
        result[span] = np.einsum("ij,ij->i", left, right)
    return result


def threshold_graph(
    embeddings: Embeddings, *, min_cosine_similarity: float, on_progress: OnProgress | None = None
) -> Edges:
    """Every pair of faces that is at least this similar, exactly.

    Memory grows with the pairs found, and with the faces unless they come in a memory map: such are read a
    few thousand at a time.

    Parameters
    ----------
    embeddings : float array of shape (n, d)
        Scaled to unit length if they are not.
    min_cosine_similarity : float
        In [-1, 1]. Pairs within 1e-6 below it are included, for rounding.
    on_progress : callable, optional

    Raises
    ------
    ValueError
        When the embeddings are malformed (see `unit_rows`) or the limit is out of range.
    """
    check_cosine_similarity(min_cosine_similarity)
    rows = rows_of(embeddings)
    chunks = edge_chunks(rows, min_cosine_similarity=min_cosine_similarity, on_progress=on_progress)
    return Edges.concatenate([chunk for chunk in chunks if len(chunk)])
