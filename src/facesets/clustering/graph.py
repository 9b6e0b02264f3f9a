"""Graphs of similar faces: exact, from blocked matrix products.

A product of two blocks of rows is the only expensive step. Each pair of faces is multiplied once (the
matrix is symmetric), and a block stays in the processor's cache while it is searched.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, Self, TypeVar

import numpy as np

from facesets.clustering.engine import IN_PROCESS, Engine
from facesets.clustering.vectors import (
    SIMILARITY_RESOLUTION,
    Bool,
    Embeddings,
    Float32,
    Float64,
    Int32,
    Int64,
    Rows,
    UnitRows,
    check_cosine_similarity,
    rows_of,
)

OnProgress = Callable[[int, int], None]
"""Called with the completed and the total number of steps."""

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
        """Select some of the pairs."""
        return type(self)(self.i[which], self.j[which], self.similarity[which])

    def span(self, start: int, stop: int) -> Self:
        """Return a run of the pairs, without a copy."""
        return type(self)(self.i[start:stop], self.j[start:stop], self.similarity[start:stop])

    @classmethod
    def empty(cls) -> Self:
        """Make an object without pairs."""
        return cls(np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.float32))

    @classmethod
    def concatenate(cls, parts: Iterable[Self]) -> Self:
        """Join the pairs of all parts."""
        held = [part for part in parts if len(part)]
        if not held:
            return cls.empty()
        return cls(
            np.concatenate([part.i for part in held]),
            np.concatenate([part.j for part in held]),
            np.concatenate([part.similarity for part in held]),
        )


@dataclass(frozen=True, slots=True)
class Block:
    """Similarities of some rows with some columns; overwritten by a later block.

    Entries that are no pair (a face with itself, or the mirrored half) are -2.

    Attributes
    ----------
    row, column : int
        The first ones.
    left, right : float32 arrays
        The rows, and those that the columns are.
    similarity : float32 array
    """

    row: int
    column: int
    left: Float32
    right: Float32
    similarity: Float32

    def pairs(self, which: Int64) -> Edges:
        """Return the entries at these places of the raveled block."""
        i, j = np.divmod(which, self.similarity.shape[1])
        return Edges(
            (i + self.row).astype(np.int32),
            (j + self.column).astype(np.int32),
            self.similarity.ravel()[which],
        )


class _Span(NamedTuple):
    """Position of a block: the first of some thousand rows, its own first row, its columns and their end."""

    high: int
    row: int
    column: int
    stop: int


_own = threading.local()


def searched_blocks(
    rows: Rows,
    search: Callable[[Block], _Found],
    *,
    chosen: Callable[[int, int], bool] | None = None,
    on_progress: OnProgress | None = None,
    engine: Engine = IN_PROCESS,
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
    engine : Engine
        With one that is not this process, `search` is a function of a module, or a `partial` of one.
    """
    spans = _upper_half(len(rows))
    if chosen is not None:
        spans = [span for span in spans if chosen(span.row // _BLOCK_ROWS, span.column // _BLOCK_COLUMNS)]
    # Rows on disk are read once for many blocks.
    most = _LOADED_ROWS // _BLOCK_ROWS if isinstance(rows, UnitRows) else engine.blocks_a_task
    step = 0
    for found in engine.each(partial(_search_run, search), (rows,), _runs(spans, most)):
        for each in found:
            yield each
            step += 1
            if on_progress is not None:
                on_progress(step, len(spans))


def _upper_half(count: int) -> list[_Span]:
    """Yield blocks that cover the upper half."""
    return [
        _Span(high, row, max(row, column), min(column + _BLOCK_COLUMNS, count))
        for high in range(0, count, _LOADED_ROWS)
        for column in range(high, count, _BLOCK_COLUMNS)
        for row in range(high, min(high + _LOADED_ROWS, column + _BLOCK_COLUMNS, count), _BLOCK_ROWS)
    ]


def _runs(spans: list[_Span], most: int) -> Iterator[list[_Span]]:
    """Yield runs of at most `most` successive blocks of the same columns."""
    run: list[_Span] = []
    for span in spans:
        if run and (len(run) == most or (span.high, span.stop) != (run[0].high, run[0].stop)):
            yield run
            run = []
        run.append(span)
    if run:
        yield run


def _search_run(search: Callable[[Block], _Found], rows: Rows, run: Sequence[_Span]) -> list[_Found]:
    """Search each of some blocks of the same columns."""
    # The topmost block comes first, and has all columns that the others have.
    first, stop = run[0].column, run[0].stop
    right = rows[first:stop]
    return [
        search(
            _multiplied(
                span.row,
                span.column,
                rows[span.row : span.row + _BLOCK_ROWS],
                right[span.column - first :],
            )
        )
        for span in run
    ]


def _multiplied(row: int, column: int, left: Float32, right: Float32) -> Block:
    height, width = len(left), len(right)
    if row == column and height == width:
        # An array times itself takes another routine, which rounds differently from two separate arrays.
        left = left.copy()
    if not hasattr(_own, "buffer") or _own.buffer.size < height * width:
        _own.buffer = np.empty(_BLOCK_ROWS * _BLOCK_COLUMNS, np.float32)
    product = _own.buffer[: height * width].reshape(height, width)
    np.matmul(left, right.T, out=product)
    if column < row + height:
        # Such a block starts on the diagonal.
        product[np.tri(height, width, dtype=bool)] = _NOT_A_PAIR
    return Block(row, column, left, right, product)


def edge_chunks(
    rows: Rows,
    *,
    min_cosine_similarity: float,
    on_progress: OnProgress | None = None,
    engine: Engine = IN_PROCESS,
) -> Iterator[Edges]:
    """Yield the pairs of unit rows that are at least this similar, some at a time.

    A pair nearer to the limit than float32 products can tell is decided in double precision, so that
    the answer does not depend on where in a block the pair fell.
    """
    search = partial(_similar_in_block, min_cosine_similarity=min_cosine_similarity)
    return searched_blocks(rows, search, on_progress=on_progress, engine=engine)


def _similar_in_block(block: Block, *, min_cosine_similarity: float) -> Edges:
    found = _similar(block.similarity, block.left, block.right, min_cosine_similarity)
    return Edges(found.i + np.int32(block.row), found.j + np.int32(block.column), found.similarity)


def similar_pairs(rows: Float32, others: Float32, *, min_cosine_similarity: float) -> Edges:
    """Find pairs of a unit row (i) and another (j) that are at least this similar, from one product."""
    return _similar(rows @ others.T, rows, others, min_cosine_similarity)


def _similar(product: Float32, rows: Float32, others: Float32, min_cosine_similarity: float) -> Edges:
    """Find the places in a product of unit rows and others where the similarity reaches a limit."""
    which = _at_least(product, np.float32(min_cosine_similarity - SIMILARITY_RESOLUTION))
    i, j = np.divmod(which, product.shape[1])
    found = Edges(i.astype(np.int32), j.astype(np.int32), product.ravel()[which])
    return _decided(found, rows, others, min_cosine_similarity)


def _at_least(similarity: Float32, lowest: np.float32) -> Int64:
    """Find where a raveled block of similarities reaches a limit."""
    # Most rows never reach the limit, and finding their maximum is faster than all comparisons.
    row = np.flatnonzero(similarity.max(axis=1, initial=-np.inf) >= lowest)
    if 2 * len(row) > len(similarity):
        return np.flatnonzero(similarity >= lowest)
    place, column = np.divmod(np.flatnonzero(similarity[row] >= lowest), similarity.shape[1])
    found: Int64 = row[place] * similarity.shape[1] + column
    return found


def _decided(edges: Edges, rows: Float32, others: Float32, min_cosine_similarity: float) -> Edges:
    """Select the pairs that also reach the limit in double precision."""
    close = np.flatnonzero(edges.similarity < np.float32(min_cosine_similarity + SIMILARITY_RESOLUTION))
    if not len(close):
        return edges
    precise = pair_similarities(rows, edges.i[close], edges.j[close], others)
    keep = np.ones(len(edges), bool)
    # Half the resolution below the limit: equal vectors count as similar by 1 after rounding.
    keep[close] = precise >= min_cosine_similarity - SIMILARITY_RESOLUTION / 2
    return edges.take(keep)


def pair_similarities(rows: Rows, i: Int32 | Int64, j: Int32 | Int64, others: Rows | None = None) -> Float64:
    """Compute the cosine similarity of chosen pairs of unit rows, in double precision.

    `j` counts rows of `others`, if that is given.
    """
    right_rows = rows if others is None else others
    result = np.empty(len(i), np.float64)
    for start in range(0, len(i), _BLOCK_ROWS):
        span = slice(start, start + _BLOCK_ROWS)
        left, right = rows[i[span]].astype(np.float64), right_rows[j[span]].astype(np.float64)
        result[span] = np.einsum("ij,ij->i", left, right)
    return result


def threshold_graph(embeddings: Embeddings, *, min_cosine_similarity: float) -> Edges:
    """Find every pair of faces that is at least this similar, exactly.

    Memory grows with the pairs found, and with the faces unless they come in a memory map: such are read a
    few thousand at a time.

    Parameters
    ----------
    embeddings : float array of shape (n, d)
        Scaled to unit length if they are not.
    min_cosine_similarity : float
        In [-1, 1]. Pairs within 1e-6 below it are included, for rounding.

    Raises
    ------
    ValueError
        When the embeddings are malformed (see `unit_rows`) or the limit is out of range.
    """
    check_cosine_similarity(min_cosine_similarity)
    rows = rows_of(embeddings)
    return Edges.concatenate(edge_chunks(rows, min_cosine_similarity=min_cosine_similarity))


def join_pairs(count: int, i: Int64 | Int32, j: Int64 | Int32) -> Int64:
    """Find the components of a graph given as pairs of its `count` nodes; numbers from 0."""
    if not len(i):
        return np.arange(count)
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components as components

    graph = coo_array((np.ones(len(i), bool), (i, j)), shape=(count, count))
    found: Int32 = components(graph, directed=False)[1]
    return found.astype(np.int64)
