"""`facesets embed` beside insightface's own loop, on the same pictures, in one run.

    .venv/bin/python scripts/benchmarks/embed.py [--photos DIR] [--pack DIR] [--small 300] [--large 40]

The peer is the loop that everybody writes: `FaceAnalysis.get(cv2.imread(path))`, detection and recognition
only. Ours is the whole command, start, listing, hashing, fingerprints and the cache included. Both run in
processes of their own, alternately, and the better of each one's runs counts.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("FACESETS_TEST_SHARED", REPOSITORY.parent / "shared"))

PEER = """
import sys, time, warnings
warnings.simplefilter("ignore")
started = time.perf_counter()
import cv2
from insightface.app import FaceAnalysis
from pathlib import Path
folder, pack = sys.argv[1:]
models = FaceAnalysis(pack, allowed_modules=["detection", "recognition"], providers=["CPUExecutionProvider"])
models.prepare(0, det_size=(640, 640))
loaded = time.perf_counter()
faces = sum(len(models.get(cv2.imread(str(path)))) for path in sorted(Path(folder).rglob("*.jpg")))
print(faces, time.perf_counter() - loaded, loaded - started)
"""


@dataclass(frozen=True)
class Timing:
    """One run of one program; seconds of wall clock with the start and without, peak memory in MB."""

    faces: int
    wall_s: float
    start_s: float
    cpu_s: float
    peak_mb: float


def timed(arguments: list[str]) -> tuple[str, float, float, float]:
    """Run a command: what it printed, wall seconds, CPU seconds, peak MB."""
    started = time.perf_counter()
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    printed = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"failed: {' '.join(arguments)}")
    wall = time.perf_counter() - started
    return printed, wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def peer(folder: Path, pack: Path) -> Timing:
    """Insightface's loop."""
    printed, _, cpu, peak = timed([sys.executable, "-c", PEER, str(folder), str(pack)])
    faces, seconds, start = printed.split()[-3:]
    return Timing(int(faces), float(seconds), float(start), cpu, peak)


def ours(folder: Path, pack: Path) -> Timing:
    """The command; its start is inside its wall time."""
    with tempfile.TemporaryDirectory() as scratch:
        cache = Path(scratch) / "c.npz"
        flags = ["--pack", str(pack), "--provider", "cpu", "--json"]
        printed, wall, cpu, peak = timed(
            [sys.executable, "-m", "facesets", "embed", str(folder), str(cache), *flags]
        )

    return Timing(int(json.loads(printed)["faces"]), wall, 0.0, cpu, peak)


def compare(title: str, folder: Path, pack: Path, repeats: int) -> None:
    """Time both on a folder and print the ratio."""
    count = len(list(folder.rglob("*.jpg")))
    runs = [(peer(folder, pack), ours(folder, pack)) for _ in range(repeats)]
    theirs = min((pair[0] for pair in runs), key=lambda t: t.wall_s)
    mine = min((pair[1] for pair in runs), key=lambda t: t.wall_s)
    print(f"\n{title}: {count} pictures")
    for name, t in (("insightface loop", theirs), ("facesets embed", mine)):
        print(
            f"  {name:17} {count / t.wall_s:7.1f} images/s {t.faces / t.wall_s:7.1f} faces/s "
            f"({t.faces} faces)  CPU {t.cpu_s / (t.wall_s + t.start_s):4.2f} cores  peak {t.peak_mb:5.0f} MB"
        )
    print(f"  ratio             {theirs.wall_s / mine.wall_s:.2f}×")


def large_pictures(faces: list[Path], folder: Path, count: int) -> None:
    """Twelve-megapixel JPEGs with one to four faces each."""
    sys.path.insert(0, str(REPOSITORY))
    from tests.photos import wide_picture

    folder.mkdir()
    for i in range(count):
        some = faces[i * 4 : i * 4 + 1 + i % 4]
        wide_picture(some, 4000, 3000).save(folder / f"{i:03d}.jpg", quality=90)


def main() -> None:
    """Compare on small and on large pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, default=SHARED / "faces" / "lfw_dev")
    parser.add_argument("--pack", type=Path, default=SHARED / "models" / "buffalo_test")
    parser.add_argument("--small", type=int, default=300)
    parser.add_argument("--large", type=int, default=40)
    parser.add_argument("--repeats", type=int, default=2)
    arguments = parser.parse_args()
    photos = sorted(arguments.photos.rglob("*.jpg"))
    with tempfile.TemporaryDirectory() as scratch:
        small = Path(scratch) / "small"
        small.mkdir()
        for i, photo in enumerate(photos[: arguments.small]):
            (small / f"{i:05d}.jpg").symlink_to(photo)
        compare("small photos", small, arguments.pack, arguments.repeats)
        large_pictures(photos, Path(scratch) / "large", arguments.large)
        compare("12 megapixels", Path(scratch) / "large", arguments.pack, arguments.repeats)


if __name__ == "__main__":
    main()
