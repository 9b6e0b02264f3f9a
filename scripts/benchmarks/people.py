"""Naming, correcting and taking back in a large library of made-up people.

    .venv/bin/python scripts/benchmarks/people.py [--faces 1000000] [--persons 5000] [--run 100000]

A library is filled by SQL with faces of people (no vectors: none of this reads more than one person's), then
each command is timed beside a bare `SELECT count(*)` of the same faces. A throw-away embedded server is used,
as safe against crashes as a real one.
"""

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from facesets.operations.people import correcting, history, listing, naming
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.embedded import EmbeddedServer
from facesets.store.postgres.migrate import migrate, shipped_migrations
from facesets.store.postgres.people import assign
from facesets.store.postgres.person_edits import make_person
from facesets.store.postgres.steps import making_step

if TYPE_CHECKING:
    from uuid import UUID

BY = "benchmark@here"


def fill(database: Database, faces: int, persons: int, spare: int) -> None:
    """Faces of people, and some faces without a person, an image each."""

    def work(connection: Connection) -> None:
        connection.execute(
            "INSERT INTO models (kind, name, sha256, dimension) VALUES ('face', 'm', 'm', 512)"
        )
        connection.execute(
            """INSERT INTO detectors (model_id, pack, detector, detector_sha256, det_size, min_det_score)
                VALUES (1, 'p', 'd', 'd', 640, 0.5)"""
        )
        connection.execute(
            "INSERT INTO persons (id) SELECT gen_random_uuid() FROM generate_series(1, %s)", (persons,)
        )
        connection.execute(
            """INSERT INTO images (sha256, width, height, taken, fingerprint)
                SELECT encode(sha256(i::text::bytea), 'hex'), 100, 100,
                    timestamp '2010-01-01' + i * interval '1 minute', ''
                FROM generate_series(1, %s) i""",
            (faces + spare,),
        )
        connection.execute(
            """WITH p AS (SELECT id, row_number() OVER () - 1 AS n FROM persons)
            INSERT INTO face_detections (image_id, detector_id, ordinal, x1, y1, x2, y2, kps, det_score,
                    quality, face_short, blur, pose, person_id, assigned_by, assigned_at)
                SELECT i.id, 1, 0, 1, 1, 50, 50, '{}', 0.9, random(), 49, 100, '{}', p.id,
                    CASE WHEN p.id IS NULL THEN NULL ELSE 'auto' END, now()
                FROM images i LEFT JOIN p ON p.n = i.id %% %s AND i.id <= %s""",
            (persons, faces),
        )

    database.run(work)
    database.run_alone(lambda connection: connection.execute("VACUUM ANALYZE"))


def timed(what: str, work: Callable[[], object], aim_s: float) -> None:
    """Run once and print how long it took."""
    began = time.monotonic()
    work()
    took = time.monotonic() - began
    print(f"{what:<60} {took:7.3f} s   (aim {aim_s:g})", flush=True)


def run_of(connection: Connection, faces: int) -> int:
    """A run that gives many faces away, as `cluster` does; returns its step."""
    rows = connection.execute(
        "SELECT id FROM face_detections WHERE person_id IS NULL ORDER BY id LIMIT %s", (faces,)
    ).fetchall()
    ids = [int(row[0]) for row in rows]
    with making_step(connection, "cluster", BY, "cluster") as step:
        person = make_person(step)
        step.touch_faces(ids)
        nobody = np.full(len(ids), -1, np.int64)
        assign(connection, np.array(ids, np.int64), nobody, nobody + 1, [person], "auto")
    return step.id


def main() -> None:
    """Fill a library, and time each command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--faces", type=int, default=1_000_000)
    parser.add_argument("--persons", type=int, default=5_000)
    parser.add_argument("--run", type=int, default=100_000)
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="fsets."))
    folder.chmod(0o755)
    try:
        with EmbeddedServer(folder / "postgres") as server:
            database = Database(server.conninfo)
            migrate(database, shipped_migrations())
            timed("filling the library", lambda: fill(database, given.faces, given.persons, given.run), 0)
            measure(database, given.run)
            database.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def measure(database: Database, in_run: int) -> None:
    """Time each command."""
    found: list[UUID] = [
        row[0]
        for row in database.run(
            lambda connection: connection.execute("SELECT id FROM persons ORDER BY id LIMIT 10").fetchall()
        )
    ]
    first, second, third = (str(each) for each in found[:3])
    timed(
        "a bare count of the faces",
        lambda: database.run(lambda connection: connection.execute("SELECT count(*) FROM face_detections")),
        0,
    )
    timed(
        "people list",
        lambda: listing.people(database, status="active", unnamed=False, sort="faces"),
        0.3,
    )
    timed("people name", lambda: naming.name(database, first, "Anna", into=False, face=False, by=BY), 0.3)
    timed("people show", lambda: listing.person(database, "Anna", faces=20), 0.3)
    timed("people merge", lambda: correcting.merge(database, [second], "Anna", drop_names=False, by=BY), 0.3)
    timed("people undo of the merge", lambda: history.undo(database, by=BY), 0.3)
    timed("people hide", lambda: naming.set_hidden(database, third, hidden=True, by=BY), 0.3)
    timed("people log", lambda: history.log(database), 0.3)
    timed("people log WHO", lambda: history.log(database, "Anna"), 0.3)
    step = 0

    def run() -> None:
        nonlocal step
        step = database.run(lambda connection: run_of(connection, in_run))

    timed(f"a run that gives {in_run} faces away", run, 0)
    timed("people undo of that run", lambda: history.undo(database, step, by=BY), 5)


if __name__ == "__main__":
    main()
