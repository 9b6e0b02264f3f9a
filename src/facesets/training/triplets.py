"""Batches of a few faces of several people, and the triplet loss over them.

References
----------
Schroff, Kalenichenko and Philbin, "FaceNet", 2015 (semi-hard negatives mined in the batch).
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch

from facesets.records import Int64

_EACH = 4
"""Faces of one person that come together; alone they would make no pair."""

_LEAST_SQUARE = 1e-8
"""The root has no slope at zero."""


def batches(person: Int64, size: int, rng: np.random.Generator) -> Iterator[Int64]:
    """Rows in random batches of at most `size`: each row once, up to four of a person beside each other.

    Parameters
    ----------
    person : integers of shape (n,)
        Whose face each row is.
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
    """The mean loss of all pairs of one person, how many there are, and how many violate the margin."""

    mean: torch.Tensor
    pairs: int
    triplets: int


def triplet_loss(vectors: torch.Tensor, person: torch.Tensor, margin: float) -> BatchLoss | None:
    """`max(0, margin + d(a, p) - d(a, n))` over all pairs a, p of one person in a batch.

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
    distance = (2 - 2 * vectors @ vectors.T).clamp_min(_LEAST_SQUARE).sqrt()
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
