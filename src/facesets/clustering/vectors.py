"""Prepare embeddings for the algorithms: checked, of unit length, in a canonical order."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Embeddings = NDArray[np.floating[Any]]
"""(n, d), any float type; read in blocks, so it may be a memory map."""

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]

SIMILARITY_RESOLUTION = 2e-6
"""Cosine similarities of float32 vectors that differ by less than this count as equal."""

_BLOCK_ROWS = 4096
_COMPARED_BYTES = 8


def check_matrix(embeddings: Embeddings, *, name: str = "embeddings") -> None:
    """Refuse anything but a matrix of floats.

    Raises
    ------
    ValueError
        When `embeddings` is not two-dimensional, has no columns, or does not hold floats.
    """
    if embeddings.ndim != 2:
        raise ValueError(f"{name} must have two dimensions (faces, values), not {embeddings.ndim}.")
    if embeddings.shape[1] == 0:
        raise ValueError(f"{name} must have at least one value per face.")
    if not np.issubdtype(embeddings.dtype, np.floating):
        raise ValueError(f"{name} must hold floats, not {embeddings.dtype}.")


def unit_rows(
    embeddings: Embeddings,
    order: Int64 | None = None,
    *,
    name: str = "embeddings",
    out: Float32 | None = None,
) -> Float32:
    """Return the rows as float32 of unit length; vectors of other lengths are scaled.

    Parameters
    ----------
    embeddings : float array of shape (n, d)
    order : int64 array of shape (m,), optional
        Rows to take, in this order. All by default.
    name : str
        What an error calls the array.
    out : float32 array of shape (m, d), optional
        Where to put them; a new array by default.

    Returns
    -------
    float32 array of shape (m, d)
        `out`, or a new array.

    Raises
    ------
    ValueError
        When the shape or type is wrong, or a row is zero or holds NaN or infinity.
    """
    check_matrix(embeddings, name=name)
    count = len(embeddings) if order is None else len(order)
    rows = np.empty((count, embeddings.shape[1]), np.float32) if out is None else out
    for start in range(0, count, _BLOCK_ROWS):
        taken = slice(start, start + _BLOCK_ROWS)
        block = np.asarray(embeddings[taken if order is None else order[taken]], np.float64)
        length = np.sqrt(np.einsum("ij,ij->i", block, block))
        _check_lengths(length, start, order, name)
        rows[taken] = block / length[:, None]
    return rows


class StoredRows(Protocol):
    """Unit rows that are stored elsewhere, and loaded as an array on request."""

    def __len__(self) -> int: ...

    def __getitem__(self, which: slice | Int64 | Int32) -> Float32: ...


class UnitRows:
    """Rows as float32 of unit length, read from an array on disk on request."""

    def __init__(self, embeddings: Embeddings, *, name: str = "embeddings") -> None:
        check_matrix(embeddings, name=name)
        self._embeddings = embeddings
        self._name = name

    def __len__(self) -> int:
        return len(self._embeddings)

    def __getitem__(self, which: slice | Int64 | Int32) -> Float32:
        rows = np.arange(len(self))[which] if isinstance(which, slice) else np.asarray(which, np.int64)
        return unit_rows(self._embeddings, rows, name=self._name)


Rows = Float32 | StoredRows
"""Unit rows, in memory or stored elsewhere."""


def rows_of(embeddings: Embeddings) -> Rows:
    """Return unit rows: those of a memory map stay on disk, others are copied into memory.

    Raises
    ------
    ValueError
        When the shape or type is wrong; or a row in memory is zero or holds NaN or infinity. For rows on
        disk that is seen when they are read.
    """
    return UnitRows(embeddings) if isinstance(embeddings, np.memmap) else unit_rows(embeddings)


def _check_lengths(length: Float64, start: int, order: Int64 | None, name: str) -> None:
    wrong = np.flatnonzero(~(np.isfinite(length) & (length > 0)))
    if not len(wrong):
        return
    row = start + int(wrong[0])
    row = row if order is None else int(order[row])
    fault = "is all zeros" if length[wrong[0]] == 0 else "holds NaN or infinity"
    raise ValueError(f"Row {row} of {name} {fault}, so it cannot be compared.")


def canonical_order(embeddings: Embeddings) -> Int64:
    """Return an order of the rows that depends on their contents alone.

    Algorithms that work in this order give the same partition for any order of the caller's rows:
    rounding and ties then fall the same way. Equal rows keep their order among themselves.
    """
    rows = np.ascontiguousarray(embeddings)
    if not len(rows):
        return np.empty(0, np.int64)
    as_bytes = rows.view(np.uint8)
    beginning = np.zeros((len(rows), _COMPARED_BYTES), np.uint8)
    some = as_bytes[:, :_COMPARED_BYTES]
    beginning[:, : some.shape[1]] = some
    # Nearly all rows differ in their first bytes, which as a number fit in a register.
    key = beginning.view(">u8").ravel().astype(np.uint64)
    order = np.argsort(key, kind="stable")
    same = key[order[1:]] == key[order[:-1]]
    tied = np.flatnonzero(np.r_[False, same] | np.r_[same, False])
    if len(tied):
        whole = np.ascontiguousarray(as_bytes[order[tied]])
        by_bytes = whole.view(np.dtype((np.void, whole.shape[1]))).ravel()
        order[tied] = order[tied][np.argsort(by_bytes, kind="stable")]
    return order.astype(np.int64)


def check_cosine_distance(value: float, *, name: str = "max_cosine_distance") -> None:
    """Refuse a cosine distance outside [0, 2].

    Raises
    ------
    ValueError
        When it is outside, or NaN.
    """
    if not 0 <= value <= 2:
        raise ValueError(f"{name} must lie between 0 and 2, not {value}.")


def check_cosine_similarity(value: float) -> None:
    """Refuse a cosine similarity outside [-1, 1].

    Raises
    ------
    ValueError
        When it is outside, or NaN.
    """
    if not -1 <= value <= 1:
        raise ValueError(f"min_cosine_similarity must lie between -1 and 1, not {value}.")
