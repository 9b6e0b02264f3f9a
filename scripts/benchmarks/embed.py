"""Compare `facesets embed` with insightface's own loop, on the same pictures, in one run.

    .venv/bin/python scripts/benchmarks/embed.py [--photos DIR] [--pack DIR] [--small 300] [--large 40]
        [--heic 0] [--fast-decode]

The peer is the usual loop: `FaceAnalysis.get(cv2.imread(path))`, detection and recognition
only. Ours is the whole command, listing, hashing, fingerprints and the cache included; once with its start
and once without, as the peer's rate never counts its own. Both run in processes of their own, alternately,
and the better of each one's runs counts. For HEIC the peer is the bare decoder, in as many threads as
there are processors: nothing that reads those files can be faster.
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

HEIC_PEER = """
import os, sys, time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
import numpy as np, pillow_heif
files = sorted(Path(sys.argv[1]).rglob("*.heic"))
started = time.perf_counter()
with ThreadPoolExecutor(os.cpu_count()) as pool:
    list(pool.map(lambda path: np.asarray(pillow_heif.open_heif(path)).shape, files))
print(0, time.perf_counter() - started, 0.0)
"""

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
    """One run of one program.

    `wall_s` is without the start, and `cpu_s` with it; `stages_s` is the CPU time of all stages.
    """

    faces: int
    wall_s: float
    start_s: float
    cpu_s: float
    peak_mb: float
    cores: float
    stages_s: float = float("nan")


def timed(arguments: list[str]) -> tuple[str, float, float, float]:
    """Run a command; return its output, wall seconds, CPU seconds and peak MB."""
    started = time.perf_counter()
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    printed = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"failed: {' '.join(arguments)}")
    wall = time.perf_counter() - started
    return printed, wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def peer(program: str, folder: Path, pack: Path) -> Timing:
    """Time insightface's loop."""
    printed, wall, cpu, peak = timed([sys.executable, "-c", program, str(folder), str(pack)])
    faces, seconds, start = printed.split()[-3:]
    return Timing(int(faces), float(seconds), float(start), cpu, peak, cpu / wall)


def ours(folder: Path, pack: Path, flags: list[str]) -> Timing:
    """Time `facesets embed`."""
    with tempfile.TemporaryDirectory() as scratch:
        cache, account = Path(scratch) / "c.npz", Path(scratch) / "p.json"
        flags = ["--pack", str(pack), "--provider", "cpu", "--json", "--profile", str(account), *flags]
        printed, wall, cpu, peak = timed(
            [sys.executable, "-m", "facesets", "embed", str(folder), str(cache), *flags]
        )
        profile = json.loads(account.read_text())
    loading = profile["stages"].pop("load models")
    stages = sum(stage["cpu_s"] for stage in profile["stages"].values())
    run = profile["wall_s"] - loading["wall_s"]
    faces = int(json.loads(printed)["faces"])
    return Timing(faces, run, wall - run, cpu, peak, (profile["cpu_s"] - loading["cpu_s"]) / run, stages)


def compare(
    title: str, folder: Path, pack: Path, repeats: int, flags: list[str], program: str = PEER
) -> None:
    """Time both on a folder and print the ratio."""
    count = sum(1 for _ in folder.iterdir())
    runs = [(peer(program, folder, pack), ours(folder, pack, flags)) for _ in range(repeats)]
    theirs = min((pair[0] for pair in runs), key=lambda t: t.wall_s)
    mine = min((pair[1] for pair in runs), key=lambda t: t.wall_s)
    print(f"\n{title}: {count} pictures")
    rival = "bare decoder" if program is HEIC_PEER else "insightface loop"
    for name, t in ((rival, theirs), ("facesets embed", mine)):
        print(
            f"  {name:17} {count / t.wall_s:6.1f} images/s {t.faces / t.wall_s:6.1f} faces/s"
            f"  start {t.start_s:4.2f} s  {t.cores:4.2f} cores  peak {t.peak_mb:5.0f} MB"
        )
    share = mine.wall_s / (mine.stages_s / (os.cpu_count() or 1))
    print(
        f"  ratio {theirs.wall_s / mine.wall_s:.2f}× without the starts, "
        f"{theirs.wall_s / (mine.wall_s + mine.start_s):.2f}× with ours; "
        f"our wall time is {share:.2f}× the stages' CPU time over the processors"
    )


def large_pictures(faces: list[Path], folder: Path, count: int, suffix: str = ".jpg") -> None:
    """Make twelve-megapixel pictures with one to four faces each."""
    sys.path.insert(0, str(REPOSITORY))
    import pillow_heif
    from tests.fixtures.photos import wide_picture

    pillow_heif.register_heif_opener()

    folder.mkdir()
    for i in range(count):
        some = faces[i * 4 : i * 4 + 1 + i % 4]
        wide_picture(some, 4000, 3000).save(folder / f"{i:03d}{suffix}", quality=90)


def main() -> None:
    """Compare on small and on large pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, default=SHARED / "faces" / "lfw_dev")
    parser.add_argument("--pack", type=Path, default=SHARED / "models" / "buffalo_test")
    parser.add_argument("--small", type=int, default=300)
    parser.add_argument("--large", type=int, default=40)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--heic", type=int, default=0)
    parser.add_argument("--fast-decode", action="store_true")
    arguments = parser.parse_args()
    flags = ["--fast-decode"] if arguments.fast_decode else []
    photos = sorted(arguments.photos.rglob("*.jpg"))
    with tempfile.TemporaryDirectory() as scratch:
        small = Path(scratch) / "small"
        small.mkdir()
        for i, photo in enumerate(photos[: arguments.small]):
            (small / f"{i:05d}.jpg").symlink_to(photo)
        if arguments.small:
            compare("small photos", small, arguments.pack, arguments.repeats, flags)
        if arguments.large:
            large = Path(scratch) / "large"
            large_pictures(photos, large, arguments.large)
            compare("12 megapixels", large, arguments.pack, arguments.repeats, flags)
        if arguments.heic:
            heic = Path(scratch) / "heic"
            large_pictures(photos, heic, arguments.heic, ".heic")
            compare("12 megapixels, HEIC", heic, arguments.pack, arguments.repeats, flags, HEIC_PEER)


if __name__ == "__main__":
    main()
