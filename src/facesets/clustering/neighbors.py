"""Who is near whom: exact graphs from blocked matrix products.

A product of two blocks of rows is the only expensive step. Each pair of faces is multiplied once (the
matrix is symmetric), and a block stays in the processor's cache while it is searched.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np

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

_BLOCK_ROWS = 1024
_BLOCK_COLUMNS = 4096
_LOADED_ROWS = 8192
_NOT_A_PAIR = np.float32(-2.0)


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
    """The similarities of some rows with some columns; overwritten by the next block.

    Entries that are no pair (a face with itself, or the mirrored half) are -2.
    """

    row: int
    column: int
    similarity: Float32
    steps_done: int
    steps: int


def similarity_blocks(rows: Rows) -> Iterator[Block]:
    """Yield the upper half of `rows @ rows.T` in blocks.

    Rows on disk are read a few thousand at a time, and each about once for every 8192 faces.

    Parameters
    ----------
    rows : float32 array of shape (n, d), or UnitRows
        Unit length.
    """
    count = len(rows)
    spans = [
        (high, column, row)
        for high in range(0, count, _LOADED_ROWS)
        for column in range(high, count, _BLOCK_COLUMNS)
        for row in range(high, min(high + _LOADED_ROWS, column + _BLOCK_COLUMNS, count), _BLOCK_ROWS)
    ]
    buffer = np.empty(_BLOCK_ROWS * _BLOCK_COLUMNS, np.float32)
    loaded = (-1, -1)
    upper = right = np.empty((0, 0), np.float32)
    for step, (high, column, row) in enumerate(spans):
        if loaded[0] != high:
            upper = rows[high : high + _LOADED_ROWS]
        if loaded != (high, column):
            right = rows[column : column + _BLOCK_COLUMNS]
        loaded = high, column
        left = upper[row - high : row - high + _BLOCK_ROWS]
        product = buffer[: len(left) * len(right)].reshape(len(left), len(right))
        np.matmul(left, right.T, out=product)
        if column < row + len(left):
            below = np.arange(column, column + len(right)) <= np.arange(row, row + len(left))[:, None]
            product[below] = _NOT_A_PAIR
        yield Block(row, column, product, step + 1, len(spans))


def edge_chunks(
    rows: Rows, *, min_cosine_similarity: float, on_progress: OnProgress | None = None
) -> Iterator[Edges]:
    """Yield the pairs of unit rows that are at least this similar, some at a time.

    A pair nearer to the limit than float32 products can tell is decided in double precision, so that
    the answer does not depend on where in a block the pair fell.
    """
    lowest = np.float32(min_cosine_similarity - SIMILARITY_RESOLUTION)
    unsure = np.float32(min_cosine_similarity + SIMILARITY_RESOLUTION)
    for block in similarity_blocks(rows):
        found = np.flatnonzero(block.similarity >= lowest)
        i, j = np.divmod(found, block.similarity.shape[1])
        edges = Edges(
            (i + block.row).astype(np.int32),
            (j + block.column).astype(np.int32),
            block.similarity.ravel()[found],
        )
        yield _decided(edges, rows, unsure, min_cosine_similarity)
        if on_progress is not None:
            on_progress(block.steps_done, block.steps)


def cross_edge_chunks(rows: Float32, others: Float32, *, min_cosine_similarity: float) -> Iterator[Edges]:
    """Yield the pairs of a unit row (i) and another (j) that are at least this similar."""
    lowest = np.float32(min_cosine_similarity - SIMILARITY_RESOLUTION)
    for row in range(0, len(rows), _BLOCK_ROWS):
        for column in range(0, len(others), _BLOCK_COLUMNS):
            left, right = rows[row : row + _BLOCK_ROWS], others[column : column + _BLOCK_COLUMNS]
            product = left @ right.T
            i, j = np.divmod(np.flatnonzero(product >= lowest), len(right))
            similarity = product[i, j]
            precise = pair_similarities(left, i, j, right)
            keep = precise >= min_cosine_similarity - SIMILARITY_RESOLUTION / 2
            yield Edges(
                (i[keep] + row).astype(np.int32), (j[keep] + column).astype(np.int32), similarity[keep]
            )


def _decided(edges: Edges, rows: Rows, unsure: np.float32, min_cosine_similarity: float) -> Edges:
    close = np.flatnonzero(edges.similarity < unsure)
    if not len(close):
        return edges
    precise = pair_similarities(rows, edges.i[close], edges.j[close])
    keep = np.ones(len(edges), bool)
    # Half the resolution below the limit: equal vectors count as similar by 1 after rounding.
    keep[close] = precise >= min_cosine_similarity - SIMILARITY_RESOLUTION / 2
    return Edges(edges.i[keep], edges.j[keep], edges.similarity[keep])


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
