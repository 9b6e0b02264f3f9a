"""Measure the cost of reading metadata: milliseconds and bytes per file, and its share in `embed`.

    .venv/bin/python scripts/benchmarks/metadata.py [--photos DIR] [--pack DIR] [--made 2000] [--index 200]
    .venv/bin/python scripts/benchmarks/metadata.py --known 10000

The files of a folder of real photos, and made ones as phones write them: 2 MB of JPEG, a thumbnail, a maker's
note of 20 kB, GPS and XMP. Bytes are those that the system was asked for. The share is of the CPU time of
`embed`, which is `index` without CLIP and a database, on photos of the folder with such heads. With --known
nothing but `index --stage metadata` is measured, over so many photos with such heads that a library knows.
"""

import argparse
import io
import json
import os
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import IO

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from embed import SHARED, timed
from tests.fixtures.made_faces import SETTINGS, made_image
from tests.fixtures.tagged_photos import (
    ALL_IN_XMP,
    CAMERA,
    CHANGED,
    MAKE,
    MAKER_NOTE,
    MODEL,
    exif,
    packet,
    photo,
    place,
)
from throw_away import throw_away_library

from facesets.file_records import FileRecord
from facesets.imaging.decode import SUFFIXES
from facesets.imaging.metadata.reader import read_metadata
from facesets.operations.ingest.stage_run import StageRunOptions, run_stage
from facesets.operations.ingest.stages import Photo, metadata_stage
from facesets.records import ImageRecord
from facesets.sources.folders import found_file
from facesets.store.postgres.library import Library
from facesets.work import Work

NOW = np.datetime64("now", "us")


class Counting(io.FileIO):
    """A file that counts bytes read from the disk."""

    bytes_read = 0

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        """Read and count."""
        count = super().readinto(buffer)
        self.bytes_read += count
        return count


def head(number: int) -> bytes:
    """Return APP1 parts as a phone writes them: EXIF with a maker's note and a thumbnail, and XMP."""
    main = {MAKE: "Maker", MODEL: f"Model {number % 7}", CHANGED: "2020:01:01 01:01:01"}
    note = {**CAMERA, MAKER_NOTE: os.urandom(20_000)}
    block = b"Exif\0\0" + exif(main, note, place(48.2, 16.37)) + photo("JPEG", edge=160)
    xmp_part = b"http://ns.adobe.com/xap/1.0/\0" + packet(ALL_IN_XMP, as_elements=True)
    return b"".join(b"\xff\xe1" + (len(each) + 2).to_bytes(2, "big") + each for each in (block, xmp_part))


def with_head(content: bytes, number: int) -> bytes:
    """Return a JPEG file with these parts in front."""
    return content[:2] + head(number) + content[2:]


def measure(title: str, files: list[Path]) -> None:
    """Read the files twice, with code not yet loaded the first time, and print the second cost."""
    sizes = []
    for path in files:
        raw = Counting(path)
        with io.BufferedReader(raw) as file:  # type: ignore[type-var]
            read_metadata(file, str(path), now=NOW)
        sizes.append(raw.bytes_read)
    ms = [_cpu_ms(path) for path in files]
    times = f"{statistics.mean(ms):.2f} ms each, median {statistics.median(ms):.2f}"
    kb = [size / 1000 for size in sizes]
    read = f"{statistics.median(kb):.0f} kB read in the median, 99 of 100 below {np.quantile(kb, 0.99):.0f}"
    print(f"{title}: {len(files)} files; {times} (99 of 100 below {np.quantile(ms, 0.99):.2f}); {read}")


def _cpu_ms(path: Path) -> float:
    began = time.thread_time()
    with path.open("rb") as file:
        read_metadata(file, str(path), now=NOW)
    return (time.thread_time() - began) * 1000


def share(photos: list[Path], pack: Path, scratch: Path) -> None:
    """Index copies of photos with heads in front into a cache, and print the share of reading metadata."""
    folder = scratch / "photos"
    folder.mkdir()
    for number, path in enumerate(photos):
        (folder / f"{number}.jpg").write_bytes(with_head(path.read_bytes(), number))
    account = scratch / "p.json"
    command = [sys.executable, "-m", "facesets", "embed", str(folder), str(scratch / "c.npz")]
    timed([*command, "--pack", str(pack), "--provider", "cpu", "--workers", "1", "--profile", str(account)])
    stages = json.loads(account.read_text())["stages"]
    stages.pop("load models", None)
    all_ms = 1000 * sum(stage["cpu_s"] for stage in stages.values()) / len(photos)
    own_ms = 1000 * stages["stages"]["cpu_s"] / len(photos)
    print(
        f"embed: {all_ms:.1f} ms of CPU a photo, of it stages {own_ms:.2f} ms: {100 * own_ms / all_ms:.2f} %"
    )


def known_photos(count: int, folder: Path) -> None:
    """Add photos to a library, and print the cost of the analysis step over them."""
    files, images = [], []
    plain, heads = photo("JPEG"), [head(number) for number in range(50)]
    for number in range(count):
        path = folder / f"IMG_{number}.jpg"
        path.write_bytes(plain[:2] + heads[number % len(heads)] + plain[2:])
        # As large as a photo, but sparse on the disk.
        os.truncate(path, 2_000_000)
        images.append(made_image(path.name, 1))
        files.append(found_file(str(path)))
    sizes: list[int] = []
    stage = metadata_stage(lambda: NOW)

    def look(seen: Photo, image: ImageRecord) -> ImageRecord:
        raw = Counting(seen.path)
        counting = _Counted(seen.path, raw)
        try:
            return stage.look(counting, image)
        finally:
            sizes.append(raw.bytes_read)

    with throw_away_library() as database:
        library = Library(database)
        with library.writing(SETTINGS):
            for start in range(0, count, 1000):
                some = slice(start, start + 1000)
                records = [
                    FileRecord(file.path, file.size, file.mtime_ns, image.sha256)
                    for file, image in zip(files[some], images[some], strict=True)
                ]
                library.commit(records, images[some])
        began, cpu = time.monotonic(), time.process_time()
        summary = run_stage(library, replace(stage, look=look), StageRunOptions(concurrency=2), work=Work())
        wall, own = time.monotonic() - began, time.process_time() - cpu
    print(
        f"stage metadata: {summary.completed} of {count} known photos; {1000 * wall / count:.2f} ms each, "
        f"{1000 * own / count:.2f} ms of CPU beside the server's; {statistics.median(sizes) / 1000:.1f} kB "
        f"read in the median, at most {max(sizes) / 1000:.1f} kB"
    )


class _Counted(Photo):
    """A photo whose file counts reads."""

    def __init__(self, path: str, raw: Counting) -> None:
        super().__init__(path)
        object.__setattr__(self, "_raw", raw)

    def open(self) -> IO[bytes]:
        """Open the file."""
        return io.BufferedReader(self._raw)  # type: ignore[attr-defined]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, default=SHARED / "faces" / "lfw_dev")
    parser.add_argument("--pack", type=Path, default=SHARED / "models" / "buffalo_test")
    parser.add_argument("--made", type=int, default=2000)
    parser.add_argument("--index", type=int, default=200)
    parser.add_argument("--known", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.known:
        with tempfile.TemporaryDirectory() as scratch:
            known_photos(arguments.known, Path(scratch))
        return
    photos = sorted(path for path in arguments.photos.rglob("*") if path.suffix.lower() in SUFFIXES)
    with tempfile.TemporaryDirectory() as scratch:
        made = Path(scratch) / "made"
        made.mkdir()
        pixels = os.urandom(2_000_000)
        for number in range(arguments.made):
            (made / f"IMG_{number}.jpg").write_bytes(with_head(photo("JPEG"), number) + pixels)
        for title, files in (arguments.photos.name, photos), ("made", sorted(made.iterdir())):
            measure(title, files)
        share(photos[: arguments.index], arguments.pack, Path(scratch))


if __name__ == "__main__":
    main()
