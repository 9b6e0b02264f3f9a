"""The time of a run: seconds by stage, added up over threads."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StageTime:
    """One kind of work.

    Attributes
    ----------
    wall_s, cpu_s : float
        Total seconds of all threads; if the first is much larger, they waited.
    """

    wall_s: float = 0.0
    cpu_s: float = 0.0
    count: int = 0


class Stopwatch:
    """Adds up stages. May be used from several threads at once; one measurement costs microseconds."""

    def __init__(self) -> None:
        """Start without measurements, and without a known number of concurrent files."""
        self.workers = 0
        self._lock = threading.Lock()
        self._stages: dict[str, StageTime] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure the block as part of a stage."""
        wall, cpu = time.perf_counter(), time.thread_time()
        try:
            yield
        finally:
            wall, cpu = time.perf_counter() - wall, time.thread_time() - cpu
            with self._lock:
                before = self._stages.get(name, StageTime())
                self._stages[name] = StageTime(before.wall_s + wall, before.cpu_s + cpu, before.count + 1)

    def stages(self) -> dict[str, StageTime]:
        """Return the measurements so far, by name, in the order of first use."""
        with self._lock:
            return dict(self._stages)
