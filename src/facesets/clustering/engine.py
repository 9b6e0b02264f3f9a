"""Engines that compute clustering tasks: this process, or workers elsewhere.

How the work is cut depends on the faces alone, and what the tasks find is put together in their order; so
labels are the same for every engine. In this process each core computes a matrix product of its own,
instead of all of them each product: what follows a product (comparing, selecting) then runs on all cores
too, no core waits for another, and a product rounds the same however many cores there are.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray
from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

from facesets.clustering.vectors import Embeddings, Float32, Int32, Int64, Rows, unit_rows

Found = TypeVar("Found")
_COPIED_ROWS = 16_384
_Given = TypeVar("_Given")
_AHEAD = 2
"""Tasks that wait for each core; more would only hold memory."""

_SIDE = 2048


class Engine(Protocol):
    """Computes tasks, and holds the arrays that these need."""

    @property
    def blocks_a_task(self) -> int:
        """Return the blocks of a product per task, enough that handing it over pays."""
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
        """Allocate an array that may be large, with undefined contents."""
        ...

    def in_order(self, rows: Float32, order: Int32) -> Rows:
        """Return the rows in another order, for tasks that take runs of them."""
        ...


class InProcess:
    """Threads of this process, and arrays in its memory."""

    blocks_a_task = 1

    def each(
        self, work: Callable[..., Found], arrays: Sequence[Any], tasks: Iterable[Any]
    ) -> Iterator[Found]:
        """Compute tasks, as `Engine.each`; accepts any callable."""
        return on_all_cores(partial(work, *arrays), tasks)

    def empty(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """Allocate an array, as `Engine.empty`."""
        return np.empty(shape, dtype)

    def in_order(self, rows: Float32, order: Int32) -> Rows:
        """Return rows in another order, as `Engine.in_order`; copied only when read."""
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
    """Return `unit_rows` of some rows, stored where the engine holds large arrays."""
    room: Float32 = engine.empty((len(order), embeddings.shape[1]), np.float32)
    return unit_rows(embeddings, order, out=room)


def held_copy(rows: Float32, engine: Engine) -> Float32:
    """Copy rows to where the engine holds large arrays."""
    room: Float32 = engine.empty(rows.shape, np.float32)
    for start in range(0, len(rows), _COPIED_ROWS):
        room[start : start + _COPIED_ROWS] = rows[start : start + _COPIED_ROWS]
    return room


class _Products:
    """The library that multiplies, limited to one core per product while any caller asks for that."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._cores = 1
        self._libraries: Any = None
        self._limit: Any = None

    @contextmanager
    def on_one_core(self) -> Iterator[int]:
        """Return how many products may run at once: as many as the library would have used cores.

        That is 1 if the library's setting is unknown. The setting is the process's; it lasts until
        the last of those who asked for it is done.
        """
        with self._lock:
            if not self._users:
                if self._libraries is None:
                    # Finding these libraries takes longer than comparing a few faces.
                    self._libraries = ThreadpoolController().select(user_api="blas")
                self._cores = max((library["num_threads"] for library in self._libraries.info()), default=1)
                self._limit = self._libraries.limit(limits=1)
            self._users += 1
            cores = self._cores
        try:
            yield cores
        finally:
            with self._lock:
                self._users -= 1
                if not self._users:
                    self._limit.restore_original_limits()


_products = _Products()


on_one_core = _products.on_one_core


def on_all_cores(work: Callable[[_Given], Found], tasks: Iterable[_Given]) -> Iterator[Found]:
    """Yield what `work` finds for each task, in the order of the tasks.

    Tasks are taken a few ahead of what is yielded. `work` runs in threads: it must change nothing shared.
    """
    with _products.on_one_core() as cores:
        if cores == 1:
            yield from map(work, tasks)
            return
        with ThreadPoolExecutor(cores, thread_name_prefix="clustering") as pool:
            running: deque[Future[Found]] = deque()
            try:
                for task in tasks:
                    running.append(pool.submit(work, task))
                    if len(running) > cores * _AHEAD:
                        yield running.popleft().result()
                while running:
                    yield running.popleft().result()
            finally:
                pool.shutdown(cancel_futures=True)


def measure_sgemm_gflops(*, repetitions: int = 5, dimension: int = 512) -> float:
    """Measure the best rate of float32 matrix products of clustering's shape, in 10^9 operations a second.

    Takes well under a second.
    """
    rng = np.random.default_rng(0)
    left = rng.standard_normal((_SIDE, dimension), np.float32)
    right = rng.standard_normal((_SIDE, dimension), np.float32)
    product = np.empty((_SIDE, _SIDE), np.float32)
    best = float("inf")
    for _ in range(max(1, repetitions)):
        started = time.perf_counter()
        np.matmul(left, right.T, out=product)
        best = min(best, time.perf_counter() - started)
    return 2.0 * _SIDE * _SIDE * dimension / best / 1e9
