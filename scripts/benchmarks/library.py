"""Benchmark the library on made-up faces: storing, indexing again, clustering.

    .venv/bin/python scripts/benchmarks/library.py [store] [again] [cluster] [--faces 100000]
        [--files 100000] [--sessions 1] [--database URL] [--metadata] [--without-clustering]

Each part has its peer in the same run: storing a bare binary COPY of the same vectors, indexing again `find`
on the same tree, clustering the time of the clustering itself. The faces are those of `synthetic/faces.py`
beside the repository. Without a database a throw-away embedded server is used, as safe against crashes as a
real one.
"""

import argparse
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray
from throw_away import throw_away_server

from facesets.clustering import singletons_as_noise
from facesets.file_records import FileRecord
from facesets.imaging.metadata.record import PhotoMetadata
from facesets.inference.describer import LocalDescriber
from facesets.operations.ingest.index import index
from facesets.operations.options.index import IndexOptions
from facesets.records import CacheSettings, Faces, Finding, ImageRecord, Pixels
from facesets.sources.galleries import GallerySource
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.copying import INT8, copy_in, vector
from facesets.store.postgres.library import Library
from facesets.store.postgres.models import DetectorRow, ensure_detector
from facesets.store.postgres.people.assigned_faces import assign, load_assigned_faces
from facesets.store.postgres.people.persons import create_persons
from facesets.store.postgres.people.steps import making_step
from facesets.work import Work

REPOSITORY = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("FACESETS_TEST_SHARED", REPOSITORY.parent / "shared"))
SETTINGS = CacheSettings("made", "made", "aa" * 32, 512, "made", "bb" * 32, 640, 0.5)
IMAGES_A_COMMIT = 500
COMMITS_AT_A_TIME = 8


def made_vectors(count: int) -> NDArray[np.float32]:
    """Return unit vectors of made-up people."""
    return made_faces(count)[0]


def made_faces(count: int) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Return the same, with each one's person."""
    spec = importlib.util.spec_from_file_location("made_faces", SHARED / "synthetic" / "faces.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    rows, labels, _, _ = module.gen(count)
    vectors: NDArray[np.float32] = np.asarray(rows, np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors, labels


def images(
    vectors: NDArray[np.float32], first: int, count: int, *, metadata: bool = False
) -> list[ImageRecord]:
    """Return images with two faces each."""
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
        record = ImageRecord(f"{number:064x}", 400, 300, taken, bytes(32), faces)
        records.append(
            record.with_finding("metadata", Finding("1", made_metadata(number))) if metadata else record
        )
    return records


def made_metadata(number: int) -> PhotoMetadata:
    """Return metadata of a file, with forty more tags."""
    return PhotoMetadata(
        np.datetime64("2020-01-01T00:00:00", "us") + np.timedelta64(number, "s"),
        "DateTimeOriginal",
        latitude=48 + number % 997 / 1000,
        longitude=11 + number % 1009 / 1000,
        make="Canon",
        model=f"EOS {number % 7}",
        iso=100,
        exposure_s=0.01,
        extra={f"Tag{tag}": number % (tag + 2) if tag % 2 else f"value {number % 50}" for tag in range(40)},
    )


def store(
    database: Database, text: str, vectors: NDArray[np.float32], sessions: int, *, metadata: bool
) -> None:
    """Measure faces stored per second, compared with a bare COPY of the same vectors.

    Into a table made in the same transaction the COPY writes no log, which no library can do that is to
    grow; so it is timed into a table that is there already, too.
    """

    def into_a_new_table(connection: Connection) -> None:
        _make_bare(connection)
        _copy_bare(connection, vectors)

    peers = {"into a new table": _timed(lambda: database.run(into_a_new_table))}
    database.run(lambda connection: connection.execute("TRUNCATE bare"))
    peers["into one that is there"] = _timed(
        lambda: database.run(lambda connection: _copy_bare(connection, vectors))
    )
    database.run(lambda connection: connection.execute("DROP TABLE bare"))
    spent = _fill(database, text, vectors, sessions, metadata=metadata)
    many = f", {sessions} sessions at once" if sessions > 1 else ""
    print(f"store: {len(vectors)} faces in {spent:.1f} s, {len(vectors) / spent:.0f}/s{many}")
    for name, peer in peers.items():
        print(f"  bare COPY {name} {peer:.1f} s, {len(vectors) / peer:.0f}/s; share {peer / spent:.2f}")


def _make_bare(connection: Connection) -> None:
    connection.execute("CREATE TABLE bare (id bigint, embedding vector)")
    connection.execute("ALTER TABLE bare ALTER COLUMN embedding SET STORAGE PLAIN")


def _copy_bare(connection: Connection, vectors: NDArray[np.float32]) -> None:
    copy_in(
        connection,
        "COPY bare (id, embedding) FROM STDIN (FORMAT BINARY)",
        {"id": INT8, "embedding": vector(512)},
        {"id": np.arange(len(vectors)), "embedding": vectors},
    )


def _fill(
    database: Database, text: str, vectors: NDArray[np.float32], sessions: int, *, metadata: bool
) -> float:
    """Store all, each session its part of the images, and return the seconds of the storing alone."""
    total = (len(vectors) + 1) // 2
    libraries = [Library(database if number == 0 else Database(text), SETTINGS) for number in range(sessions)]

    def work(library: Library, commits: list[list[ImageRecord]]) -> None:
        for records in commits:
            library.add([FileRecord(f"/photos/{r.sha256}.jpg", 1, 1, r.sha256) for r in records], records)

    spent = 0.0
    together = IMAGES_A_COMMIT * COMMITS_AT_A_TIME * sessions
    for first in range(0, total, together):
        starts = range(first, min(first + together, total), IMAGES_A_COMMIT)
        commits = [
            images(vectors, start, min(IMAGES_A_COMMIT, total - start), metadata=metadata) for start in starts
        ]
        began = time.perf_counter()
        with ThreadPoolExecutor(sessions) as pool:
            list(pool.map(work, libraries, [commits[number::sessions] for number in range(sessions)]))
        spent += time.perf_counter() - began
    for library in libraries[1:]:
        library.database.close()
    return spent


class NoEmbedder:
    """An embedder that finds no faces."""

    settings = SETTINGS

    def embed(self, pictures: Sequence[Pixels]) -> list[Faces]:
        """Return no faces for each picture."""
        return [Faces.empty(512) for _ in pictures]


def again(database: Database, files: int) -> None:
    """Time a run with nothing to do, compared with `find` on the same tree."""
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
    peers = {
        "find": ["find", str(root)],
        "find -printf '%s %T@ %p'": ["find", str(root), "-printf", "%s %T@ %p\\n"],
    }

    def run() -> None:
        summary = index(
            GallerySource([root]), library, LocalDescriber(NoEmbedder(), None), IndexOptions(), work=Work()
        )
        assert summary.unchanged == files, summary

    took: dict[str, list[float]] = {name: [] for name in ("index", *peers)}
    for _ in range(7):
        took["index"].append(_timed(run))
        for name, line in peers.items():
            took[name].append(
                _timed(lambda line=line: subprocess.run(line, stdout=subprocess.DEVNULL, check=True))
            )
    best = {name: min(seconds) for name, seconds in took.items()}
    for name in peers:
        print(f"again: {name} {best[name]:.2f} s, index {best['index'] / best[name]:.1f} times that")
    print(f"again: index {best['index']:.2f} s for {files} files")
    shutil.rmtree(root)


def _timed(work: object) -> float:
    began = time.perf_counter()
    work()  # type: ignore[operator]
    return time.perf_counter() - began


def cluster(database: Database, text: str, vectors: NDArray[np.float32], *, exact: bool) -> None:
    """Time the whole command in a process of its own, and its work besides clustering."""
    if exact:
        for turn in ("first", "again"):
            peak, whole, summary = _command(["cluster", "--database", text])
            parts = summary["seconds"]
            other = whole - parts["clustering"]
            print(
                f"cluster {turn}: {summary['faces']} faces, {summary['new_persons']} new people in "
                f"{whole:.1f} s {parts}; not clustering {other:.1f} s, {other / whole:.1%}; "
                f"peak memory {peak:.2f} GB, vectors {vectors.nbytes / 1e9:.2f} GB"
            )
    reset(database)
    began = time.perf_counter()
    faces = database.run(lambda connection: load_assigned_faces(connection, _detector(connection)))
    read = time.perf_counter()
    labels = singletons_as_noise(np.arange(len(faces.face_id)) // 5)
    persons = [uuid4() for _ in range(int(labels.max()) + 1)]

    def give(connection: Connection) -> None:
        with making_step(connection, "cluster", "benchmark@here", "cluster") as step:
            create_persons(connection, persons)
            assign(step, faces.face_id, np.full_like(labels, -1), labels, persons, "auto")

    database.run(give)
    stored = time.perf_counter()
    print(
        f"cluster: reading {len(labels)} faces {read - began:.1f} s, giving all to {len(persons)} people "
        f"{stored - read:.1f} s"
    )
    reset(database)


def _detector(connection: Connection) -> DetectorRow:
    return ensure_detector(connection, SETTINGS)


def reset(database: Database) -> None:
    """As people do by hand."""
    database.run(lambda connection: connection.execute("UPDATE face_detections SET person_id = NULL"))
    database.run(lambda connection: connection.execute("DELETE FROM persons"))
    database.run_alone(lambda connection: connection.execute("VACUUM ANALYZE face_detections"))


def _command(arguments: list[str]) -> tuple[float, float, dict[str, Any]]:
    """Return peak memory in GB, wall time and summary of a command in a process of its own."""
    began = time.perf_counter()
    line = [sys.executable, "-m", "facesets", *arguments, "--json"]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_maxrss / 1e6, time.perf_counter() - began, json.loads(output)


def main() -> None:
    """Run the parts that are named."""
    parser = argparse.ArgumentParser()
    parser.add_argument("parts", nargs="*", default=["store", "again", "cluster"])
    parser.add_argument("--faces", type=int, default=100_000)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--sessions", type=int, default=1, help="That store at once.")
    parser.add_argument("--database")
    parser.add_argument("--metadata", action="store_true", help="Store what files say with the faces.")
    parser.add_argument(
        "--without-clustering", action="store_true", help="Only what cluster does besides: reading, storing."
    )
    given = parser.parse_args()
    server = nullcontext(given.database) if given.database else throw_away_server()
    with server as text, closing(Database(text)) as database:
        vectors = made_vectors(given.faces)
        if {"store", "cluster"} & set(given.parts):
            store(database, text, vectors, given.sessions, metadata=given.metadata)
        if "cluster" in given.parts:
            cluster(database, text, vectors, exact=not given.without_clustering)
        if "again" in given.parts:
            again(database, given.files)


if __name__ == "__main__":
    main()
