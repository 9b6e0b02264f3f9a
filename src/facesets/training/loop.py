"""Train a projection head by triplets, epoch by epoch.

References
----------
Schroff, Kalenichenko and Philbin, "FaceNet", 2015 (semi-hard negatives mined in the batch).
"""

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional

from facesets.records import Bool, Float32, Int64
from facesets.training.checkpoints import Checkpoint, Epoch, newest_checkpoint, write_checkpoint
from facesets.training.head import Layer, Layers
from facesets.training.lesson import Lesson, TrainedHead, TrainingPlan
from facesets.work import Stop

HIDDEN, OUTPUTS = 256, 128
_WEIGHTS = ("first", "first_bias", "second", "second_bias")
_ADAM = ("step", "exp_avg", "exp_avg_sq")
_EACH = 4
"""Faces of one person per batch; a single one would make no pair."""

_MIN_SQUARE = 1e-8
"""Minimum square of a distance, as the root has no slope at zero."""


def batches(person: Int64, size: int, rng: np.random.Generator) -> Iterator[Int64]:
    """Return rows in random batches of at most `size`, with up to four of a person side by side.

    Parameters
    ----------
    person : integers of shape (n,)
        Person of each row.
    """
    order = rng.permutation(len(person))
    order = order[np.argsort(person[order], kind="stable")]
    ends = np.flatnonzero(np.diff(person[order])) + 1
    groups = [
        group for rows in np.split(order, ends) for group in np.array_split(rows, -(-len(rows) // _EACH))
    ]
    shuffled = rng.permutation(len(groups))
    together = max(2, size // _EACH)
    for start in range(0, len(groups), together):
        yield np.concatenate([groups[number] for number in shuffled[start : start + together]])


class BatchLoss(NamedTuple):
    """The mean loss of all pairs of one person, the number of pairs, and of margin violations."""

    mean: torch.Tensor
    pairs: int
    triplets: int


def triplet_loss(vectors: torch.Tensor, person: torch.Tensor, margin: float) -> BatchLoss | None:
    """Return `max(0, margin + d(a, p) - d(a, n))` over all pairs a, p of one person in a batch.

    d is the Euclidean distance of unit vectors, n the nearest of those others that are farther than p
    (semi-hard), else the farthest other.

    Parameters
    ----------
    vectors : tensor of shape (b, d)
        Of unit length.
    person : integer tensor of shape (b,)

    Returns
    -------
    BatchLoss or None
        None where no two faces are of one person, or all are.
    """
    distance = (2 - 2 * vectors @ vectors.T).clamp_min(_MIN_SQUARE).sqrt()
    same = person[:, None] == person[None, :]
    anchor, positive = torch.triu(same, diagonal=1).logical_or(torch.tril(same, diagonal=-1)).nonzero().T
    other = ~same[anchor]
    if not len(anchor) or not bool(other.any()):
        return None
    to_positive = distance[anchor, positive]
    with torch.no_grad():
        to_others = distance[anchor]
        beyond = other & (to_others > to_positive[:, None])
        nearest = to_others.masked_fill(~beyond, torch.inf).argmin(dim=1)
        farthest = to_others.masked_fill(~other, -torch.inf).argmax(dim=1)
        negative = torch.where(beyond.any(dim=1), nearest, farthest)
    losses = (margin + to_positive - distance[anchor, negative]).clamp_min(0)
    return BatchLoss(losses.mean(), len(anchor), int((losses > 0).sum()))


def train(
    lesson: Lesson,
    plan: TrainingPlan,
    directory: Path,
    *,
    on_epoch: Callable[[Epoch], None],
    stop: Stop,
) -> TrainedHead:
    """Train a head, resuming from the newest checkpoint of this training if there is one.

    The same lesson and plan give the same weights on one machine, however often it is interrupted.

    Parameters
    ----------
    directory : Path
        Where checkpoints are stored.
    on_epoch : function
        Hears of every epoch, also of those that a checkpoint brings.

    Raises
    ------
    CannotWrite
        A checkpoint cannot be written.
    """
    training = _digest(lesson, plan)
    found = newest_checkpoint(directory, training)
    checkpoint = found or Checkpoint((), _first_arrays(lesson.embedding.shape[1], plan.seed))
    for epoch in checkpoint.epochs:
        on_epoch(epoch)
    with _one_thread():
        state = _State(checkpoint.arrays, plan.learning_rate)
        epochs = list(checkpoint.epochs)
        while len(epochs) < plan.epochs and not stop.requested:
            done = _one_epoch(state, lesson, plan, len(epochs) + 1, stop)
            if done is None:
                break
            epochs.append(done)
            write_checkpoint(directory, Checkpoint(tuple(epochs), state.arrays()), training)
            on_epoch(done)
    return TrainedHead(state.layers(), tuple(epochs))


class _State:
    """Weights and optimizer, as tensors to continue with and as arrays to store."""

    def __init__(self, arrays: Mapping[str, Float32], learning_rate: float) -> None:
        self._weights = {name: torch.from_numpy(arrays[name].copy()).requires_grad_() for name in _WEIGHTS}
        self.optimizer = torch.optim.Adam(self._weights.values(), lr=learning_rate)
        moments = {
            number: {part: torch.from_numpy(arrays[f"{name}.{part}"].copy()) for part in _ADAM}
            for number, name in enumerate(_WEIGHTS)
            if f"{name}.step" in arrays
        }
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": moments, "param_groups": groups})

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Project rows to unit vectors."""
        first, first_bias, second, second_bias = self._weights.values()
        hidden = torch.relu(rows @ first + first_bias)
        return functional.normalize(hidden @ second + second_bias)

    def arrays(self) -> dict[str, Float32]:
        """Return everything that the next epoch starts from."""
        state = self.optimizer.state_dict()["state"]
        arrays = {name: tensor.detach().numpy().copy() for name, tensor in self._weights.items()}
        for number, name in enumerate(_WEIGHTS):
            arrays |= {
                f"{name}.{part}": value.numpy().copy() for part, value in state.get(number, {}).items()
            }
        return arrays

    def layers(self) -> Layers:
        """Return the current head."""
        first, first_bias, second, second_bias = (
            tensor.detach().numpy().copy() for tensor in self._weights.values()
        )
        return (Layer(first, first_bias), Layer(second, second_bias))


def _first_arrays(inputs: int, seed: int) -> dict[str, Float32]:
    """Return initial weights: uniform, within one over the root of the number of inputs."""
    rng = np.random.default_rng([seed, 0])
    shapes = ((inputs, HIDDEN), (HIDDEN,), (HIDDEN, OUTPUTS), (OUTPUTS,))
    bounds = np.array([inputs, inputs, HIDDEN, HIDDEN]) ** -0.5
    return {
        name: rng.uniform(-bound, bound, shape).astype(np.float32)
        for name, shape, bound in zip(_WEIGHTS, shapes, bounds, strict=True)
    }


def _one_epoch(state: _State, lesson: Lesson, plan: TrainingPlan, number: int, stop: Stop) -> Epoch | None:
    """Go through all faces once; None if it was stopped before the end."""
    began = time.monotonic()
    rng = np.random.default_rng([plan.seed, number])
    total, pairs, triplets = 0.0, 0, 0
    for found in _losses(state, lesson, ~lesson.validates, plan, rng):
        if stop.requested:
            return None
        state.optimizer.zero_grad()
        found.mean.backward()
        state.optimizer.step()
        total, pairs, triplets = (
            total + found.pairs * found.mean.item(),
            pairs + found.pairs,
            triplets + found.triplets,
        )
    validation = _validation_loss(state, lesson, plan)
    return Epoch(number, total / max(1, pairs), validation, triplets, round(time.monotonic() - began, 3))


def _validation_loss(state: _State, lesson: Lesson, plan: TrainingPlan) -> float:
    """Return the mean loss of validation faces, in the same batches after each epoch."""
    with torch.no_grad():
        found = list(_losses(state, lesson, lesson.validates, plan, np.random.default_rng([plan.seed, 0])))
    pairs = sum(each.pairs for each in found)
    return float(sum(each.pairs * each.mean.item() for each in found) / max(1, pairs))


def _losses(
    state: _State, lesson: Lesson, chosen: Bool, plan: TrainingPlan, rng: np.random.Generator
) -> Iterator[BatchLoss]:
    """Yield the loss of each batch of the chosen faces that holds a triplet."""
    rows = np.flatnonzero(chosen)
    for batch in batches(lesson.person[rows], plan.batch_size, rng):
        some = rows[batch]
        vectors = state.forward(torch.from_numpy(lesson.embedding[some]))
        found = triplet_loss(vectors, torch.from_numpy(lesson.person[some]), plan.margin)
        if found is not None:
            yield found


def _digest(lesson: Lesson, plan: TrainingPlan) -> str:
    """Return the digest of everything that the result depends on."""
    digest = hashlib.sha256(f"{plan} {torch.__version__}".encode())
    for array in (lesson.embedding, lesson.person, lesson.validates):
        digest.update(f"{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


@contextmanager
def _one_thread() -> Iterator[None]:
    """Compute with one thread: batches are small, and the number of threads changes the last digits."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
