"""Search photos by all known facts: people, time, place, camera, tags, ages and words.

    .venv/bin/python scripts/benchmarks/photo_search.py [--count N] [--queries 60] [--database URL]
        [--folder DIR] [--kinds "person near,person tag"] [--vectors]

The library is made by SQL: twenty years of photos, a home that moves once, journeys, cameras one after the
other, 300 people of whom the largest is on a twentieth of the photos, two of thirty tags a photo, one of six
a face, and a description of every tenth photo. Conditions are those of one photo, drawn by chance. Says the
time of finding the twenty latest, and of counting as the API and the page do; beside it the processor time of
the server alone, which other programs on the machine lengthen less. With `--vectors` photos have CLIP vectors
of 512 numbers and an index over them, too, and are also found by one: 4 GB more for 1 000 000 photos, and
half an hour. A folder keeps the library for the next time.
"""

import argparse
import random
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, closing
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import LiteralString, NamedTuple
from uuid import UUID

import numpy as np
from psycopg import sql
from throw_away import kept_library, throw_away_library

from facesets.ages import AgeRange
from facesets.places import Near
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.models import clip_models
from facesets.store.postgres.photos.filter import AskedTag, Dates, PhotoFilter
from facesets.store.postgres.photos.metadata import cameras_called
from facesets.store.postgres.photos.search import count_photos, find_photos, image_vectors, photos_near
from facesets.store.postgres.photos.vector_index import build_index, has_index

KINDS = (
    *("near", "dates", "camera", "person", "tag", "words"),
    *("near dates", "near camera", "camera dates", "person dates", "near tag", "tag dates", "near words"),
    *("person near", "person camera", "person tag", "person facetag", "person age", "person words"),
    *("person person", "person near dates", "person near camera", "person camera dates"),
    *("person near tag", "person tag dates", "person near age", "person camera words"),
    *("person near camera dates", "person near camera dates tag age words"),
)
WORDS = ("dog", "bicycle", "beach", "snow", "garden", "lantern", "harbour", "violin")
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
            face_short, blur, pose, person_id, age)
        SELECT i.id, d.id, 0, 10, 10, 100, 100, '{}', .9, .9, 90, 50, '{}', p.id, i.id %% 80
        FROM detectors d, images i, LATERAL (SELECT (300 * random() ^ 3)::int + 0 * i.id AS n) r
            LEFT JOIN (SELECT id, row_number() OVER () AS n FROM persons) p ON p.n = r.n""",
    "ALTER TABLE face_detections ENABLE TRIGGER USER",
    """INSERT INTO birth_corrections (person_id, year)
        SELECT id, 1930 + ascii(id::text) FROM persons LIMIT 150""",
    """INSERT INTO tag_categories (name, target, selection_mode, min_confidence, templates, none_prompts)
        VALUES ('made', 'scene', 'multi', 0, '{}', '{}'), ('seen', 'face', 'single', 0, '{}', '{}')""",
    """INSERT INTO tags (category_id, place, name, phrases) SELECT c.id, n,
        c.target || n, '{}' FROM tag_categories c, generate_series(1, 30) n
        WHERE c.target = 'scene' OR n <= 6 ORDER BY c.id, n""",
    """INSERT INTO image_tags (image_id, tag_id, confidence)
        SELECT i.id, 1 + (29 * random() ^ 3)::int, .9 FROM images i, generate_series(1, 2)
        ON CONFLICT DO NOTHING""",
    "INSERT INTO face_tags (face_id, tag_id, confidence) SELECT id, 31 + id %% 6, .9 FROM face_detections",
    """INSERT INTO descriptions (image_id, sha256, description, quality, season, time_of_day, environment,
            people, activities, objects, text_in_image, tags, emotional_tone, answer, provider, model, prompt,
            input_tokens, output_tokens, cache_read_tokens, cache_write_tokens)
        SELECT i.id, i.sha256, '', 1, '', '', '', 0, '{}', '{}', '', '{}', '', jsonb_build_object('said',
            array_to_string((%(words)s::text[])[1:1 + (7 * random() ^ 2)::int], ' ')), '', '', '', 0, 0, 0, 0
        FROM images i WHERE i.id %% 10 = 0""",
)
FILL_VECTORS = (
    """INSERT INTO models (kind, name, sha256, dimension) VALUES ('clip', 'made', 'cc', 512)
        ON CONFLICT DO NOTHING""",
    # Each is near one of a thousand others, and no two are equal.
    """WITH made AS MATERIALIZED (SELECT n, (SELECT array_agg(random() - .5 + 0 * n * k)
                FROM generate_series(1, 512) k)::vector AS vector FROM generate_series(0, 1999) n)
        INSERT INTO image_embeddings (image_id, model_id, embedding)
        SELECT i.id, m.id, l2_normalize(near.vector + near.vector + own.vector) FROM models m, images i
            JOIN made near ON near.n = i.id %% 1000 JOIN made own ON own.n = 1000 + i.id %% 997
        WHERE m.kind = 'clip'""",
)


class Row(NamedTuple):
    """Return the data of one photo, and another person."""

    taken: datetime
    latitude: float
    longitude: float
    model: str
    person: UUID
    tag: int
    other: UUID


def fill(database: Database, count: int) -> None:
    """Make the library."""
    began = time.perf_counter()
    run_all(database, FILL, {"count": count, "words": list(WORDS)})
    print(f"{count} photos made in {time.perf_counter() - began:.0f} s", flush=True)


def run_all(database: Database, statements: Sequence[str], given: dict[str, object]) -> None:
    """Make a part of the library, and update the planner's statistics."""
    for statement in statements:
        database.run(partial(_execute, statement=statement, given=given))
    database.run_alone(lambda connection: connection.execute("VACUUM ANALYZE"))


def fill_vectors(database: Database) -> None:
    """Add vectors to photos that lack them, and an index."""
    began = time.perf_counter()
    if is_empty(database, "image_embeddings"):
        run_all(database, FILL_VECTORS, {})
    vectors = image_vectors(database.run(clip_models)[0])
    if not database.run(partial(has_index, vectors=vectors)):
        database.run_alone(partial(build_index, vectors=vectors))
    print(f"vectors and their index made in {time.perf_counter() - began:.0f} s", flush=True)


def is_empty(database: Database, table: LiteralString) -> bool:
    """Whether a table has no rows."""
    statement = sql.SQL("SELECT 1 FROM {} LIMIT 1").format(sql.Identifier(table))
    return database.run(lambda connection: connection.execute(statement).fetchone()) is None


def _execute(connection: Connection, statement: str, given: dict[str, object]) -> None:
    connection.execute(statement.encode(), given)


def asked_of(connection: Connection, kind: str, row: Row, rng: random.Random) -> PhotoFilter:
    """Return conditions that a photo fits, except those of ages, words and a second person."""
    parts = kind.split()
    days = rng.choice([0, 7, 30, 365, 3650])
    first = row.taken.date() - timedelta(days=rng.randrange(days + 1))
    youngest = rng.randrange(60)
    tags = [AskedTag(row.tag, "scene")] if "tag" in parts else []
    tags += [AskedTag(31 + rng.randrange(6), "face")] if "facetag" in parts else []
    return PhotoFilter(
        persons=(row.person, row.other)[: parts.count("person")],
        dates=Dates(first, first + timedelta(days=days)) if "dates" in parts else Dates(),
        near=Near(row.latitude, row.longitude, rng.choice([1, 5, 10, 50, 300])) if "near" in parts else None,
        cameras=cameras_called(connection, row.model) if "camera" in parts else None,
        tags=tuple(tags),
        words=rng.choice(WORDS) if "words" in parts else "",
        ages=AgeRange(youngest, youngest + 5) if "age" in parts else None,
        births=((row.person, 1930.0 + ord(str(row.person)[0])),) if "age" in parts else (),
    )


def some_photos(connection: Connection) -> list[Row]:
    """Return a thousand photos from which conditions are taken."""
    rows = connection.execute(
        """SELECT i.taken, m.latitude, m.longitude, c.model, f.person_id, min(t.tag_id) FROM images i
            JOIN photo_metadata m ON m.image_id = i.id JOIN cameras c ON c.id = m.camera_id
            JOIN face_detections f ON f.image_id = i.id JOIN image_tags t ON t.image_id = i.id
            WHERE m.latitude IS NOT NULL AND f.person_id IS NOT NULL
            GROUP BY 1, 2, 3, 4, 5, i.sha256 ORDER BY md5(i.sha256) LIMIT 1000"""
    ).fetchall()
    return [Row._make((*row, other[4])) for row, other in zip(rows, rows[1:] + rows[:1], strict=True)]


class Clock:
    """Milliseconds of work, and the server's processor time of it."""

    def __init__(self, database: Database) -> None:
        """Find the server's process, if it runs on this machine."""
        self._database = database
        number = database.run(lambda connection: connection.info.backend_pid)
        self._counter = Path(f"/proc/{number}/schedstat")

    def _cpu_ns(self) -> float:
        return float(self._counter.read_text().split()[0]) if self._counter.exists() else float("nan")

    def timed(self, work: Callable[[Connection], object]) -> tuple[float, float]:
        """Time one call."""
        began, cpu = time.perf_counter(), self._cpu_ns()
        self._database.run(work)
        return (time.perf_counter() - began) * 1e3, (self._cpu_ns() - cpu) / 1e6


def measure(database: Database, queries: int, kinds: Sequence[str], *, vectors: bool) -> None:
    """Print the times of each kind of search."""
    rng = random.Random(1)
    rows = database.run(some_photos)
    clock = Clock(database)
    clip = next(iter(database.run(clip_models)), None) if vectors else None
    query = np.random.default_rng(1).standard_normal(512).astype(np.float32)
    of_all: dict[str, list[tuple[float, float]]] = {}
    for kind in kinds:
        times: dict[str, list[tuple[float, float]]] = {}
        for _ in range(queries):
            asked = database.run(partial(asked_of, kind=kind, row=rng.choice(rows), rng=rng))
            works: dict[str, Callable[[Connection], object]] = {
                "finding": partial(find_photos, photo_filter=asked, offset=0, limit=20),
                "counting": partial(count_photos, photo_filter=asked),
                "counting to a thousand": partial(count_photos, photo_filter=asked, most=1001),
            }
            if clip is not None:
                works["by a vector"] = partial(
                    photos_near, row=clip, embedding=query, photo_filter=asked, limit=20
                )
            for name, work in works.items():
                times.setdefault(name, []).append(clock.timed(work))
        counted = {name: each[queries // 10 :] for name, each in times.items()}
        print(f"{kind}: {'; '.join(_told(name, each) for name, each in counted.items())}", flush=True)
        for name, each in counted.items():
            of_all.setdefault(name, []).extend(each)
    print(f"all of them: {'; '.join(_told(name, each) for name, each in of_all.items())}")


def _told(name: str, times: Sequence[tuple[float, float]]) -> str:
    (p50, cpu50), (p95, cpu95) = np.percentile(times, [50, 95], axis=0)
    return f"{name} p50 {p50:.1f} ms, p95 {p95:.1f} ms (processor {cpu50:.1f}, {cpu95:.1f})"


def main() -> None:
    """Make a library and search it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=60)
    parser.add_argument("--database")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--vectors", action="store_true")
    given = parser.parse_args()
    library: AbstractContextManager[Database] = throw_away_library()
    if given.database:
        library = closing(Database(given.database))
    elif given.folder:
        library = kept_library(given.folder)
    with library as database:
        if is_empty(database, "images"):
            fill(database, given.count)
        if given.vectors:
            fill_vectors(database)
        measure(database, given.queries, given.kinds.split(","), vectors=given.vectors)


if __name__ == "__main__":
    main()
