"""Tag a library of made-up embeddings, and search it by tags.

    .venv/bin/python scripts/benchmarks/tags.py [compute] [run] [search] [--count 1000000]
        [--embeddings 50000] [--queries 200] [--database URL]

`compute` measures how many photos a second the shipped categories tag, without the database; `run`
how many `tags run` tags, with it. `search` makes as many photos as --count, with a tag of each category, the
first tags of a category more often than the last, and measures `search --tag`: by one tag, by two,
and by a tag and a year. Without a database a throw-away embedded server is used; what
stands in a given one is searched as it is.
"""

import argparse
import time
from contextlib import closing, nullcontext
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from throw_away import throw_away_server

from facesets.file_records import FileRecord
from facesets.inference.zero_shot import TagVectors, ZeroShot
from facesets.operations.ingest.stage_run import StageRunOptions
from facesets.operations.ingest.tag_stages import Tagger
from facesets.operations.library.photo_search import filter_of
from facesets.operations.library.search import search_photos
from facesets.operations.library.tag_file import shipped_categories
from facesets.operations.library.tagging import ensure_categories, make_tagger, tag_library
from facesets.records import ClipModel, Faces, ImageRecord
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.library import Library
from facesets.store.postgres.photos.filter import Dates
from facesets.work import Work

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MODEL = ClipModel("made", "cc" * 32)
DIMENSION = 512
ROWS_A_COMMIT = 1000
LIMIT = 20

Vectors = NDArray[np.float32]


def unit(rng: np.random.Generator, count: int) -> Vectors:
    """Return random vectors of unit length."""
    vectors = rng.standard_normal((count, DIMENSION)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def compute(count: int) -> None:
    """Time products and choice of tags, on one thread."""
    rng = np.random.default_rng(1)
    categories = [each for each in shipped_categories() if each.target == "scene"]
    made = [
        TagVectors(each, tuple(range(len(each.words))), unit(rng, len(each.prompts()))) for each in categories
    ]
    zero_shot = ZeroShot(made, 100.0)
    pictures = unit(rng, count)
    began, cpu_began = time.perf_counter(), time.process_time()
    tag_count = sum(len(zero_shot.tags(pictures[at : at + 2000]).tag) for at in range(0, count, 2000))
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu_began
    tags = sum(len(each.words) for each in categories)
    print(
        f"{tags} tags of {len(categories)} categories: {count / seconds:.0f} photos/s, "
        f"{count / cpu_seconds:.0f} a second of processor time ({tag_count / count:.1f} tags each)"
    )


def run(library: Library, count: int) -> None:
    """Tag photos whose embeddings are stored."""
    rng = np.random.default_rng(2)
    filled = library.looking_for(None, MODEL)
    for start in range(0, count, ROWS_A_COMMIT):
        some = [
            ImageRecord(
                sha256=f"{start + at:064x}",
                width=400,
                height=300,
                taken=np.datetime64("NaT", "s"),
                fingerprint=bytes(32),
                faces=Faces.empty(1),
                clip=each,
                searched=False,
            )
            for at, each in enumerate(unit(rng, min(ROWS_A_COMMIT, count - start)))
        ]
        filled.add([FileRecord(f"/embedded/{each.sha256}.jpg", 1, 1, each.sha256) for each in some], some)
    tagger = _tagger(library, rng)
    for what, options in (("new", StageRunOptions()), ("again", StageRunOptions(force=True))):
        began = time.perf_counter()
        done = tag_library(library, tagger, options, work=Work())
        seconds = time.perf_counter() - began
        speed = f"{done.completed / seconds:.0f}/s"
        print(f"tags run, {what}: {done.completed} photos in {seconds:.1f} s, {speed}")


def _tagger(library: Library, rng: np.random.Generator) -> Tagger:
    tagger = make_tagger(library, "scene", MODEL, 100.0, lambda: lambda texts: list(unit(rng, len(texts))))
    assert tagger is not None
    return tagger


def fill(database: Database, count: int) -> None:
    """Add photos, a minute apart, with a tag per category; the first of n tags is n times as frequent."""

    def work(connection: Connection) -> None:
        # Made-up rows refer to existing rows: checking each would take most of the time.
        connection.execute("SET LOCAL session_replication_role = replica")
        connection.execute("SELECT setseed(0.5)")
        connection.execute(
            """INSERT INTO images (id, sha256, width, height, taken, fingerprint)
                SELECT 10000000 + n, lpad(to_hex(10000000 + n), 64, '0'), 400, 300,
                    timestamp '2010-01-01' + n * interval '5 minutes', decode(repeat('00', 32), 'hex')
                FROM generate_series(0, %s - 1) AS n""",
            (count,),
        )
        connection.execute(
            """INSERT INTO image_paths (path, size, mtime_ns, sha256, image_id)
                SELECT '/photos/' || id || '.jpg', 1, 1, sha256, id FROM images WHERE id >= 10000000"""
        )
        connection.execute(
            """INSERT INTO image_tags (image_id, tag_id, confidence)
                SELECT i.id, w.id, 0.3 + 0.7 * random() FROM images i
                CROSS JOIN (SELECT t.category_id, array_agg(t.id ORDER BY t.place) AS tags, count(*) AS n
                    FROM tags t JOIN tag_categories k ON k.id = t.category_id WHERE k.target = 'scene'
                    GROUP BY 1) AS c
                JOIN tags w ON w.id = c.tags[1 + floor(c.n * power(random() + 0 * i.id, 2))::int]
                WHERE i.id >= 10000000"""
        )

    database.run(work)
    database.run_alone(lambda connection: connection.execute("VACUUM ANALYZE"))


def _is_filled(connection: Connection) -> bool:
    return connection.execute("SELECT FROM images WHERE id >= 10000000 LIMIT 1").fetchone() is not None


def search(library: Library, queries: int) -> None:
    """Print how long it takes to find photos by tags."""
    rng = np.random.default_rng(3)
    scene = [
        (each.name, [f"{each.name}:{word.name}" for word in each.words])
        for each in shipped_categories()
        if each.target == "scene"
    ]

    def tags(count: int) -> list[str]:
        chosen = rng.choice(len(scene), count, replace=False)
        return [str(rng.choice(scene[category][1])) for category in chosen]

    def year() -> Dates:
        first = int(rng.integers(2010, 2019))
        return Dates(date(first, 1, 1), date(first, 12, 31))

    cases: list[tuple[str, Callable[[], tuple[Sequence[str], Dates]]]] = [
        ("one tag", lambda: (tags(1), Dates())),
        ("two tags", lambda: (tags(2), Dates())),
        ("three tags", lambda: (tags(3), Dates())),
        ("a tag and a year", lambda: (tags(1), year())),
    ]
    for name, draw in cases:
        times, found = [], 0
        for _ in range(queries):
            asked, dates = draw()
            began = time.perf_counter()
            hits = search_photos(library, filter_of(library, dates=dates, tags=asked), LIMIT)
            times.append(time.perf_counter() - began)
            found += len(hits)
        p50, p95, worst = np.percentile(times[queries // 10 :], [50, 95, 100]) * 1000
        mean = found / queries
        print(f"{name}: p50 {p50:.1f} ms, p95 {p95:.1f} ms, at most {worst:.1f} ms, {mean:.0f} found")


def main() -> None:
    """Run the parts that are named."""
    parser = argparse.ArgumentParser()
    parser.add_argument("parts", nargs="*", default=["compute", "run", "search"])
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--embeddings", type=int, default=50_000)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--database")
    given = parser.parse_args()
    if "compute" in given.parts:
        compute(given.embeddings)
    server = nullcontext(given.database) if given.database else throw_away_server()
    with server as address, closing(Database(address)) as database:
        library = Library(database)
        database.run(ensure_categories)
        if "run" in given.parts:
            run(library, given.embeddings)
        if "search" in given.parts:
            if not database.run(_is_filled):
                began = time.perf_counter()
                fill(database, given.count)
                print(f"{given.count} photos with tags made in {time.perf_counter() - began:.0f} s")
            search(library, given.queries)


if __name__ == "__main__":
    main()
