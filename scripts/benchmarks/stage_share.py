"""What a stage adds to `index`: its CPU time with and without the stage, alternately, on the same photos.

    .venv/bin/python scripts/benchmarks/stage_share.py [attributes] [--photos DIR] [--pack DIR]
        [--count 150] [--rounds 3]

Each run is a process of its own that takes the photos into an empty library; what the server does is not
counted. CPU time is said, which other programs on the machine lengthen less than the time on a clock, and
the least of each one's runs counts.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from embed import SHARED
from throw_away import throw_away_server

from facesets.store.postgres.connection import Database

ALWAYS = ("metadata", "detection")
EMPTY = "TRUNCATE images, image_paths, galleries, models, detectors, persons CASCADE"


def cpu_of(command: list[str], environment: dict[str, str]) -> float:
    """Seconds of CPU that a program takes, with all that it starts and waits for."""
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stage", nargs="?", default="attributes")
    parser.add_argument("--photos", type=Path, default=SHARED / "faces" / "lfw_dev")
    parser.add_argument("--pack", type=Path, default=SHARED / "models" / "buffalo_test")
    parser.add_argument("--count", type=int, default=150)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    without = [each for each in ALWAYS if each != given.stage]
    variants = {"without": without, "with": [*without, given.stage]}
    times: dict[str, list[float]] = {name: [] for name in variants}
    photos = sorted(given.photos.rglob("*.jpg"))[: given.count]
    with tempfile.TemporaryDirectory() as scratch, throw_away_server() as address:
        folder = Path(scratch) / "photos"
        folder.mkdir()
        for number, photo in enumerate(photos):
            (folder / f"{number}.jpg").write_bytes(photo.read_bytes())
        own = {"HOME": scratch, "XDG_CACHE_HOME": scratch}
        command = [sys.executable, "-m", "facesets", "index", "--target", str(folder), "--pack"]
        command += [str(given.pack), "--provider", "cpu", "--database", address, "-q", "--stages"]
        with closing(Database(address)) as database:
            for _ in range(given.rounds):
                for name, stages in variants.items():
                    database.run(lambda connection: connection.execute(EMPTY))
                    times[name].append(cpu_of([*command, ",".join(stages)], {**os.environ, **own}))
    least = {name: min(each) for name, each in times.items()}
    for name, each in times.items():
        print(f"{name} {given.stage}: {', '.join(f'{seconds:.2f}' for seconds in each)} s of CPU")
    added = least["with"] - least["without"]
    print(
        f"{given.stage} adds {1000 * added / len(photos):.2f} ms a photo: "
        f"{100 * added / least['without']:.1f} % of {least['without']:.2f} s"
    )


if __name__ == "__main__":
    main()
