"""Measure `serve` on a large library: time of pages, answers and pictures, and memory.

    .venv/bin/python scripts/benchmarks/serve.py [--faces 1000000] [--persons 5000] [--requests 10000]
        [--keep DIR]

A library is filled with made-up faces of people (nine of ten have a person; four of five people have a name;
one has many faces) and served by the program itself, in a process of its own, on an embedded server: a
throw-away one, or one in DIR that is filled once. A few photos exist, from which pictures of faces are cut.
`ADDRESSES` says what is asked for.
"""

import argparse
import hashlib
import os
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import httpx
import numpy as np
from people import fill, fill_vectors
from PIL import Image
from throw_away import kept_library, throw_away_library

from facesets.operations.people.review.questions import refresh_questions
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.library import Library
from facesets.store.postgres.models import usual_detector
from facesets.store.postgres.people.prototypes import refresh_prototypes

API = "/api/v1/faces"
PHOTOS = 200
CLUSTER = 20
LARGE = 50
"""One in this many faces is of the same person."""
ADDRESSES: tuple[tuple[str, str, float], ...] = (
    ("people, first page", "/people", 0.2),
    ("people, hidden", "/people?status=hidden", 0.1),
    ("person", "/people/{person}", 0.2),
    ("person of many faces", "/people/{large}", 0.2),
    ("the same, farthest first", "/people/{large}?sort=far", 0.2),
    ("about a person", "/people/{person}/about", 0.1),
    ("about a person of many faces", "/people/{large}/about", 0.1),
    ("review", "/review", 0.2),
    ("unknown", "/unknown", 0.2),
    ("faces in no group", "/unknown/faces", 0.2),
    ("photo", "/photos/{photo}", 0.1),
    ("search", "/search", 0.1),
    ("search, a person", "/search?person={large}", 0.1),
    ("runs", "/runs", 0.1),
    ("health", "/health", 0.1),
    ("script", "/static/app.js", 0.1),
    ("persons, 100 of them", f"{API}/persons?pageSize=100", 0.1),
    ("persons, far on", f"{API}/persons?pageSize=100&page=30", 0.1),
    ("persons by name", f"{API}/persons?pageSize=8&find=person%204", 0.1),
    ("one person", f"{API}/persons/{{person}}", 0.1),
    ("clusters", f"{API}/clusters?pageSize=100", 0.1),
    ("one cluster", f"{API}/clusters/{{cluster}}", 0.1),
    ("questions", f"{API}/candidates", 0.1),
    ("how many questions", f"{API}/candidates/waiting", 0.1),
    ("faces of a photo", f"{API}/assets/{{photo}}", 0.1),
    ("photos of a person", f"{API}/search?person={{person}}", 0.1),
    ("one face", f"{API}/faces/{{face}}", 0.1),
    ("why a face is where it is", f"{API}/faces/{{face}}/explain", 0.1),
    ("jobs", f"{API}/jobs", 0.1),
)
"""Name, address, and maximum seconds of the 95th percentile of answers."""


def prepare(database: Database, faces: int, persons: int, folder: Path) -> None:
    """Fill a library: nine of ten faces are assigned, the others in clusters; a few photos exist.

    One person has many: the faces of some others, who are no more.
    """
    spare = faces // 10
    gone = persons // LARGE
    fill(database, faces - spare, persons + gone, spare)
    fill_vectors(database, persons + gone, faces)
    photos = [made_photo(folder / f"{number}.jpg", number) for number in range(min(PHOTOS, faces))]

    def work(connection: Connection) -> None:
        connection.execute(
            """WITH first AS (SELECT id FROM persons ORDER BY id LIMIT %s),
                one AS (SELECT id FROM first ORDER BY id LIMIT 1),
                given AS (UPDATE face_detections f SET person_id = one.id FROM one
                    WHERE f.person_id IN (SELECT id FROM first) AND f.person_id <> one.id)
                SELECT 1""",
            (gone + 1,),
        )
        connection.execute(
            "DELETE FROM persons p WHERE NOT EXISTS (SELECT FROM face_detections f WHERE f.person_id = p.id)"
        )
        connection.execute(
            """INSERT INTO person_names (person_id, name)
                SELECT id, 'person ' || n
                FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM persons) p WHERE n % 5 > 0"""
        )
        connection.execute(
            """UPDATE face_detections SET cluster = 'unknown_cluster_' || id / %s WHERE person_id IS NULL""",
            (CLUSTER,),
        )
        connection.execute(
            """INSERT INTO clusters (id, model_id) SELECT DISTINCT cluster, 1 FROM face_detections
                WHERE cluster IS NOT NULL"""
        )
        for number, (path, digest) in enumerate(photos, start=1):
            connection.execute(
                "UPDATE images SET sha256 = %s, width = 1600, height = 1200 WHERE id = %s", (digest, number)
            )
            connection.execute(
                "UPDATE face_detections SET x1 = 600, y1 = 400, x2 = 900, y2 = 700 WHERE image_id = %s",
                (number,),
            )
            connection.execute(
                """INSERT INTO image_paths (path, size, mtime_ns, sha256, image_id)
                    VALUES (%s, 1, 1, %s, %s)""",
                (str(path), digest, number),
            )

    database.run(work)
    database.run_alone(lambda connection: connection.execute("VACUUM ANALYZE"))
    for what, make in (("prototypes", all_prototypes), ("questions", refresh_questions)):
        began = time.monotonic()
        make(Library(database))
        print(f"making {what}: {time.monotonic() - began:.0f} s", flush=True)
    database.run_alone(lambda connection: connection.execute("VACUUM ANALYZE"))


def all_prototypes(library: Library) -> None:
    """Compute all people's prototypes."""

    def work(connection: Connection) -> None:
        detector = usual_detector(connection)
        if detector is not None:
            refresh_prototypes(connection, detector)

    library.database.run(work)


def made_photo(path: Path, number: int) -> tuple[Path, str]:
    """Return a photo of two megapixels that costs as much to decode as a real one."""
    rng = np.random.default_rng(number)
    small = Image.fromarray(rng.integers(0, 255, (75, 100, 3), np.uint8))
    small.resize((1600, 1200), Image.Resampling.BICUBIC).save(path, quality=90)
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


@contextmanager
def serving(conninfo: str, home: Path) -> Iterator[tuple[str, int]]:
    """Yield address and process id of the program in a process of its own."""
    environment = {**os.environ, "HOME": str(home), "XDG_CACHE_HOME": str(home), "XDG_DATA_HOME": str(home)}
    process = subprocess.Popen(
        [sys.executable, "-m", "facesets", "serve", "--no-token", "--port", "0", "--database", conninfo],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    if process.stdout is None:
        raise RuntimeError("its address cannot be read")
    try:
        yield process.stdout.readline().strip(), process.pid
    finally:
        began = time.monotonic()
        process.terminate()
        process.wait()
        print(f"it ended within {time.monotonic() - began:.2f} s")


def measured(what: str, tasks: Sequence[Callable[[], object]], aim_s: float) -> None:
    """Print median, 95th percentile and maximum, in milliseconds."""
    took = []
    for task in tasks:
        began = time.perf_counter()
        task()
        took.append(1000 * (time.perf_counter() - began))
    median, most = np.percentile(took, [50, 95])
    verdict = "met" if most <= 1000 * aim_s else "missed"
    figures = f"{median:8.1f} {most:8.1f} {max(took):8.1f} {1000 * aim_s:8.0f}"
    print(f"{what:<32} {figures}   {verdict}", flush=True)


def measure_changes(client: httpx.Client, token: str) -> None:
    """Name groups and undo that, each time with the page that follows."""
    headers = {"authorization": f"Bearer {token}"}
    clusters = client.get(f"{API}/clusters?pageSize=20&page=40").json()["items"]
    steps: list[int] = []

    def posted(path: str, body: dict[str, object]) -> int:
        answer = client.post(f"{API}{path}", json=body, headers=headers)
        answer.raise_for_status()
        return int(answer.json()["step"])

    def name(cluster: str) -> None:
        steps.append(posted(f"/clusters/{cluster}/label", {"name": f"name of {cluster}"}))

    ids = [each["clusterId"] for each in clusters]
    measured("naming a group", [partial(name, each) for each in ids], 0.1)
    undone = [partial(posted, "/undo", {"step": step}) for step in reversed(steps)]
    measured("undo", undone[:10], 0.1)
    after = [call for each in undone[10:] for call in (each, partial(client.get, "/unknown"))]
    measured("undo and unknown, in turns", after, 0.1)


def memory_mb(process: int) -> float:
    """Return a process's memory."""
    [line] = [x for x in Path(f"/proc/{process}/status").read_text().splitlines() if x.startswith("VmRSS")]
    return int(line.split()[1]) / 1024


def measure(address: str, process: int, ids: dict[str, str], faces: int, requests: int, token: Path) -> None:
    """Print a table."""
    with httpx.Client(base_url=address, timeout=120, follow_redirects=True) as client:
        print(f"{'':<32} {'median':>8} {'95 %':>8} {'longest':>8} {'aim':>8}   in ms")

        def get(path: str) -> None:
            client.get(path, headers={"accept": "text/html"}).raise_for_status()

        measured("the first request of all", [partial(get, "/people")], 0.2)
        there = [template.format(**ids) for _, template, _ in ADDRESSES]
        for (what, _, aim), path in zip(ADDRESSES, there, strict=True):
            measured(f"{what}, first", [partial(get, path)], aim)
            measured(what, [partial(get, path)] * 40, aim)
        crops = [f"{API}/faces/{face}/crop?v=x" for face in range(1, min(PHOTOS, faces) + 1)]
        for what in ("pictures, never looked at", "pictures, kept"):
            measured(what, [partial(get, path) for path in crops], 0.1)
        measure_changes(client, token.read_text().strip())
        at_first = memory_mb(process)
        for number in range(requests):
            client.get((there + crops)[number % (len(there) + len(crops))])
            if number + 1 in {requests // 10, requests}:
                print(
                    f"memory after {number + 1} requests: {memory_mb(process):.0f} MB (first {at_first:.0f})"
                )
    certificates = ssl.create_default_context()

    def visit(number: int) -> list[int]:
        with httpx.Client(base_url=address, timeout=120, verify=certificates) as visitor:
            return [visitor.get(there[(number + each) % len(there)]).status_code for each in range(5)]

    began = time.monotonic()
    with ThreadPoolExecutor(100) as pool:
        status = [each for found in pool.map(visit, range(100)) for each in found]
    wrong = [each for each in status if each >= httpx.codes.BAD_REQUEST]
    took = time.monotonic() - began
    print(f"100 at once, 5 requests each: {took:.1f} s, {len(wrong)} failed; {memory_mb(process):.0f} MB")


def main() -> None:
    """Fill a library, serve it, and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--faces", type=int, default=1_000_000)
    parser.add_argument("--persons", type=int, default=5_000)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--keep", type=Path, help="a folder whose library is filled once")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home) if given.keep is None else given.keep / "photos"
        folder.mkdir(parents=True, exist_ok=True)
        with throw_away_library() if given.keep is None else kept_library(given.keep) as database:
            began = time.monotonic()
            if (
                database.run(lambda each: each.execute("SELECT FROM face_detections LIMIT 1").fetchone())
                is None
            ):
                prepare(database, given.faces, given.persons, folder)
                filled = f"{given.faces} faces of {given.persons} people"
                print(f"{filled}, filled in {time.monotonic() - began:.0f} s")
            ids = asked_for(database)
            conninfo = database.run(lambda each: each.info.dsn)
            with serving(conninfo, Path(home)) as (address, process):
                token = Path(home) / "facesets" / "serve-token"
                measure(address, process, ids, given.faces, given.requests, token)


def asked_for(database: Database) -> dict[str, str]:
    """Return the values for the names in `ADDRESSES`."""
    row = database.run(
        lambda each: each.one(
            """SELECT f.person_id::text, f.id::text, i.sha256, (SELECT min(id) FROM clusters),
                        (SELECT person_id::text FROM face_detections WHERE person_id IS NOT NULL
                            GROUP BY person_id ORDER BY count(*) DESC LIMIT 1)
                    FROM face_detections f JOIN images i ON i.id = f.image_id
                    WHERE f.id = 1"""
        )
    )
    return dict(zip(("person", "face", "photo", "cluster", "large"), row, strict=True))


if __name__ == "__main__":
    main()
