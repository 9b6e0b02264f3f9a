"""The library on made-up faces: storing, indexing again, clustering, searching.

    .venv/bin/python scripts/benchmarks/library.py [store] [again] [cluster] [search] [--faces 100000]
        [--files 100000] [--database URL]

Each part has its peer in the same run: storing a bare binary COPY of the same vectors, indexing again
`find` on the same tree, clustering the same function on the array alone, searching the exact answer. The
faces are those of `synthetic/faces.py` beside the repository. Without a database a throw-away embedded server
is used, as safe against crashes as a real one.
"""

import argparse
import importlib.util
import os
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facesets.clustering import connected_components
from facesets.inference.describer import LocalDescriber
from facesets.operations.cluster_library import cluster_library
from facesets.operations.index import index
from facesets.operations.options import ClusterLibraryOptions, IndexOptions
from facesets.operations.search import build_index, similar_faces
from facesets.progress import SilentProgress
from facesets.records import CacheSettings, Faces, FileRecord, ImageRecord, Pixels
from facesets.sources.galleries import GallerySource
from facesets.stop import Stop
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.copying import INT8, copy_in, vector
from facesets.store.postgres.embedded import EmbeddedServer
from facesets.store.postgres.library import Library
from facesets.store.postgres.migrate import migrate, shipped_migrations
from facesets.store.postgres.search import Dates

REPOSITORY = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("FACESETS_TEST_SHARED", REPOSITORY.parent / "shared"))
SETTINGS = CacheSettings("made", "made", "aa" * 32, 512, "made", "bb" * 32, 640, 0.5)
IMAGES_A_COMMIT = 500
QUERIES = 200


def made_vectors(count: int) -> NDArray[np.float32]:
    """Unit vectors of made-up people."""
    spec = importlib.util.spec_from_file_location("made_faces", SHARED / "synthetic" / "faces.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    rows = module.gen(count)[0]
    vectors: NDArray[np.float32] = np.asarray(rows, np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


@contextmanager
def throwaway(url: str | None) -> Iterator[Database]:
    """A library of one's own, gone afterwards."""
    if url:
        yield Database(url)
        return
    base = Path(tempfile.mkdtemp(prefix="fsbench."))
    base.chmod(0o755)
    with EmbeddedServer(base) as server:
        database = Database(server.conninfo)
        migrate(database, shipped_migrations())
        yield database
        database.close()
    EmbeddedServer(base).stop()
    time.sleep(1)
    shutil.rmtree(base, ignore_errors=True)


def images(vectors: NDArray[np.float32], first: int, count: int) -> list[ImageRecord]:
    """Two faces an image."""
    records = []
    for number in range(first, first + count):
        embedding = vectors[2 * number : 2 * number + 2]
        n = len(embedding)
        box = np.array([[10, 10, 110, 130], [200, 10, 300, 130]], np.float32)[:n]
        faces = Faces(
            image=np.zeros(n, np.int64),
            box=box,
            kps=np.zeros((n, 5, 2), np.float32),
            det_score=np.full(n, 0.8, np.float32),
            embedding=embedding,
            face_short=np.full(n, 100, np.float32),
            blur=np.full(n, 90, np.float32),
        )
        taken = np.datetime64("2020-01-01T00:00:00") + np.timedelta64(number, "s")
        records.append(ImageRecord(f"{number:064x}", 400, 300, taken, bytes(32), faces))
    return records


def store(database: Database, vectors: NDArray[np.float32]) -> None:
    """Faces a second into the library, beside a bare COPY of the same vectors."""

    def bare(connection: Connection) -> None:
        connection.execute("CREATE TABLE bare (id bigint, embedding vector)")
        connection.execute("ALTER TABLE bare ALTER COLUMN embedding SET STORAGE PLAIN")
        copy_in(
            connection,
            "COPY bare (id, embedding) FROM STDIN (FORMAT BINARY)",
            {"id": INT8, "embedding": vector(512)},
            {"id": np.arange(len(vectors)), "embedding": vectors},
        )

    began = time.perf_counter()
    database.run(bare)
    peer = time.perf_counter() - began
    database.run(lambda connection: connection.execute("DROP TABLE bare"))
    library = Library(database, SETTINGS)
    spent = 0.0
    total = (len(vectors) + 1) // 2
    for first in range(0, total, IMAGES_A_COMMIT):
        records = images(vectors, first, min(IMAGES_A_COMMIT, total - first))
        files = [FileRecord(f"/photos/{r.sha256}.jpg", 1, 1, r.sha256) for r in records]
        began = time.perf_counter()
        library.add(files, records)
        spent += time.perf_counter() - began
    print(
        f"store: {len(vectors)} faces in {spent:.1f} s, {len(vectors) / spent:.0f}/s; "
        f"bare COPY {peer:.1f} s, {len(vectors) / peer:.0f}/s; share {peer / spent:.2f}"
    )


class NoEmbedder:
    """Finds no face in any picture."""

    settings = SETTINGS

    def embed(self, pictures: Sequence[Pixels]) -> list[Faces]:
        """No face in any of them."""
        return [Faces.empty(512) for _ in pictures]


def again(database: Database, files: int) -> None:
    """A run with nothing to do, beside `find` on the same tree."""
    library = Library(database, SETTINGS)
    root = Path(tempfile.mkdtemp(prefix="fsbench.tree."))
    records = []
    for number in range(files):
        path = root / f"{number // 500:04d}" / f"{number:07d}.jpg"
        if number % 500 == 0:
            path.parent.mkdir()
        path.touch()
        status = path.stat()
        records.append(FileRecord(str(path), 0, status.st_mtime_ns, f"{10**9 + number:064x}"))
    for first in range(0, files, IMAGES_A_COMMIT):
        some = records[first : first + IMAGES_A_COMMIT]
        found = [
            ImageRecord(r.sha256, 1, 1, np.datetime64("NaT", "s"), bytes(32), Faces.empty(512)) for r in some
        ]
        library.add(some, found)
    for name, line in (
        ("find", ["find", str(root)]),
        ("find -newermt", ["find", str(root), "-newermt", "2000-01-01"]),
    ):
        best = min(
            _timed(lambda line=line: subprocess.run(line, stdout=subprocess.DEVNULL, check=True))
            for _ in range(5)
        )
        print(f"again: {name} {best:.2f} s")

    def run() -> None:
        summary = index(
            GallerySource([root]),
            library,
            LocalDescriber(NoEmbedder(), None),
            IndexOptions(),
            progress=SilentProgress(),
            stop=Stop(),
        )
        assert summary.unchanged == files, summary

    print(f"again: index {min(_timed(run) for _ in range(5)):.2f} s for {files} files")
    shutil.rmtree(root)


def _timed(work: object) -> float:
    began = time.perf_counter()
    work()  # type: ignore[operator]
    return time.perf_counter() - began


def cluster(database: Database, vectors: NDArray[np.float32]) -> None:
    """The whole command beside the clustering function on the array."""
    began = time.perf_counter()
    connected_components(vectors, min_cosine_similarity=0.65)
    alone = time.perf_counter() - began
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.perf_counter()
    summary = cluster_library(
        Library(database, SETTINGS), ClusterLibraryOptions(), progress=SilentProgress(), stop=Stop()
    )
    whole = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    other = summary.seconds["reading"] + summary.seconds["storing"]
    print(
        f"cluster: {summary.faces} faces, {summary.new_persons} people in {whole:.1f} s {summary.seconds}; "
        f"function alone {alone:.1f} s; not clustering {other / whole:.1%}; "
        f"peak {peak / 1e6:.2f} GB, before {before / 1e6:.2f}"
    )
    began = time.perf_counter()
    cluster_library(
        Library(database, SETTINGS), ClusterLibraryOptions(), progress=SilentProgress(), stop=Stop()
    )
    print(f"cluster again: {time.perf_counter() - began:.1f} s")


def search(database: Database, vectors: NDArray[np.float32]) -> None:
    """Time of a query and how many of the ten best it finds, with the index and without."""
    library = Library(database, SETTINGS)
    rng = np.random.default_rng(1)
    queries = vectors[rng.choice(len(vectors), QUERIES, replace=False)]
    queries = queries + rng.standard_normal(queries.shape).astype(np.float32) * 0.01
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    exact = [np.sort(vectors @ query)[-10:] for query in queries]
    began = time.perf_counter()
    similar_faces(library, queries[0], Dates(), 10)
    print(f"search: without index {time.perf_counter() - began:.2f} s")
    began = time.perf_counter()
    build_index(library)
    print(f"search: index built in {time.perf_counter() - began:.0f} s")
    for turn in range(2):
        times: list[float] = []
        found = 0
        for query, best in zip(queries, exact, strict=True):
            began = time.perf_counter()
            hits = similar_faces(library, query, Dates(), 10)
            times.append(time.perf_counter() - began)
            found += sum(hit.cosine_similarity >= best[0] - 1e-5 for hit in hits)
        p50, p95 = np.percentile(times, [50, 95]) * 1000
        print(f"search {turn}: p50 {p50:.1f} ms, p95 {p95:.1f} ms, recall@10 {found / QUERIES / 10:.3f}")


def main() -> None:
    """Run the parts that are named."""
    parser = argparse.ArgumentParser()
    parser.add_argument("parts", nargs="*", default=["store", "again", "cluster", "search"])
    parser.add_argument("--faces", type=int, default=100_000)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--database")
    given = parser.parse_args()
    with throwaway(given.database) as database:
        vectors = made_vectors(given.faces)
        if {"store", "cluster", "search"} & set(given.parts):
            store(database, vectors)
        if "search" in given.parts:
            search(database, vectors)
        if "cluster" in given.parts:
            cluster(database, vectors)
        if "again" in given.parts:
            again(database, given.files)


if __name__ == "__main__":
    main()
