"""Who computes the tasks that clustering is cut into: this process, or workers elsewhere.

How the work is cut depends on the faces alone, and what the tasks find is put together in their order; so
labels are the same whoever computes them.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from facesets.clustering.parallel_blas import on_all_cores
from facesets.clustering.vectors import Embeddings, Float32, Int32, Int64, Rows, unit_rows

Found = TypeVar("Found")

_COPIED_ROWS = 16_384


class Engine(Protocol):
    """Computes tasks, and holds the arrays that these need."""

    @property
    def blocks_a_task(self) -> int:
        """How many blocks of a product make a task that is worth handing over."""
        ...

    def each(
        self, work: Callable[..., Found], arrays: Sequence[Any], tasks: Iterable[Any]
    ) -> Iterator[Found]:
        """Yield what `work(*arrays, task)` finds for each task, in the order of the tasks.

        `work` may run in threads or in other processes: it must change nothing, and for the latter it is a
        function of a module, or a `partial` of one.
        """
        ...

    def empty(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """Room for an array that may be large, with anything in it."""
        ...

    def in_order(self, rows: Float32, order: Int32) -> Rows:
        """The rows in another order, for tasks that take runs of them."""
        ...


class InProcess:
    """Threads of this process, and arrays in its memory."""

    blocks_a_task = 1

    def each(
        self, work: Callable[..., Found], arrays: Sequence[Any], tasks: Iterable[Any]
    ) -> Iterator[Found]:
        """As `Engine.each`; any callable will do."""
        return on_all_cores(partial(work, *arrays), tasks)

    def empty(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """As `Engine.empty`."""
        return np.empty(shape, dtype)

    def in_order(self, rows: Float32, order: Int32) -> Rows:
        """As `Engine.in_order`; nothing is copied before it is asked for."""
        return _Reordered(rows, order)


class _Reordered:
    def __init__(self, rows: Float32, order: Int32) -> None:
        self._rows = rows
        self._order = order

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, which: slice | Int64 | Int32) -> Float32:
        return self._rows[self._order[which]]


IN_PROCESS = InProcess()


def held_unit_rows(embeddings: Embeddings, order: Int64, engine: Engine) -> Float32:
    """`unit_rows` of some rows, where the engine holds large arrays."""
    room: Float32 = engine.empty((len(order), embeddings.shape[1]), np.float32)
    return unit_rows(embeddings, order, out=room)


def held_copy(rows: Float32, engine: Engine) -> Float32:
    """A copy of rows, where the engine holds large arrays."""
    room: Float32 = engine.empty(rows.shape, np.float32)
    for start in range(0, len(rows), _COPIED_ROWS):
        room[start : start + _COPIED_ROWS] = rows[start : start + _COPIED_ROWS]
    return room
