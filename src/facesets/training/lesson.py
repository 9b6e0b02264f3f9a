"""Input and output of training, without PyTorch, which takes seconds to load.

Some people and some faces are held out for trials.
"""

from dataclasses import dataclass

import numpy as np

from facesets.records import Bool, Float32, Int64
from facesets.training.checkpoints import Epoch
from facesets.training.head import Layers

FOLDS = 5
_MIN_HELD_OUT = 2
"""Minimum people to hold out; one alone cannot be distinguished from others."""


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """How to train."""

    epochs: int
    margin: float
    batch_size: int
    learning_rate: float
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Lesson:
    """Training data: unit rows of shape (n, d), their people, and which are only for validation."""

    embedding: Float32
    person: Int64
    validates: Bool


@dataclass(frozen=True, slots=True)
class TrainedHead:
    """A head, and the result of each epoch; fewer epochs than planned if it was stopped."""

    layers: Layers
    epochs: tuple[Epoch, ...]


def held_out_people(people: int, seed: int) -> list[Int64]:
    """Return the people that each of five folds holds out: a fifth, and at least two."""
    order = np.random.default_rng([seed, 1]).permutation(people)
    size = max(_MIN_HELD_OUT, -(-people // FOLDS))
    starts = [fold * people // FOLDS for fold in range(FOLDS)]
    return [np.sort(order[(start + np.arange(size)) % people]) for start in starts]


def held_out_faces(person: Int64, seed: int, *, one_in: int = 5) -> Bool:
    """Return a mask of a fifth (or another share) of each person's faces, at least one each."""
    place, size = _places(person, np.random.default_rng([seed, 2]))
    chosen: Bool = place < np.maximum(1, size // one_in)
    return chosen


def capped(person: Int64, most: int, seed: int) -> Int64:
    """Return a limited number of rows, evenly per person, at random; in their order."""
    place, size = _places(person, np.random.default_rng([seed, 3]))
    fewest, too_many = 2, int(size.max(initial=0)) + 1
    # The largest share of each person with which all fit.
    while too_many - fewest > 1:
        each = (fewest + too_many) // 2
        fewest, too_many = (each, too_many) if (place < each).sum() <= most else (fewest, each)
    rows = np.flatnonzero(place < fewest)
    if len(rows) <= most:
        return rows
    return rows[np.isin(person[rows], _first_people(person[rows], most))]


def _first_people(person: Int64, most: int) -> Int64:
    """Return as many people as have at most that many faces in all."""
    people, count = np.unique(person, return_counts=True)
    return people[np.cumsum(count) <= most]


def _places(person: Int64, rng: np.random.Generator) -> tuple[Int64, Int64]:
    """Return each face's place in a random order of its person's faces, and their number."""
    order = rng.permutation(len(person))
    order = order[np.argsort(person[order], kind="stable")]
    _, first, index, count = np.unique(
        person[order], return_index=True, return_inverse=True, return_counts=True
    )
    place = np.empty(len(person), np.int64)
    place[order] = np.arange(len(person)) - first[index]
    size = np.empty(len(person), np.int64)
    size[order] = count[index]
    return place, size
