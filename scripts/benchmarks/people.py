"""Measure speed and accuracy of naming, correcting, undoing and assigning.

    .venv/bin/python scripts/benchmarks/people.py [--what commands] [--faces 1000000] [--persons 5000]
    .venv/bin/python scripts/benchmarks/people.py --what assign [--faces 1000000] [--persons 5000] [--known 8]
    .venv/bin/python scripts/benchmarks/people.py --what accuracy [--embeddings FILE.npz]

commands: a library is filled by SQL with faces of people (no vectors: none of this reads more than one
person's), then each command is timed beside a bare `SELECT count(*)` of the same faces.
assign: a library of made-up vectors, in which each person has some faces and all others have none, is
assigned; then all prototypes are made again, and questions are looked for and asked.
Both use a throw-away embedded server, as safe against crashes as a real one.
accuracy: of people with enough photos some are named, and the rest are compared with them, among all
strangers. FILE.npz holds `embedding` and `name`; by default it is
../shared/faces/lfw_dev_embeddings.npz.
"""

import argparse
import resource
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from throw_away import throw_away_library

from facesets.clustering import Calibration, calibrate
from facesets.clustering.known_recognizers import known_recognizer
from facesets.clustering.people.assigning import KnownPeople, choose_people, measured_threshold, thresholds
from facesets.clustering.people.prototypes import PersonFaces, prototypes_of
from facesets.clustering.vectors import Bool, Float32, Float64, Int64, unit_rows
from facesets.operations.options.people import DEFAULT_MARGIN, AssignOptions
from facesets.operations.people.assigning.assigning import assign
from facesets.operations.people.corrections import correcting, history, naming
from facesets.operations.people.lists import listing
from facesets.operations.people.review.questions import next_questions, refresh_questions
from facesets.result import Result
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.copying import INT2, INT8, copy_in, vector
from facesets.store.postgres.library import Library
from facesets.store.postgres.people import assigned_faces as faces_of_people
from facesets.store.postgres.people.persons import make_person
from facesets.store.postgres.people.prototypes import refresh_prototypes
from facesets.store.postgres.people.steps import making_step
from facesets.work import Work

if TYPE_CHECKING:
    from uuid import UUID

BY = "benchmark@here"
SHARED = Path(__file__).resolve().parents[2].parent / "shared"
SPREAD_DECAY = 0.358
"""Decay of the weights of vectors' directions, so that strangers are similar by 0 +- 0.06."""


def fill(database: Database, faces: int, persons: int, spare: int) -> None:
    """Add faces of people, and some unassigned faces, one image each."""

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
                SELECT i.id, 1, 0, 1, 1, 50, 50, array_fill('NaN'::real, ARRAY[10]),
                    0.9, random(), 49, 100, '{NaN,NaN,NaN}', p.id,
                    CASE WHEN p.id IS NULL THEN NULL ELSE 'auto' END, now()
                FROM images i LEFT JOIN p ON p.n = i.id %% %s AND i.id <= %s ORDER BY i.id""",
            (persons, faces),
        )

    database.run(work)
    database.run_alone(lambda connection: connection.execute("VACUUM ANALYZE"))


def timed(what: str, work: Callable[[], object], aim_s: float) -> None:
    """Run once; print wall time, and processor time of this machine without the server's."""
    began, cpu = time.monotonic(), time.process_time()
    work()
    took, worked = time.monotonic() - began, time.process_time() - cpu
    print(f"{what:<60} {took:7.3f} s   (aim {aim_s:g}; {worked:.3f} s of processor)", flush=True)


def run_of(connection: Connection, faces: int) -> int:
    """Assign many faces in one change, as `cluster` does; return its number."""
    rows = connection.execute(
        "SELECT id FROM face_detections WHERE person_id IS NULL ORDER BY id LIMIT %s", (faces,)
    ).fetchall()
    ids = [int(row[0]) for row in rows]
    with making_step(connection, "cluster", BY, "cluster") as step:
        person = make_person(step)
        unassigned = np.full(len(ids), -1, np.int64)
        faces_of_people.assign(step, np.array(ids, np.int64), unassigned, unassigned + 1, [person], "auto")
    return step.id


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--what", choices=["commands", "assign", "accuracy"], default="commands")
    parser.add_argument("--faces", type=int, default=1_000_000)
    parser.add_argument("--persons", type=int, default=5_000)
    parser.add_argument("--run", type=int, default=100_000)
    parser.add_argument("--known", type=int, default=8, help="assign: faces of each person")
    parser.add_argument("--embeddings", type=Path, default=SHARED / "faces/lfw_dev_embeddings.npz")
    given = parser.parse_args()
    if given.what == "accuracy":
        measure_accuracy(given.embeddings)
        return
    with throw_away_library() as database:
        if given.what == "assign":
            measure_assign(database, given.faces, given.persons, given.known)
        else:
            timed("filling the library", lambda: fill(database, given.faces, given.persons, given.run), 0)
            measure(database, given.run)


def measure_assign(database: Database, faces: int, persons: int, known: int) -> None:
    """Assign unassigned faces, nine of ten of known people, with embeddings that spread like ArcFace's."""
    timed("filling the library", lambda: fill(database, persons * known, persons, faces), 0)
    timed("filling in vectors", lambda: fill_vectors(database, persons, persons * known + faces), 0)
    library = Library(database)
    detector = database.run(library.detector)
    if detector is None:
        raise LookupError("the library was not filled")

    def prototypes() -> int:
        return database.run(lambda connection: refresh_prototypes(connection, detector))

    timed("making all prototypes", prototypes, 0)
    timed("finding no prototype stale", prototypes, 0.3)
    for threshold in (None, "auto"):
        options = AssignOptions(threshold=threshold, dry_run=threshold is None)
        found: list[Result] = []

        def run(options: AssignOptions = options, found: list[Result] = found) -> None:
            found.append(assign(library, options, work=Work(by=BY)))

        timed(f"assign --threshold {threshold or 'of the recognizer, --dry-run'}", run, 60)
        print(found[0])
    print(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB of memory at most   (aim 3)")
    timed("making all prototypes again", prototypes, 0)
    timed("finding no prototype stale", prototypes, 0.3)
    measure_review(library)


def measure_review(library: Library) -> None:
    """Look for all questions, and then time one after the answer to another."""
    timed("looking for all questions", lambda: refresh_questions(library), 0)
    for number in range(3):
        first = next_questions(library.database, 1)[0]
        person = first.nameless or first.person
        naming.name(library.database, person, f"Anna {number}", into=False, face=False, by=BY)
        timed("looking for questions after an answer", lambda: refresh_questions(library, of_steps=True), 0)
        timed("the next question", lambda: next_questions(library.database, 1), 0.3)


def fill_vectors(database: Database, persons: int, total: int) -> None:
    """Add a vector for each face: nine of ten of its person, the others of strangers."""
    rng = np.random.default_rng(7)
    scale = ((np.arange(512) + 10.0) ** -SPREAD_DECAY).astype(np.float32)

    def unit(count: int) -> Float32:
        return unit_rows(rng.standard_normal((count, 512), np.float32) * scale)

    hearts = unit(persons)
    for start in range(0, total, 50_000):
        number = np.arange(start + 1, min(start + 50_000, total) + 1)
        similarity = np.clip(rng.normal(0.75, 0.08, (len(number), 1)), 0.3, 0.95).astype(np.float32)
        noise = unit(len(number))
        vectors = unit_rows(similarity * hearts[number % persons] + np.sqrt(1 - similarity**2) * noise)
        stranger = rng.random(len(number)) < 0.1
        vectors[stranger] = noise[stranger]
        columns = {"face": number, "model": np.ones(len(number), np.int16), "vector": vectors}

        def work(connection: Connection, columns: Mapping[str, Any] = columns) -> None:
            copy_in(
                connection,
                "COPY face_embeddings (face_id, model_id, embedding) FROM STDIN (FORMAT BINARY)",
                {"face": INT8, "model": INT2, "vector": vector(512)},
                columns,
            )

        database.run(work)
    database.run_alone(lambda connection: connection.execute("VACUUM ANALYZE"))


def measure_accuracy(path: Path) -> None:
    """Count faces assigned to the right person, and others assigned to any."""
    with np.load(path) as arrays:
        rows = unit_rows(arrays["embedding"])
        _, label, count = np.unique(arrays["name"], return_inverse=True, return_counts=True)
    measured = calibrate(rows)
    print("each threshold: after one run, and after running again until nothing changes")
    print("named  people  held out  strangers  threshold       right of held out  wrong of all  precision")
    for named, least in ((1, 4), (3, 5), (10, 12)):
        results: dict[str, list[Float64]] = {}
        known = np.flatnonzero(count >= least)
        for seed in range(5):
            order = np.random.default_rng(seed).permutation(len(rows))
            rank = np.empty(len(rows), np.int64)
            by_person = order[np.argsort(label[order], kind="stable")]
            rank[by_person] = np.arange(len(rows)) - (np.cumsum(count) - count)[label[by_person]]
            is_named = np.isin(label, known) & (rank < named)
            for threshold in (0.5, 0.6, None):
                name = "auto" if threshold is None else str(threshold)
                found = right_and_wrong(rows, label, is_named, measured, threshold)
                for which, figures in zip(("once", "again"), found, strict=True):
                    results.setdefault(f"{name:>4} {which:>5}", []).append(figures)
        strangers = int((~np.isin(label, known)).sum())
        held = len(rows) - strangers - len(known) * named
        for what, of_seeds in results.items():
            limit, right, wrong, precision = np.mean(of_seeds, axis=0)
            print(
                f"{named:>5}  {len(known):>6}  {held:>8}  {strangers:>9}  {what} {limit:.2f}  "
                f"{right:>17.2%}  {wrong:>12.3%}  {precision:>9.2%}"
            )


def named_people(rows: Float32, label: Int64, is_named: Bool) -> tuple[Float32, Int64, Bool]:
    """Return the prototypes of named people: vectors, people, and which are exemplars."""
    vectors, person, is_exemplar = [], [], []
    for owner_number in np.unique(label[is_named]):
        face = np.flatnonzero(is_named & (label == owner_number))
        nothing = np.zeros(len(face), bool)
        found = prototypes_of(
            PersonFaces(
                face,
                rows[face],
                quality=np.ones(len(face), np.float32),
                clarity=np.ones(len(face), np.float32),
                year=nothing.astype(np.int64),
                pinned=nothing,
                dropped=nothing,
            )
        )
        ours = [*rows[face[found.exemplars]], *(each.vector for each in found.centroids)]
        vectors += ours
        person += [owner_number] * len(ours)
        is_exemplar += [True] * len(found.exemplars) + [False] * len(found.centroids)
    return np.stack(vectors), np.array(person), np.array(is_exemplar)


def right_and_wrong(
    rows: Float32, label: Int64, is_named: Bool, measured: Calibration, threshold: float | None
) -> tuple[Float64, Float64]:
    """Return accuracy after one run, and after repeated runs until nothing changes.

    Returns
    -------
    float64 arrays of shape (4,)
        The threshold, which is measured where None is given; share of held-out faces that are with the right
        person; share of all faces that are with a wrong one; precision.
    """
    owner = np.where(is_named, label, -1)
    held = ~is_named & np.isin(label, label[is_named])
    figures: list[Float64] = []
    while True:
        vectors, prototype_owner, is_exemplar = named_people(rows, owner, owner >= 0)
        limit = measured_threshold(measured, len(prototype_owner)) if threshold is None else threshold
        limits = thresholds(limit, DEFAULT_MARGIN, limit - 0.1, known_recognizer(None))
        rest = np.flatnonzero(owner < 0)
        matches = KnownPeople(vectors, prototype_owner, is_exemplar).similar(rows[rest], limits)
        given = choose_people(matches, matches.face, limits).given
        owner[rest[given.face]] = given.person
        got = (owner >= 0) & ~is_named
        right, wrong = int((got & (owner == label)).sum()), int((got & (owner != label)).sum())
        figures.append(
            np.array([limit, right / held.sum(), wrong / (~is_named).sum(), right / max(1, right + wrong)])
        )
        if not len(given):
            return figures[0], figures[-1]


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
    for what, aim in (("people list, first", 0), ("people list", 0.3)):
        timed(what, lambda: listing.people(database, status="active", unnamed=False, sort="faces"), aim)
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
    timed(
        "people list after it, before a vacuum",
        lambda: listing.people(database, status="active", unnamed=False, sort="faces"),
        0.3,
    )


if __name__ == "__main__":
    main()
