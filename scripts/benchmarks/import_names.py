"""Measure time and memory of `import-names` in a large library.

    .venv/bin/python scripts/benchmarks/import_names.py [--photos 1000000] [--named 500000] [--people 5000]

A library of so many photos with two faces each is made on a throw-away server, and an export of osxphotos
that names one face on each of the first photos. Printed are the times of a first run, which says all of these
names, of a second, which changes nothing, and of taking the first one back; and the most memory that it took.
"""

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from throw_away import throw_away_library

from facesets.operations.interchange.import_names import import_names
from facesets.operations.interchange.name_sources import FilesRead, named_photos
from facesets.operations.people.corrections.history import undo
from facesets.result import Result
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.library import Library
from facesets.work import Work

BY = "benchmark@here"
FILL = (
    "INSERT INTO models (kind, name, sha256, dimension) VALUES ('face', 'made', repeat('a', 64), 512)",
    """INSERT INTO detectors (model_id, pack, detector, detector_sha256, det_size, min_det_score)
        SELECT id, 'made', 'made', repeat('b', 64), 640, 0.5 FROM models""",
    "ALTER TABLE images DISABLE TRIGGER ALL",
    "ALTER TABLE face_detections DISABLE TRIGGER ALL",
    "ALTER TABLE image_paths DISABLE TRIGGER ALL",
    """INSERT INTO images (id, sha256, width, height, fingerprint)
        SELECT n, md5(n::text) || md5((-n)::text), 4000, 3000, ''::bytea FROM generate_series(1, %s) n""",
    """INSERT INTO image_paths (path, size, mtime_ns, sha256, image_id)
        SELECT '/photos/' || mod(id, 1000) || '/IMG_' || id || '.jpg', 3000000 + id, 1, sha256, id
        FROM images""",
    "INSERT INTO face_scans (image_id, detector_id) SELECT i.id, d.id FROM images i, detectors d",
    """INSERT INTO face_detections (image_id, detector_id, ordinal, x1, y1, x2, y2, kps, det_score, quality,
            face_short, blur, pose)
        SELECT i.id, d.id, k, 400 + 1600 * k, 600, 1200 + 1600 * k, 1500, '{}', 0.9, 0.7, 800, 90, '{}'
        FROM images i, detectors d, generate_series(0, 1) k""",
    "ALTER TABLE images ENABLE TRIGGER ALL",
    "ALTER TABLE face_detections ENABLE TRIGGER ALL",
    "ALTER TABLE image_paths ENABLE TRIGGER ALL",
)


def fill(database: Database, photos: int) -> None:
    """Make the library."""

    def work(connection: Connection) -> None:
        for statement in FILL:
            connection.execute(statement.encode(), (photos,) if "%s" in statement else None)

    database.run(work)
    database.run_alone(lambda connection: connection.execute("VACUUM ANALYZE"))


def export(path: Path, named: int, people: int) -> None:
    """Write an export as osxphotos prints it."""
    with path.open("w", encoding="utf-8") as file:
        for number in range(1, named + 1):
            face = {"name": f"Person {number % people}", "center_x": 0.2, "center_y": 0.65, "size": 0.225}
            photo = {
                "path": f"/photos/{number % 1000}/IMG_{number}.jpg",
                "width": 4000,
                "height": 3000,
                "persons": [face["name"]],
                "face_info": [face],
                # As long as a real photo's record.
                "labels": [f"label {each}" for each in range(60)],
            }
            file.write(("[" if number == 1 else ",") + json.dumps(photo))
        file.write("]")


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Print how long something takes."""
    began = time.perf_counter()
    yield
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{what}: {time.perf_counter() - began:.1f} s, {most:.0f} MB at most", flush=True)


def bring(database: Database, path: Path) -> Result:
    """Run `import-names`."""
    read = FilesRead()
    return import_names(
        Library(database), named_photos([path], "osxphotos", read), read, path.name, work=Work(by=BY)
    )


def main() -> None:
    """Make a library, and import names into it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--photos", type=int, default=1_000_000)
    parser.add_argument("--named", type=int, default=500_000)
    parser.add_argument("--people", type=int, default=5000)
    options = parser.parse_args()
    with throw_away_library() as database, tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "photos.json"
        with timed(f"{options.photos} photos made"):
            fill(database, options.photos)
            export(path, options.named, options.people)
        print(f"{path.stat().st_size / 1e6:.0f} MB of JSON")
        with timed("first run"):
            found = bring(database, path)
        print(f"{found.named} faces named, {found.people} people")
        with timed("second run"):
            again = bring(database, path)
        print(f"{again.known} known, step {again.step}")
        with timed("undo"):
            undo(database, found.step, by=BY)


if __name__ == "__main__":
    main()
