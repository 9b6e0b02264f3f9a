"""Components of graphs that are given as pairs."""

from collections.abc import Iterable

import numpy as np

from facesets.clustering.neighbors import Edges
from facesets.clustering.vectors import Int32, Int64

_BUFFERED_EDGES = 4_000_000


def components_of(chunks: Iterable[Edges], count: int) -> Int64:
    """Components of a graph of `count` nodes whose edges come in chunks.

    Only edges that join two components so far are kept, so memory does not grow with the graph.

    Returns
    -------
    int64 array of shape (count,)
        Numbers from 0, in no particular order.
    """
    labels = np.arange(count)
    pending: list[tuple[Int64, Int64]] = []
    pending_count = 0
    for chunk in chunks:
        i, j = labels[chunk.i], labels[chunk.j]
        joins = i != j
        pending.append((i[joins], j[joins]))
        pending_count += int(joins.sum())
        if pending_count > _BUFFERED_EDGES:
            labels, pending, pending_count = _joined(labels, pending), [], 0
    return _joined(labels, pending)


def join_pairs(count: int, i: Int64 | Int32, j: Int64 | Int32) -> Int64:
    """Components of a graph given as pairs of its `count` nodes; numbers from 0."""
    if not len(i):
        return np.arange(count)
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components as components

    graph = coo_array((np.ones(len(i), bool), (i, j)), shape=(count, count))
    found: Int32 = components(graph, directed=False)[1]
    return found.astype(np.int64)


def _joined(labels: Int64, pending: list[tuple[Int64, Int64]]) -> Int64:
    if not pending or not len(labels):
        return labels
    i = np.concatenate([pair[0] for pair in pending])
    j = np.concatenate([pair[1] for pair in pending])
    return join_pairs(int(labels.max()) + 1, i, j)[labels]
