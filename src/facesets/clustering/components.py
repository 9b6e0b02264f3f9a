"""Connected components of the graph that joins faces above a similarity."""

from collections.abc import Iterable

import numpy as np

from facesets.clustering.labels import in_callers_order
from facesets.clustering.neighbors import Edges, OnProgress, edge_chunks
from facesets.clustering.vectors import (
    Embeddings,
    Int32,
    Int64,
    canonical_order,
    check_cosine_similarity,
    check_matrix,
    unit_rows,
)

_BUFFERED_EDGES = 4_000_000


def connected_components(
    embeddings: Embeddings, *, min_cosine_similarity: float, on_progress: OnProgress | None = None
) -> Int64:
    """Group faces that chains of pairs, each at least this similar, connect; exact.

    Parameters
    ----------
    embeddings : float array of shape (n, d)
        Scaled to unit length if they are not.
    min_cosine_similarity : float
        In [-1, 1]; a pair counts from 1e-6 below it, for rounding.
    on_progress : callable, optional

    Returns
    -------
    int64 array of shape (n,)
        Components by falling size, ties by smallest member. A face alone has a label of its own.

    Raises
    ------
    ValueError
        When the embeddings are malformed (see `unit_rows`) or the similarity is out of range.
    """
    check_cosine_similarity(min_cosine_similarity)
    check_matrix(embeddings)
    order = canonical_order(embeddings)
    rows = unit_rows(embeddings, order)
    chunks = edge_chunks(rows, min_cosine_similarity=min_cosine_similarity, on_progress=on_progress)
    return in_callers_order(components_of(chunks, len(rows)), order)


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
