"""Compare clustering by workers with clustering in one process: labels, time and memory.

    PYTHONPATH=src python scripts/benchmarks/engine.py --faces 100000 [--method auto] [--workers 1 2 4]

Vectors come from the generator that `--synthetic` names, and are read from a memory map. Each way runs in a
process of its own. What is printed is of this process and all its workers together: processor time, which
tells more than seconds on a busy machine; the memory that only they hold; and that with the parts of mapped
files that are in memory just then, which the system takes back when it needs them. `--limit-gib` ends a run
whose own memory is more. `--kill` kills a worker in the middle.
"""

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil

from facesets.clustering import evaluate
from facesets.clustering.engine import IN_PROCESS, Engine
from facesets.clustering.methods import METHODS, GroupingTask

SHARED = Path(__file__).resolve().parents[2].parent / "shared"
THRESHOLDS = {"agglomerative": 0.55, "components": 0.65}
GIB = 2**30


@dataclass
class Taken:
    """Peak memory in bytes of a process and its children, own and total, and their processor time."""

    own: int = 0
    resident: int = 0
    seconds: dict[int, float] = field(default_factory=dict)

    def seen(self, process: psutil.Process) -> None:
        """Update the maxima with the current values."""
        own = resident = 0
        with contextlib.suppress(psutil.NoSuchProcess):
            for each in (process, *process.children(recursive=True)):
                with contextlib.suppress(psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
                    own += _kilobytes(each.pid, "status", "RssAnon:")
                    resident += _kilobytes(each.pid, "smaps_rollup", "Pss:")
                    times = each.cpu_times()
                    self.seconds[each.pid] = times.user + times.system
        self.own, self.resident = max(self.own, own), max(self.resident, resident)


def _kilobytes(pid: int, file: str, name: str) -> int:
    lines = Path(f"/proc/{pid}/{file}").read_text("ascii").splitlines()
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(name)), 0)


@contextmanager
def engine_of(workers: int, folder: Path) -> Iterator[Engine]:
    """Return an engine of this many processes; none for this one."""
    if not workers:
        yield IN_PROCESS
        return
    from facesets.engines.dask_engine import local_engine

    with local_engine(workers, folder) as engine:
        yield engine


class Killing:
    """Kills one worker after some of the tasks."""

    def __init__(self) -> None:
        self._calls = 0

    def __call__(self, done: int, steps: int) -> None:
        """Handle progress."""
        self._calls += 1
        if self._calls == 3:
            workers = [
                each
                for each in psutil.Process().children(recursive=True)
                if "spawn_main" in "".join(each.cmdline())
            ]
            print(f"    killing one of {len(workers)} workers at step {done} of {steps}", flush=True)
            os.kill(workers[0].pid, signal.SIGKILL)


def run_one(given: argparse.Namespace, workers: int) -> None:
    """Cluster once, in this process or by workers, and store the labels."""
    vectors = np.load(given.vectors, mmap_mode="r")
    with engine_of(workers, given.folder) as engine:
        started = time.perf_counter()
        task = GroupingTask(
            embeddings=vectors,
            threshold=THRESHOLDS.get(given.method),
            min_cluster_size=5,
            min_samples=3,
            on_progress=Killing() if given.kill and workers else None,
            engine=engine,
        )
        found = METHODS[given.method].group(task)
        print(f"    clustered in {time.perf_counter() - started:.1f} s", flush=True)
        for reason in found.reasons:
            print(f"    {reason}", flush=True)
    np.save(given.folder / f"labels_{workers}.npy", found.labels)


def measured(given: argparse.Namespace, workers: int) -> None:
    """Run one way in a process of its own, and print its cost."""
    words = [
        *(f"--{name}={getattr(given, name)}" for name in ("vectors", "folder", "method")),
        f"--one={workers}",
        *(["--kill"] if given.kill else []),
    ]
    started, taken = time.perf_counter(), Taken()
    process = subprocess.Popen([sys.executable, __file__, *words])
    watched = psutil.Process(process.pid)
    while process.poll() is None:
        taken.seen(watched)
        if given.limit_gib and taken.own > given.limit_gib * GIB:
            for each in watched.children(recursive=True):
                each.kill()
            process.kill()
            print(f"  ended: more than {given.limit_gib} GiB", flush=True)
        time.sleep(0.25)
    where_run = f"{workers} workers" if workers else "in one process"
    print(
        f"  {where_run}: {time.perf_counter() - started:.1f} s with start and end, "
        f"{sum(taken.seconds.values()):.1f} s of processor time, of which the first process "
        f"{taken.seconds.get(process.pid, 0):.1f}; peak {taken.own / GIB:.2f} GiB of its own, "
        f"{taken.resident / GIB:.2f} GiB with mapped files",
        flush=True,
    )


def compared(folder: Path, truth: Path | None) -> None:
    """Print whether all labels are the same, and how good they are."""
    found = {path.stem.removeprefix("labels_"): np.load(path) for path in sorted(folder.glob("labels_*.npy"))}
    if not found:
        return
    first, *others = found
    for other in others:
        same = np.array_equal(found[first], found[other])
        print(f"  labels of {first} and {other} workers: {'the same' if same else 'DIFFERENT'}")
    if truth is not None:
        scores = evaluate(found[first], np.load(truth))
        print(f"  pairwise F1 {scores.pairwise_f1:.4f}, BCubed F1 {scores.bcubed_f1:.4f}")


def main() -> None:
    """Read the arguments and run what they ask for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--faces", type=int, default=100_000)
    parser.add_argument(
        "--method", default="auto", choices=[name for name, each in METHODS.items() if each.scales]
    )
    parser.add_argument("--workers", type=int, nargs="*", default=[0, 1, 2, 4], help="0 for in one process")
    parser.add_argument("--kill", action="store_true")
    parser.add_argument("--limit-gib", type=float)
    parser.add_argument("--folder", type=Path, help="for vectors, labels and arrays; kept")
    parser.add_argument("--synthetic", type=Path, default=SHARED / "synthetic" / "faces.py")
    parser.add_argument("--vectors", type=Path)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one is not None:
        run_one(given, given.one)
        return
    with nullcontext(given.folder) if given.folder else tempfile.TemporaryDirectory() as folder:
        given.folder = Path(folder)
        given.folder.mkdir(parents=True, exist_ok=True)
        truth = None
        if given.vectors is None:
            given.vectors = given.folder / f"x_{given.faces}.npy"
            truth = given.folder / f"y_{given.faces}.npy"
            if not given.vectors.exists():
                subprocess.run([sys.executable, given.synthetic, str(given.faces), folder], check=True)
        print(f"{given.faces} faces, {given.method}")
        for workers in given.workers:
            measured(given, workers)
        compared(given.folder, truth)


if __name__ == "__main__":
    main()
