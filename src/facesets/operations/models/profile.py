"""`--profile`: the time that each stage of a run took."""

import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from facesets.files import write_json
from facesets.stopwatch import StageTime, Stopwatch


@dataclass(frozen=True, slots=True)
class Profile:
    """A run's time by stage.

    Attributes
    ----------
    wall_s, cpu_s : float
        Times of the whole process since the meter was created.
    cores_used : float
        Ratio of processor time to elapsed time.
    peak_mb : float or None
        Peak memory of the process; None if the system does not report it.
    stages : dict of str to Stage
        Times summed over all threads.
    """

    wall_s: float
    cpu_s: float
    cores_used: float
    peak_mb: float | None
    workers: int
    stages: dict[str, StageTime]


class Meter:
    """Measures the time of a run."""

    def __init__(self) -> None:
        """Start the clock."""
        self.wall = time.perf_counter()
        self.cpu = time.process_time()


def profile_of(stopwatch: Stopwatch, meter: Meter, *, workers: int, path: Path | None = None) -> Profile:
    """Return the profile of a run, and write it as JSON if a path is given. Raises `CannotWrite`."""
    wall, cpu = time.perf_counter() - meter.wall, time.process_time() - meter.cpu
    profile = Profile(wall, cpu, cpu / max(wall, 1e-9), _peak_mb(), workers, stopwatch.stages())
    if path is not None:
        write_json(path, asdict(profile))
    return profile


def _peak_mb() -> float | None:
    if sys.platform != "win32":
        with suppress(ImportError):
            import resource

            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            return peak / (1e6 if sys.platform == "darwin" else 1e3)
    return None
