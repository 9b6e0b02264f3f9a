"""Measure how fast `export-xmp` writes sidecars, and how fast it finds that nothing changed.

    python scripts/benchmarks/xmp.py --photos 20000 --known 1000000

A library of so many known photos, each with a face of one of a hundred people who have names; of some there
are files, hard links of a few small JPEGs below --folder, on the disk to be measured.
"""

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from throw_away import throw_away_library

from facesets.operations.interchange.export_xmp import export_xmp
from facesets.operations.interchange.undo_xmp import undo_xmp
from facesets.operations.options.library import ExportXmpOptions
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.library import Library
from facesets.work import Work

_PEOPLE = 100


def main() -> None:
    """Measure, and print a line for each figure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=int, default=5_000, help="of which there are files")
    parser.add_argument("--known", type=int, default=50_000, help="in the library")
    parser.add_argument("--folder", type=Path, default=None, help="where photos are made")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fsbench.", dir=arguments.folder) as folder:
        photos = Path(folder) / "photos"
        _make_photos(photos, arguments.photos)
        with throw_away_library() as database:
            database.run(lambda connection: _fill(connection, photos, arguments))
            database.run_alone(lambda connection: connection.execute("VACUUM ANALYZE"))
            _measure(Library(database), arguments.photos)


def _measure(library: Library, photos: int) -> None:
    def export(*, dry_run: bool = False) -> None:
        options = ExportXmpOptions(dry_run=dry_run)
        done = export_xmp(library, (), options, work=Work())
        print(
            f"    new {done.new}, changed {done.changed}, unchanged {done.unchanged}, missing {done.missing}"
        )

    with _timed("dry run", photos):
        export(dry_run=True)
    with _timed("first run", photos):
        export()
    with _timed("nothing to write", photos):
        export()
    rename = "UPDATE person_names SET name = name || ' Berg' WHERE name LIKE '%7'"
    library.database.run(lambda connection: connection.execute(rename))
    with _timed("a tenth renamed", photos // 10):
        export()
    with _timed("taken back", photos // 10):
        undo_xmp(library.database, "last", work=Work())
    print(f"peak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


@contextmanager
def _timed(what: str, count: int) -> Iterator[None]:
    began, cpu = time.monotonic(), time.process_time()
    yield
    seconds = time.monotonic() - began
    print(
        f"{what}: {seconds:.1f} s, {time.process_time() - cpu:.1f} s of CPU, {count / seconds:.0f} sidecars/s"
    )


def _make_photos(folder: Path, count: int) -> None:
    for number in range(count):
        place = folder / f"{number // 1000}"
        if number % 1000 == 0:
            place.mkdir(parents=True)
            Image.new("RGB", (640, 480), "teal").save(place / f"{number}.jpg")
        else:
            os.link(place / f"{number - number % 1000}.jpg", place / f"{number}.jpg")


def _fill(connection: Connection, folder: Path, arguments: argparse.Namespace) -> None:
    """Add rows as `index` and `people name` make them, without vectors."""
    status = [
        (folder / f"{place}" / f"{place * 1000}.jpg").stat() for place in range(-(-arguments.photos // 1000))
    ]
    given = {
        "known": arguments.known,
        "folder": f"{folder}",
        "people": _PEOPLE,
        "sizes": [each.st_size for each in status],
        "times": [each.st_mtime_ns for each in status],
    }
    for statement in _FILL:
        connection.execute(statement, given)


_FILL = (
    "INSERT INTO models (kind, name, sha256, dimension) VALUES ('face', 'made', 'aa', 512)",
    """INSERT INTO detectors (model_id, pack, detector, detector_sha256, det_size, min_det_score)
        SELECT id, 'made', 'made', 'bb', 640, 0.5 FROM models""",
    """INSERT INTO images (sha256, width, height, fingerprint)
        SELECT lpad(to_hex(n), 64, '0'), 640, 480, '' FROM generate_series(0, %(known)s - 1) n ORDER BY n""",
    """INSERT INTO face_scans (image_id, detector_id) SELECT i.id, d.id FROM images i, detectors d""",
    """INSERT INTO image_paths (path, size, mtime_ns, sha256, image_id)
        SELECT %(folder)s || '/' || (id - 1) / 1000 || '/' || (id - 1) || '.jpg',
            coalesce((%(sizes)s::bigint[])[(id - 1) / 1000 + 1], 1),
            coalesce((%(times)s::bigint[])[(id - 1) / 1000 + 1], 1), sha256, id FROM images""",
    "INSERT INTO persons (id) SELECT gen_random_uuid() FROM generate_series(1, %(people)s)",
    """INSERT INTO person_names (person_id, name)
        SELECT id, 'Person ' || row_number() OVER () FROM persons""",
    """WITH numbered AS (SELECT id, row_number() OVER () - 1 AS n FROM persons)
        INSERT INTO face_detections (image_id, detector_id, ordinal, x1, y1, x2, y2, kps, det_score, quality,
            face_short, blur, pose, person_id, assigned_by)
        SELECT i.id, d.id, 0, 100, 100, 200, 220, '{}', 0.9, 0.9, 100, 100, '{}', p.id, 'auto'
        FROM images i JOIN numbered p ON p.n = i.id %% %(people)s, detectors d""",
)


if __name__ == "__main__":
    main()
