"""Searching photos by people, time, place and camera, without vectors.

    .venv/bin/python scripts/benchmarks/photo_search.py [--count N] [--queries 60] [--database URL]

The library is made by SQL: twenty years of photos, a home that moves once, journeys, cameras one after the
other, and 300 people of whom the largest is on a twentieth of the photos. Conditions are those of one photo,
drawn by chance. Says the time of finding the twenty latest, and of counting.
"""

import argparse
import random
import time
from collections.abc import Callable
from contextlib import closing, nullcontext
from datetime import timedelta
from functools import partial
from typing import Any

import numpy as np
from throw_away import throw_away_server

from facesets.places import Near
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.photo_cameras import cameras_called
from facesets.store.postgres.photo_dates import Dates
from facesets.store.postgres.photo_filter import PhotoFilter
from facesets.store.postgres.photo_search import count_photos, find_photos

KINDS = (
    *("near", "dates", "camera", "person", "near dates", "near camera", "camera dates", "person dates"),
    *("person near", "person camera", "person near camera dates"),
)
FILL = (
    "SELECT setseed(0.5)",
    "ALTER TABLE face_detections DISABLE TRIGGER USER",
    """INSERT INTO images (sha256, width, height, taken, fingerprint)
        SELECT lpad(to_hex(n), 64, '0'), 4000, 3000, timestamp '2005-01-01' + n * interval '630 seconds',
            decode(repeat('00', 32), 'hex') FROM generate_series(1, %(count)s) n""",
    """INSERT INTO image_paths (path, size, mtime_ns, sha256, image_id)
        SELECT '/photos/' || sha256 || '.jpg', 1, 1, sha256, id FROM images""",
    """INSERT INTO cameras (make, model, lens) SELECT 'Maker' || (m / 4), 'M' || (100 + m), 'Lens ' || l
        FROM generate_series(0, 23) m, generate_series(0, 1) l ORDER BY m, l""",
    """INSERT INTO photo_metadata SELECT i.id, i.taken, 'DateTimeOriginal', '', 60,
        CASE WHEN r.a < .6 THEN CASE WHEN i.id < %(count)s * .55 THEN 48.137 ELSE 52.52 END + r.x * .08
            WHEN r.a < .85 THEN -55 + (j.n * 7919 %% 1250) / 10.0 + r.x * .1 END,
        CASE WHEN r.a < .6 THEN CASE WHEN i.id < %(count)s * .55 THEN 11.575 ELSE 13.405 END + r.y * .12
            WHEN r.a < .85 THEN -180 + (j.n * 104729 %% 3590) / 10.0 + r.y * .1 END,
        500, 5, 1 + 2 * least(23, i.id * 22 / %(count)s + (r.c * 1.4)::int) + (r.b * .8)::int,
        100, 2.8, .01, 35, 1, '{}'
        FROM images i, LATERAL (SELECT random() + 0 * i.id AS a, random() AS b, random() AS c,
            random() + random() + random() - 1.5 AS x, random() + random() + random() - 1.5 AS y) r,
            LATERAL (SELECT i.id * 520 / %(count)s AS n) j""",
    "INSERT INTO persons (id) SELECT gen_random_uuid() FROM generate_series(1, 300)",
    "INSERT INTO models (kind, name, sha256, dimension) VALUES ('face', 'made', 'aa', 512)",
    """INSERT INTO detectors (model_id, pack, detector, detector_sha256, det_size, min_det_score)
        SELECT id, 'made', 'made', 'bb', 640, .5 FROM models""",
    """INSERT INTO face_detections (image_id, detector_id, ordinal, x1, y1, x2, y2, kps, det_score, quality,
            face_short, blur, pose, person_id)
        SELECT i.id, d.id, 0, 10, 10, 100, 100, '{}', .9, .9, 90, 50, '{}', p.id
        FROM detectors d, images i, LATERAL (SELECT (300 * random() ^ 3)::int + 0 * i.id AS n) r
            LEFT JOIN (SELECT id, row_number() OVER () AS n FROM persons) p ON p.n = r.n""",
    "ALTER TABLE face_detections ENABLE TRIGGER USER",
)


def fill(database: Database, count: int) -> None:
    """Make the library."""
    began = time.perf_counter()
    for statement in FILL:
        given: dict[str, object] | None = {"count": count} if "%(count)s" in statement else None
        database.run(partial(_execute, statement=statement, given=given))
    database.run_alone(lambda connection: connection.execute("VACUUM ANALYZE"))
    print(f"{count} photos made in {time.perf_counter() - began:.0f} s")


def _execute(connection: Connection, statement: str, given: dict[str, object] | None) -> None:
    connection.execute(statement.encode(), given)


def asked_of(connection: Connection, kind: str, row: tuple[Any, ...], rng: random.Random) -> PhotoFilter:
    """Conditions that a photo fits."""
    taken, latitude, longitude, model, person = row
    days = rng.choice([0, 7, 30, 365, 3650])
    first = taken.date() - timedelta(days=rng.randrange(days + 1))
    return PhotoFilter(
        persons=(person,) if "person" in kind else (),
        dates=Dates(first, first + timedelta(days=days)) if "dates" in kind else Dates(),
        near=Near(latitude, longitude, rng.choice([1, 5, 10, 50, 300])) if "near" in kind else None,
        cameras=cameras_called(connection, model) if "camera" in kind else None,
    )


def timed(database: Database, work: Callable[[Connection], object]) -> float:
    """Milliseconds that it takes."""
    began = time.perf_counter()
    database.run(work)
    return (time.perf_counter() - began) * 1000


def measure(database: Database, queries: int) -> None:
    """Print the times of each kind of search."""
    rng = random.Random(1)
    rows = database.run(
        lambda connection: connection.execute(
            """SELECT i.taken, m.latitude, m.longitude, c.model, f.person_id FROM images i
                JOIN photo_metadata m ON m.image_id = i.id JOIN cameras c ON c.id = m.camera_id
                JOIN face_detections f ON f.image_id = i.id
                WHERE m.latitude IS NOT NULL AND f.person_id IS NOT NULL ORDER BY md5(i.sha256) LIMIT 1000"""
        ).fetchall()
    )
    for kind in KINDS:
        found, counted = [], []
        for _ in range(queries):
            row = rng.choice(rows)
            asked = database.run(partial(asked_of, kind=kind, row=row, rng=rng))
            found.append(timed(database, partial(find_photos, asked=asked, offset=0, limit=20)))
            counted.append(timed(database, partial(count_photos, asked=asked)))
        figures = [np.percentile(each[queries // 10 :], [50, 95]) for each in (found, counted)]
        print(
            f"{kind}: p50 {figures[0][0]:.1f} ms, p95 {figures[0][1]:.1f} ms; counting "
            f"p50 {figures[1][0]:.1f} ms, p95 {figures[1][1]:.1f} ms",
            flush=True,
        )


def main() -> None:
    """Make a library and search it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=60)
    parser.add_argument("--database")
    given = parser.parse_args()
    server = nullcontext(given.database) if given.database else throw_away_server()
    with server as address, closing(Database(address)) as database:
        if not database.run(lambda c: c.execute("SELECT FROM images LIMIT 1").fetchone()):
            fill(database, given.count)
        measure(database, given.queries)


if __name__ == "__main__":
    main()
