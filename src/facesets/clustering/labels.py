"""How clusters are numbered: the same partition always gets the same labels."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facesets.clustering.vectors import Bool, Int64

NOISE = -1


def numbered(labels: ArrayLike) -> Int64:
    """Number clusters 0, 1, … by falling size, ties by smallest member.

    Parameters
    ----------
    labels : integers of shape (n,)
        Any numbers; negative ones are noise.

    Returns
    -------
    int64 array of shape (n,)
        The same partition. Noise is -1.
    """
    given = as_labels(labels)
    _, first, inverse, counts = np.unique(given, return_index=True, return_inverse=True, return_counts=True)
    is_noise = given[first] < 0
    order = np.lexsort((first, -counts, is_noise))
    number = np.empty(len(order), np.int64)
    number[order] = np.arange(len(order))
    number[is_noise] = NOISE
    return number[inverse]


def as_labels(labels: ArrayLike) -> Int64:
    """Return labels as an int64 array.

    Raises
    ------
    ValueError
        When they are not a row of integers.
    """
    given: NDArray[Any] = np.asarray(labels)
    if given.ndim != 1 or (given.size and not np.issubdtype(given.dtype, np.integer)):
        raise ValueError("labels must be a one-dimensional array of integers.")
    return given.astype(np.int64)


def check_labels(labels: ArrayLike, count: int) -> Int64:
    """Return labels as int64, one a face.

    Raises
    ------
    ValueError
        When they are not integers or not as many as the faces.
    """
    given = as_labels(labels)
    if len(given) != count:
        raise ValueError(f"There are {len(given)} labels for {count} faces.")
    return given


def in_callers_order(labels: Int64, order: Int64) -> Int64:
    """Number labels of rows that were taken in `order`, and put them back where the rows came from."""
    placed = np.empty(len(labels), np.int64)
    placed[order] = labels
    return numbered(placed)


def singletons_as_noise(labels: Int64, *, min_size: int = 2) -> Int64:
    """Give the members of clusters smaller than `min_size` the label -1."""
    given = numbered(labels)
    small: Bool = cluster_sizes(given)[given] < min_size
    return numbered(np.where((given < 0) | small, NOISE, given))


def cluster_sizes(labels: Int64) -> Int64:
    """Number of members of clusters 0, 1, …; noise is not counted, and has an entry 0 at the end.

    The last entry makes `cluster_sizes(labels)[labels]` valid for the label -1 as well.
    """
    sizes = np.bincount(labels[labels >= 0], minlength=int(labels.max(initial=-1)) + 1)
    return np.append(sizes, 0).astype(np.int64)
