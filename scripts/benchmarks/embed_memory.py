"""Compare peak memory of `facesets embed` for few and many pictures: it should not grow.

    .venv/bin/python scripts/benchmarks/embed_memory.py [--few 2000] [--many 20000] [--det-size 160]

Each picture is one of the test photos with a number behind its end, so that its bytes occur once. The
detector's input is small by default: its size adds the same to both.
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from embed import SHARED, timed


def pictures(photos: list[Path], folder: Path, count: int) -> None:
    """Make files with different contents."""
    contents = [photo.read_bytes() for photo in photos]
    folder.mkdir()
    for i in range(count):
        (folder / f"{i:06d}.jpg").write_bytes(contents[i % len(contents)] + i.to_bytes(4, "big"))


def main() -> None:
    """Embed both numbers of pictures and print the ratio of the peaks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, default=SHARED / "faces" / "lfw_dev")
    parser.add_argument("--pack", type=Path, default=SHARED / "models" / "buffalo_test")
    parser.add_argument("--few", type=int, default=2000)
    parser.add_argument("--many", type=int, default=20_000)
    parser.add_argument("--det-size", type=int, default=160)
    arguments = parser.parse_args()
    photos = sorted(arguments.photos.rglob("*.jpg"))
    peaks = []
    for count in (arguments.few, arguments.many):
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "photos"
            pictures(photos, folder, count)
            flags = [
                "--pack",
                arguments.pack,
                "--provider",
                "cpu",
                "--det-size",
                arguments.det_size,
                "--json",
            ]
            cache = Path(scratch) / "c.npz"
            command = [sys.executable, "-m", "facesets", "embed", folder, cache, *flags]
            printed, wall, _, peak = timed(
                [os.fspath(part) if isinstance(part, Path) else str(part) for part in command]
            )
            peaks.append(peak)
            faces = json.loads(printed)["faces"]
            print(f"{count:6} pictures, {faces:6} faces: {wall:6.1f} s, peak {peak:5.0f} MB", flush=True)
    print(f"ratio of the peaks: {peaks[1] / peaks[0]:.2f}")


if __name__ == "__main__":
    main()
