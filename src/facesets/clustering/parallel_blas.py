"""All cores at work: one matrix product on each, instead of each product on all.

What follows a product (comparing, selecting) then runs on all cores too, no core waits for another, and a
product rounds the same however many cores there are.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

_Given = TypeVar("_Given")
_Found = TypeVar("_Found")

_AHEAD = 2
"""Tasks that wait for each core; more would only hold memory."""


class _Products:
    """The library that multiplies, kept to one core for each product while someone wants that."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._cores = 1
        self._libraries: Any = None
        self._limit: Any = None

    @contextmanager
    def on_one_core(self) -> Iterator[int]:
        """Say how many products may run at once: as many as the library would have used cores.

        That is 1 where it is not known how to tell the library. The setting is the process's; it lasts until
        the last of those who asked for it is done.
        """
        with self._lock:
            if not self._users:
                if self._libraries is None:
                    # To look for them takes longer than to compare a few faces.
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


def on_all_cores(work: Callable[[_Given], _Found], tasks: Iterable[_Given]) -> Iterator[_Found]:
    """Yield what `work` finds for each task, in the order of the tasks.

    Tasks are taken a few ahead of what is yielded. `work` runs in threads: it must change nothing shared.
    """
    with _products.on_one_core() as cores:
        if cores == 1:
            yield from map(work, tasks)
            return
        with ThreadPoolExecutor(cores, thread_name_prefix="clustering") as pool:
            running: deque[Future[_Found]] = deque()
            try:
                for task in tasks:
                    running.append(pool.submit(work, task))
                    if len(running) > cores * _AHEAD:
                        yield running.popleft().result()
                while running:
                    yield running.popleft().result()
            finally:
                pool.shutdown(cancel_futures=True)
