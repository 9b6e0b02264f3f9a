"""Search a library of made-up vectors: by a face among faces, by words among images.

    .venv/bin/python scripts/benchmarks/search.py [faces] [images] [kinds] [--count 1000000] [--queries 200]
        [--candidates 100 200 400] [--kinds half:32:300 bit:32:200] [--workers 2] [--database URL]

Says how long loading and building the index take, how large the index is, and for each number of candidates
the time of a query and the share of the ten best that it finds, beside the exact answer computed by numpy on
the array. Queries are vectors of the library with a little noise. The vectors are those of
`synthetic/faces.py` beside the repository. Without a database a throw-away embedded server is used; what
stands in a given one already is not loaded and built again. `kinds` compares kinds of index, each
built over the same faces: `index_kinds.py` says what they are.

Memory for 1 000 000: 6 GB here, and up to 3 GB in the server while the index is built.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from contextlib import closing, nullcontext
from datetime import date, timedelta
from typing import Any, LiteralString

import numpy as np
from index_kinds import compare, kind_of, ten_best
from library import SETTINGS, made_faces
from numpy.typing import NDArray
from psycopg import sql
from throw_away import throw_away_server

from facesets.file_records import FileRecord
from facesets.machine import processors
from facesets.operations.library.search import similar_faces, similar_images
from facesets.operations.library.search_index import build_index
from facesets.records import ClipModel, Faces, ImageRecord
from facesets.store.postgres.connection import Database
from facesets.store.postgres.library import Library
from facesets.store.postgres.photos import search as search_module
from facesets.store.postgres.photos.filter import Dates, PhotoFilter
from facesets.work import SilentProgress

MODEL = ClipModel("made", "cc" * 32)
ROWS_A_COMMIT = 1000
BEST = 10
FIRST_DAY = date(2000, 1, 1)

Vectors = NDArray[np.float32]
Search = Callable[[Vectors, Dates], Sequence[Any]]


def record(number: int, vector: Vectors, *, of_face: bool) -> ImageRecord:
    """Return an image with one face or one embedding; a day later every thousand images."""
    if of_face:
        faces = Faces(
            image=np.zeros(1, np.int64),
            box=np.array([[10, 10, 110, 130]], np.float32),
            kps=np.zeros((1, 5, 2), np.float32),
            det_score=np.full(1, 0.8, np.float32),
            embedding=vector[None],
            face_short=np.full(1, 100, np.float32),
            blur=np.full(1, 90, np.float32),
        )
    else:
        faces = Faces.empty(1)
    taken = np.datetime64(FIRST_DAY, "s") + np.timedelta64(number // 1000, "D")
    clip = None if of_face else vector
    return ImageRecord(f"{number:064x}", 400, 300, taken, bytes(32), faces, clip, of_face)


def load(library: Library, vectors: Vectors, *, of_faces: bool) -> None:
    """Store one image per vector."""
    began = time.perf_counter()
    for start in range(0, len(vectors), ROWS_A_COMMIT):
        rows = range(start, min(start + ROWS_A_COMMIT, len(vectors)))
        records = [record(number, vectors[number], of_face=of_faces) for number in rows]
        library.add([FileRecord(f"/photos/{r.sha256}.jpg", 1, 1, r.sha256) for r in records], records)
    seconds = time.perf_counter() - began
    print(f"  loaded in {seconds:.0f} s, {len(vectors) / seconds:.0f}/s")


def exact(vectors: Vectors, queries: Vectors) -> tuple[Vectors, float]:
    """Return the similarities of the ten best of each query, best first, and the time per query."""
    began = time.perf_counter()
    best = ten_best(vectors, queries)
    return best, (time.perf_counter() - began) / len(queries)


def rows_of(database: Database, table: LiteralString) -> int:
    """Return how many vectors are in a table."""
    statement = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))
    return int(database.run(lambda connection: connection.one(statement))[0])


def index_megabytes(database: Database, table: str) -> float:
    """Return the size of all vector indexes of a table."""
    row = database.run(
        lambda connection: connection.one(
            """SELECT coalesce(sum(pg_relation_size(indexrelid)), 0) FROM pg_index
                    JOIN pg_class c ON c.oid = indexrelid
                    WHERE indrelid = %s::regclass AND c.relname LIKE '%%hnsw%%'""",
            (table,),
        )
    )
    return float(row[0]) / 1e6


def measure(name: str, search: Search, queries: Vectors, best: Vectors, dates: Dates) -> None:
    """Print time and recall of a search; the first queries, which find cold caches, apart."""
    times, found = [], 0
    for query, similar in zip(queries, best, strict=True):
        began = time.perf_counter()
        hits = search(query, dates)
        times.append(time.perf_counter() - began)
        found += sum(hit.cosine_similarity >= similar[-1] - 1e-5 for hit in hits)
    cold, warm = times[: len(times) // 10], times[len(times) // 10 :]
    p50, p95, p99 = np.percentile(warm, [50, 95, 99]) * 1000
    print(
        f"  {name}: p50 {p50:.1f} ms, p95 {p95:.1f} ms, p99 {p99:.1f} ms (first ones "
        f"{np.median(cold) * 1000:.1f} ms), recall@{BEST} {found / len(queries) / BEST:.4f}"
    )


def run(database: Database, vectors: Vectors, *, of_faces: bool, given: argparse.Namespace) -> None:
    """Load, build, and search in one table."""
    table: LiteralString = "face_embeddings" if of_faces else "image_embeddings"
    print(f"{len(vectors)} vectors in {table}")
    library = Library(database).looking_for(SETTINGS if of_faces else None, None if of_faces else MODEL)
    if not rows_of(database, table):
        load(library, vectors, of_faces=of_faces)
    assert rows_of(database, table) == len(vectors), "another library"
    rng = np.random.default_rng(1)
    queries = vectors[rng.choice(len(vectors), given.queries, replace=False)]
    queries = queries + rng.standard_normal(queries.shape).astype(np.float32) * 0.01
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    best, numpy_s = exact(vectors, queries)
    print(f"  exact by numpy on the array: {numpy_s * 1000:.1f} ms a query")
    row = next(iter(library.clip_models()), None)

    def search(query: Vectors, dates: Dates) -> Sequence[Any]:
        if row is not None and not of_faces:
            return similar_images(library, row, query, PhotoFilter(dates=dates), BEST)
        return similar_faces(library, query, PhotoFilter(dates=dates), BEST)

    if not index_megabytes(database, table):
        began = time.perf_counter()
        search(queries[0], Dates())
        print(f"  without index: {time.perf_counter() - began:.2f} s a query")
        began = time.perf_counter()
        build_index(library, SilentProgress())
        built = time.perf_counter() - began
        print(f"  index built in {built:.0f} s, {len(vectors) / built:.0f}/s")
    print(f"  index of {index_megabytes(database, table):.0f} MB")
    for candidates in given.candidates:
        vars(search_module)["CANDIDATES"] = candidates
        measure(f"{candidates} candidates", search, queries, best, Dates())
    days = len(vectors) // 1000
    for share, last in (("a hundredth", days // 100), ("half", days // 2)):
        rows = (last + 1) * 1000
        dates = Dates(FIRST_DAY, FIRST_DAY + timedelta(days=last))
        measure(f"{share} of the days", search, queries, exact(vectors[:rows], queries)[0], dates)


def main() -> None:
    """Run the parts that are named."""
    parser = argparse.ArgumentParser()
    parser.add_argument("parts", nargs="*", default=["faces", "images"])
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--candidates", type=int, nargs="+", default=[100, 200, 400])
    parser.add_argument("--kinds", type=kind_of, nargs="+", default=[kind_of("half:32:300")])
    parser.add_argument("--workers", type=int, default=processors(), help="That build, of --kinds.")
    parser.add_argument("--database")
    given = parser.parse_args()
    vectors, labels = made_faces(given.count)
    for part in given.parts:
        server = nullcontext(given.database) if given.database else throw_away_server()
        with server as address, closing(Database(address)) as database:
            if part == "kinds":
                settings = {
                    "queries": given.queries,
                    "candidates": given.candidates,
                    "workers": given.workers,
                }
                compare(database, vectors, labels, given.kinds, **settings)
                continue
            run(database, vectors, of_faces=part == "faces", given=given)


if __name__ == "__main__":
    main()
