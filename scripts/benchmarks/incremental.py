"""Compare adding faces in batches with one run over all: how far the people differ.

    PYTHONPATH=src python scripts/benchmarks/incremental.py [--vectors FILE.npz] [--batches 20] [--seeds 3]

Vectors are read (`--vectors` with `embedding` and `name`) or made up (`--faces`, by `--synthetic`). Each seed
is three orders: at random in equal batches; 90 % at once and the rest at random in small batches; one person
after the other. `--night` times one run of so many new faces against the rest. `--library` does all of it
with the real library as well, in a server of its own, and ends unless the people are the same.
"""

import argparse
import importlib.util
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from throw_away import throw_away_library

from facesets.clustering import Constraints, calibrate, cluster_auto, evaluate
from facesets.clustering.people.owners import KnownOwners
from facesets.clustering.people.regrouping import regroup

Rows = NDArray[np.float32]
Labels = NDArray[np.int64]
SHARED = Path(__file__).resolve().parents[2].parent / "shared"


def load(given: argparse.Namespace) -> tuple[Rows, Labels]:
    """Return vectors and their people."""
    if given.vectors:
        with np.load(given.vectors) as arrays:
            rows, truth = arrays["embedding"].astype(np.float32), arrays["name"]
    else:
        spec = importlib.util.spec_from_file_location("synthetic_faces", given.synthetic)
        if spec is None or spec.loader is None:
            raise SystemExit(f"{given.synthetic} is no generator of vectors.")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        rows, truth, *_ = module.gen(given.faces)
        rows = rows.astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows, np.unique(truth, return_inverse=True)[1]


def orders(truth: Labels, batches: int, seed: int) -> Iterator[tuple[str, list[Labels]]]:
    """Return orders in which faces may come."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(truth))
    yield "equal batches", np.array_split(order, batches)
    most = int(0.9 * len(order))
    yield "90 % and small batches", [order[:most], *np.array_split(order[most:], batches - 1)]
    by_person = np.argsort(rng.permutation(int(truth.max()) + 1)[truth], kind="stable")
    yield "person after person", np.array_split(by_person, batches)


def night(rows: Rows, person: Labels, new: int) -> tuple[Labels, float]:
    """Return the people of all faces after a run with some new ones, and the share compared."""
    fixed = np.zeros(int(person.max(initial=-1)) + 1, bool)
    seeds = np.arange(len(rows) - new, len(rows))
    found = regroup(rows, KnownOwners(person, fixed, None, Constraints()), seeds, calibrate(rows), min_size=2)
    numbered_people = np.unique(np.r_[-1, found.person], return_inverse=True)[1][1:] - 1
    return numbered_people, len(found.looked_at) / len(rows)


def in_batches(rows: Rows, batches: list[Labels]) -> Labels:
    """Return the people of faces that came in batches."""
    order = np.concatenate(batches)
    person = np.empty(0, np.int64)
    for batch in batches:
        person = np.r_[person, np.full(len(batch), -1)]
        person, _ = night(rows[order[: len(person)]], person, len(batch))
    result = np.empty(len(rows), np.int64)
    result[order] = person
    return result


def in_library(rows: Rows, batches: list[Labels]) -> Labels:
    """Return the same from `index` and `cluster` of a library in Postgres."""
    from tests.fixtures.library_people import add_faces, cluster
    from tests.fixtures.library_people import rows as query

    from facesets.store.postgres.library import Library

    with throw_away_library() as database:
        for batch in batches:
            add_faces(Library(database), {str(face): rows[face] for face in batch.tolist()})
            cluster(Library(database))
        found: list[tuple[Any, ...]] = query(
            database,
            """SELECT p.path, f.person_id FROM face_detections f
                JOIN image_paths p ON p.image_id = f.image_id""",
        )
    names: dict[Any, int] = {None: -1}
    result = np.empty(len(rows), np.int64)
    for path, person in found:
        result[int(path[1:-4])] = names.setdefault(person, len(names) - 1)
    return result


def main() -> None:
    """Read the arguments, compare, and print the worst differences."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--vectors", type=Path)
    parser.add_argument("--faces", type=int, default=10_000)
    parser.add_argument("--synthetic", type=Path, default=SHARED / "synthetic" / "faces.py")
    parser.add_argument("--batches", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--night", type=int)
    parser.add_argument("--library", action="store_true")
    given = parser.parse_args()
    rows, truth = load(given)
    began = time.perf_counter()
    if given.night:
        before = np.r_[cluster_auto(rows[: -given.night]).labels, np.full(given.night, -1)]
        print(f"{len(rows) - given.night} faces: {time.perf_counter() - began:.1f} s", flush=True)
        began = time.perf_counter()
        _, share = night(rows, before, given.night)
        print(f"{given.night} new ones: {time.perf_counter() - began:.1f} s, {share:.1%} looked at")
        return
    whole = evaluate(cluster_auto(rows).labels, truth)
    print(f"{len(rows)} faces in one run: BCubed F1 {whole.bcubed_f1:.4f}, pairwise {whole.pairwise_f1:.4f}")
    worst = 0.0
    for seed in range(given.seeds):
        for name, batches in orders(truth, given.batches, seed):
            person = in_batches(rows, batches)
            scores = evaluate(person, truth)
            difference = scores.bcubed_f1 - whole.bcubed_f1
            worst = max(worst, abs(difference))
            print(
                f"  seed {seed}, {name}: BCubed {difference:+.4f}, "
                f"pairwise {scores.pairwise_f1 - whole.pairwise_f1:+.4f}",
                flush=True,
            )
            if given.library:
                same = evaluate(
                    in_library(rows, batches), np.where(person < 0, -1 - np.arange(len(rows)), person)
                )
                print(f"  the library: BCubed F1 with these {same.bcubed_f1:.6f}")
                if same.bcubed_f1 < 1:
                    raise SystemExit("The library found other people.")
    print(f"worst difference: {worst:.4f} BCubed F1")


if __name__ == "__main__":
    main()
