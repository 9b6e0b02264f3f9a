"""What a stage adds to `index`: its CPU time with and without the stage, alternately, on the same photos.

    .venv/bin/python scripts/benchmarks/stage_share.py [attributes] [--photos DIR] [--pack DIR]
        [--count 150] [--rounds 3] [--heads]

Each run is a process of its own that takes the photos into an empty library. CPU time is printed, that of the
process and that of the server, which other programs on the machine lengthen less than the time on a clock.
Two shares are: of the least of each one's runs, and the median of those of each pair of runs. With `--heads`
photos have EXIF and XMP as phones write them.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from embed import SHARED
from metadata import with_head
from throw_away import throw_away_server

from facesets.store.postgres.connection import Database

ALWAYS = ("metadata", "detection")
EMPTY = "TRUNCATE images, image_paths, galleries, models, detectors, persons, cameras CASCADE"
TICKS = os.sysconf("SC_CLK_TCK")
OWN, OF_ENDED_CHILDREN = slice(11, 13), slice(13, 15)
"""Positions of times in /proc/PID/stat after the program's name."""


def cpu_of(command: list[str], environment: dict[str, str]) -> float:
    """Return seconds of CPU of a program and all processes that it starts and waits for."""
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return usage.ru_utime + usage.ru_stime


class ServerClock:
    """Seconds of CPU of a server on this machine, including ended connections."""

    def __init__(self, database: Database) -> None:
        """Find the server's first process, the parent of all others."""
        backend = database.run(lambda connection: connection.info.backend_pid)
        self._first = int(self._stat(backend)[1])

    @staticmethod
    def _stat(process: int) -> list[str]:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()

    def _times(self) -> Iterator[str]:
        yield from self._stat(self._first)[OF_ENDED_CHILDREN]
        children = Path(f"/proc/{self._first}/task/{self._first}/children").read_text().split()
        for process in (self._first, *map(int, children)):
            with suppress(FileNotFoundError, ProcessLookupError):
                yield from self._stat(process)[OWN]

    def seconds(self) -> float:
        """Return the seconds until now."""
        return sum(map(int, self._times())) / TICKS


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stage", nargs="?", default="attributes")
    parser.add_argument("--photos", type=Path, default=SHARED / "faces" / "lfw_dev")
    parser.add_argument("--pack", type=Path, default=SHARED / "models" / "buffalo_test")
    parser.add_argument("--count", type=int, default=150)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--heads", action="store_true")
    given = parser.parse_args()
    without = [each for each in ALWAYS if each != given.stage]
    variants = {"without": without, "with": [*without, given.stage]}
    times: dict[str, list[float]] = {name: [] for name in variants}
    servers: dict[str, list[float]] = {name: [] for name in variants}
    photos = sorted(given.photos.rglob("*.jpg"))[: given.count]
    with tempfile.TemporaryDirectory() as scratch, throw_away_server() as address:
        folder = Path(scratch) / "photos"
        folder.mkdir()
        for number, photo in enumerate(photos):
            content = photo.read_bytes()
            (folder / f"{number}.jpg").write_bytes(with_head(content, number) if given.heads else content)
        own = {"HOME": scratch, "XDG_CACHE_HOME": scratch}
        command = [sys.executable, "-m", "facesets", "index", "--target", str(folder), "--pack"]
        command += [str(given.pack), "--provider", "cpu", "--database", address, "-q", "--stages"]
        with closing(Database(address)) as database:
            clock = ServerClock(database)
            for number in range(given.rounds):
                # Each runs first as often as second, to cancel effects that grow or wear off.
                for name, stages in sorted(variants.items(), reverse=number % 2 == 0):
                    database.run(lambda connection: connection.execute(EMPTY))
                    database.run_alone(lambda connection: connection.execute("CHECKPOINT"))
                    began = clock.seconds()
                    times[name].append(cpu_of([*command, ",".join(stages)], {**os.environ, **own}))
                    servers[name].append(clock.seconds() - began)
    report(given.stage, len(photos), times, servers)


def report(stage: str, photos: int, times: dict[str, list[float]], servers: dict[str, list[float]]) -> None:
    """Print the results of the process alone and with the server."""
    both = {name: [sum(pair) for pair in zip(times[name], servers[name], strict=True)] for name in times}
    for name, each in times.items():
        runs = (f"{own:.2f} + {its:.2f}" for own, its in zip(each, servers[name], strict=True))
        print(f"{name} {stage}: {', '.join(runs)} s of CPU (the process + the server)")
    for counted, seconds in ("the process", times), ("the process and the server", both):
        least = {name: min(each) for name, each in seconds.items()}
        added = least["with"] - least["without"]
        shares = [more / less - 1 for more, less in zip(seconds["with"], seconds["without"], strict=True)]
        print(
            f"{stage} adds to {counted} {1000 * added / photos:.2f} ms a photo: "
            f"{100 * added / least['without']:.1f} % of {least['without']:.2f} s by the least runs, "
            f"{100 * statistics.median(shares):.1f} % in the median of pairs "
            f"({100 * min(shares):.1f} to {100 * max(shares):.1f})"
        )


if __name__ == "__main__":
    main()
