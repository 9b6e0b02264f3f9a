"""Measure whether a trained head, whitening or discriminants separate people better than plain vectors.

    .venv/bin/python scripts/benchmarks/train.py [--vectors FILE.npz] [--min-faces 5] [--epochs 20]

FILE.npz holds `embedding` (n, d) and `name` (n,). Without one, people are made up: some of whom something can
be learnt that holds for everybody, some of whom only they themselves can be learnt by heart, and some that
were given wrong names. Needs what `scripts/install --train` installs.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from facesets.operations.options.upkeep import TrainOptions
from facesets.operations.people.training.head_evaluation import (
    Taught,
    comparison,
    run_folds,
    thresholds,
    winner,
)
from facesets.training.head import project
from facesets.work import Stop

if TYPE_CHECKING:
    from facesets.records import Float32, Int64

_FIGURES = ("accuracy", "true_accepts", "clustering_f1", "precision", "recall", "assignment_f1", "score")


def named(path: Path, min_faces: int) -> Taught:
    """Return faces of people with at least this many."""
    with np.load(path) as file:
        embedding, name = file["embedding"].astype(np.float32), file["name"]
    _, person, count = np.unique(name, return_inverse=True, return_counts=True)
    kept = count[person] >= min_faces
    _, person = np.unique(person[kept], return_inverse=True)
    return Taught(project((), embedding[kept]), person.astype(np.int64))


def made_up(people: int, faces: int, dimension: int = 128) -> Iterator[tuple[str, Taught]]:
    """Return people with a common nuisance, two unrelated looks each, and some wrong names."""
    rng = np.random.default_rng(0)
    person: Int64 = np.repeat(np.arange(people), faces)
    few = dimension // 8
    axes = np.linalg.qr(rng.standard_normal((dimension, dimension)))[0]
    identity = rng.standard_normal((people, dimension - few))[person]
    own = 0.7 * rng.standard_normal((len(person), dimension - few))
    nuisance = 5 * rng.standard_normal((len(person), few))
    blurred: Float32 = project((), np.concatenate([identity + own, nuisance], axis=1) @ axes)
    yield "a nuisance that everybody shares", Taught(blurred, person)
    look = 2 * person + np.arange(len(person)) % 2
    centre = rng.standard_normal((2 * people, dimension))[look]
    two: Float32 = project((), centre + 0.4 * rng.standard_normal(centre.shape))
    yield "two unrelated looks a person", Taught(two, person)
    yield "wrong names", Taught(blurred, rng.permutation(person))


def report(title: str, taught: Taught, options: TrainOptions) -> None:
    """Run the folds, and print the comparison."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        folds = run_folds(taught, options, Path(folder), on_epoch=lambda *_: None, stop=Stop())
    lines = comparison(folds)
    took = time.monotonic() - began
    last = folds[0].epochs[-1]
    print(f"\n{title}: {len(taught.person)} faces of {taught.people} people, {took:.1f} s")
    print(f"  last loss {last.loss:.5f}, validation {last.validation_loss:.5f}")
    print(f"  {'':12}" + "".join(f"{name:>15}" for name in _FIGURES) + f"{'gain':>10}{'spread':>10}")
    for where in ("on_people", "on_faces"):
        print(f"  {'unseen people' if where == 'on_people' else 'other faces of known people'}")
        for line in lines:
            figures = getattr(line, where)
            text = "".join(f"{getattr(figures, name):15.4f}" for name in _FIGURES)
            gain = f"{line.gain:+10.4f}{line.spread:10.4f}" if where == "on_people" else ""
            print(f"  {line.kind:12}{text}{gain}")
    best = winner(lines)
    print(f"  activated: {'nothing' if best is None else best.kind}")
    for kind, layers in folds[0].layers.items():
        print(f"  {kind:12}{thresholds(folds[0].trial, layers, taught.people)}")


def main() -> None:
    """Compare on the vectors that are given, or on made-up ones."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--vectors", type=Path)
    parser.add_argument("--min-faces", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--learning-rate", type=float, default=1e-4)
    given = parser.parse_args()
    options = TrainOptions(epochs=given.epochs, learning_rate=given.learning_rate)
    if given.vectors is not None:
        report(given.vectors.name, named(given.vectors, given.min_faces), options)
        return
    for title, taught in made_up(200, 15):
        report(title, taught, options)


if __name__ == "__main__":
    main()
