"""`cluster --dual` and plain `cluster` on faces whose people are known, and new faces in a saved hierarchy.

    .venv/bin/python scripts/benchmarks/dual.py [--embeddings FILE.npz] [--named 3] [--what dual|hierarchy]

dual: half of the people with five faces or more are named by some of their faces; then each way groups
all others, strangers included, in a library of its own on a throw-away embedded server. Printed are F1 over
all faces (people and clusters alike), and how many faces of the named people came to them; of dual also how
many clusters are more similar to a person than strangers are, and F1 after true answers about them.
hierarchy: half of the people are in the library with two thirds of their faces; those of all others come
later and are placed in it.
FILE.npz holds `embedding` and `name`; by default it is ../shared/faces/lfw_dev_embeddings.npz.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
from throw_away import throw_away_library

from facesets.clustering import evaluate
from facesets.clustering.vectors import Bool, Float32, Int64, unit_rows
from facesets.operations.options.people import ClusterLibraryOptions, DualOptions
from facesets.operations.people.grouping.cluster_library import cluster_library
from facesets.operations.people.grouping.dual import cluster_dual
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.copying import INT2, INT8, copy_in, vector
from facesets.store.postgres.library import Library
from facesets.work import SilentProgress, Stop, Work

SHARED = Path(__file__).resolve().parents[2].parent / "shared"
LEAST = 5
"""Minimum faces of people who are named."""
WAYS: dict[str, dict[str, Any]] = {
    "dual, hdbscan": {"unknown_method": "hdbscan"},
    "dual, dbscan": {"unknown_method": "dbscan"},
    "dual, agglomerative": {"unknown_method": "agglomerative"},
    "dual, auto": {"unknown_method": "auto"},
    "plain, components": {"method": "components"},
    "plain, hdbscan": {"method": "hdbscan"},
    "plain, auto": {"method": "auto"},
}


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--what", choices=["dual", "hierarchy"], default="dual")
    parser.add_argument("--named", type=int, default=3, help="faces of each person who is named")
    parser.add_argument("--embeddings", type=Path, default=SHARED / "faces/lfw_dev_embeddings.npz")
    given = parser.parse_args()
    with np.load(given.embeddings) as arrays:
        rows = unit_rows(arrays["embedding"])
        _, label = np.unique(arrays["name"], return_inverse=True)
    if given.what == "hierarchy":
        measure_hierarchy(rows, label)
    else:
        measure_dual(rows, label, given.named)


def measure_dual(rows: Float32, label: Int64, named: int) -> None:
    """Compare both phases with plain runs."""
    rng = np.random.default_rng(0)
    enough = np.flatnonzero(np.bincount(label) >= LEAST)
    known = rng.permutation(enough)[: len(enough) // 2]
    person = np.full(len(rows), -1, np.int64)
    for person_number in known.tolist():
        person[rng.permutation(np.flatnonzero(label == person_number))[:named]] = person_number
    held = np.isin(label, known) & (person < 0)
    print(
        f"{len(rows)} faces, {len(known)} people named by {named} faces each, {held.sum()} others of theirs"
    )
    print(
        "way                   pairwise  BCubed F1  to the named: right, wrong  groups  seconds  answers: F1s"
    )
    for way, options in WAYS.items():
        with throw_away_library() as database:
            fill(database, rows, person)
            began = time.monotonic()
            run(Library(database), options)
            seconds = time.monotonic() - began
            found, person_of = outcome(database, person)
            asked = questions(database) if "unknown_method" in options else []
        scores = evaluate(found, label)
        right = (person_of == label)[held].mean()
        wrong = int(((person_of >= 0) & (person_of != label) & (person < 0)).sum())
        answers = answered(found, person_of, label, asked)
        print(
            f"{way:<20}  {scores.pairwise_f1:>8.4f}  {scores.bcubed_f1:>9.4f}  {right:>19.2%}  {wrong:>5}  "
            f"{len(np.unique(found[found >= 0])):>6}  {seconds:>7.1f}{answers}"
        )


def questions(database: Database) -> list[tuple[int, list[int]]]:
    """Return the clusters that are more similar to a person than strangers: the person, and faces by row."""
    return [
        (person.int - 1, [face - 1 for face in faces])
        for person, faces in database.run(
            lambda connection: connection.execute(
                """SELECT q.person_id, array_agg(f.id) FROM person_candidates q
                    JOIN face_detections f ON f.cluster = q.cluster_id
                    WHERE q.kind = 'cluster' AND q.uncertainty > 0 GROUP BY q.id, q.person_id"""
            ).fetchall()
        )
    ]


def answered(found: Int64, person_of: Int64, label: Int64, asked: list[tuple[int, list[int]]]) -> str:
    """Format the number of answers, and scores after true ones; empty without suggestions."""
    if not asked:
        return ""
    after = np.where(person_of >= 0, len(label) + person_of, found)
    for person, faces in asked:
        if np.bincount(label[faces]).argmax() == person:
            after[faces] = len(label) + person
    scores = evaluate(after, label)
    return f"   {len(asked)}: {scores.pairwise_f1:.4f}, {scores.bcubed_f1:.4f}"


def run(library: Library, options: dict[str, Any]) -> list[str]:
    """Group the faces of a library; return the method's sentences."""
    progress, stop = SilentProgress(), Stop()
    if "unknown_method" in options:
        samples = 2 if options["unknown_method"] == "hdbscan" else 3
        asked = ClusterLibraryOptions(min_samples=samples)
        dual = DualOptions(dual=True, **options)
        return list(cluster_dual(library, asked, dual, work=Work(progress=progress, stop=stop)).reasons)
    usual = ClusterLibraryOptions().chosen(options["method"], None)
    return list(cluster_library(library, usual, work=Work(progress=progress, stop=stop)).reasons)


def measure_hierarchy(rows: Float32, label: Int64) -> None:
    """Place faces of known people and of strangers in a saved hierarchy."""
    rng = np.random.default_rng(0)
    is_known = rng.random(label.max() + 1) < 0.5
    first = is_known[label] & (rng.random(len(label)) < 2 / 3)
    unassigned = np.full(len(rows), -1, np.int64)
    with throw_away_library() as database:
        fill(database, rows, unassigned, stored=first)
        library = Library(database)
        run(library, {"method": "hdbscan"})
        before, _ = outcome(database, unassigned)
        add_vectors(database, rows, ~first)
        began = time.monotonic()
        reasons = run(library, {"method": "hdbscan"})
        seconds = time.monotonic() - began
        after, _ = outcome(database, unassigned)
    owner = np.full(int(before.max()) + 2, -1, np.int64)
    for cluster in np.unique(before[before >= 0]).tolist():
        owner[cluster] = np.bincount(label[before == cluster]).argmax()
    new = ~first
    placed = new & (after >= 0) & (after <= before.max())
    right = placed & (owner[np.where(placed, after, -1)] == label)
    theirs = new & np.isin(label, owner[owner >= 0])
    print(reasons[0])
    print(
        f"{int(new.sum())} new faces, {int(theirs.sum())} of people with a cluster, of these "
        f"{right.sum() / theirs.sum():.2%} placed right; {int((placed & ~right).sum())} of all placed "
        f"wrongly; {seconds:.1f} s"
    )


def fill(database: Database, rows: Float32, person: Int64, stored: Bool | None = None) -> None:
    """Add faces numbered from 1, one image each, some of them assigned; some lack a vector."""

    def work(connection: Connection) -> None:
        connection.execute(
            """INSERT INTO models (kind, name, sha256, dimension) VALUES ('face', 'made.onnx', 'm', %s)""",
            (rows.shape[1],),
        )
        connection.execute(
            """INSERT INTO detectors (model_id, pack, detector, detector_sha256, det_size, min_det_score)
                VALUES (1, 'p', 'd', 'd', 640, 0.5)"""
        )
        connection.execute(
            """INSERT INTO images (sha256, width, height, fingerprint)
                SELECT encode(sha256(i::text::bytea), 'hex'), 100, 100, '' FROM generate_series(1, %s) i""",
            (len(rows),),
        )
        connection.execute("INSERT INTO face_scans (image_id, detector_id) SELECT id, 1 FROM images")
        person_of = [None if each < 0 else f"{each + 1:032x}" for each in person.tolist()]
        connection.execute(
            "INSERT INTO persons (id) SELECT DISTINCT p FROM unnest(%s::uuid[]) p WHERE p IS NOT NULL",
            (person_of,),
        )
        connection.execute(
            """INSERT INTO face_detections (id, image_id, detector_id, ordinal, x1, y1, x2, y2, kps,
                    det_score, quality, face_short, blur, pose, person_id, assigned_by)
                SELECT n, n, 1, 0, 1, 1, 50, 50, array_fill('NaN'::real, ARRAY[10]),
                    0.9, 0.9, 49, 100, '{NaN,NaN,NaN}', p,
                    CASE WHEN p IS NOT NULL THEN 'manual' END
                FROM unnest(%s::uuid[]) WITH ORDINALITY AS u (p, n)""",
            (person_of,),
        )

    database.run(work)
    add_vectors(database, rows, np.ones(len(rows), bool) if stored is None else stored)


def add_vectors(database: Database, rows: Float32, which: Bool) -> None:
    """Store the embeddings of some of the faces."""
    number = np.flatnonzero(which)

    def work(connection: Connection) -> None:
        copy_in(
            connection,
            "COPY face_embeddings (face_id, model_id, embedding) FROM STDIN (FORMAT BINARY)",
            {"face": INT8, "model": INT2, "vector": vector(rows.shape[1])},
            {"face": number + 1, "model": np.ones(len(number), np.int16), "vector": rows[number]},
        )

    database.run(work)


def outcome(database: Database, person: Int64) -> tuple[Int64, Int64]:
    """Return for each face a number of its person or cluster, -1 for none; and its named person."""
    pairs = database.run(
        lambda connection: connection.execute(
            "SELECT person_id, coalesce(person_id::text, cluster) FROM face_detections ORDER BY id"
        ).fetchall()
    )
    names = {name: number for number, name in enumerate(dict.fromkeys(n for _, n in pairs if n is not None))}
    found = np.array([-1 if name is None else names[name] for _, name in pairs], np.int64)
    known = set(np.unique(person[person >= 0]).tolist())
    person_of = [-1 if each is None or each.int - 1 not in known else each.int - 1 for each, _ in pairs]
    return found, np.array(person_of, np.int64)


if __name__ == "__main__":
    main()
