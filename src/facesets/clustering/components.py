"""Connected components of the graph that joins faces above a similarity."""

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import ArrayLike

from facesets.clustering.labels import check_labels, in_callers_order, numbered
from facesets.clustering.neighbors import Edges, OnProgress, cross_edge_chunks, edge_chunks
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


def grow_components(
    embeddings: Embeddings, labels: ArrayLike, new: Embeddings, *, min_cosine_similarity: float
) -> Int64:
    """Add faces to components that are known: the same as starting again, for the price of the new ones.

    Parameters
    ----------
    embeddings : float array of shape (n, d)
        The faces known so far.
    labels : integers of shape (n,)
        Their components at this similarity; none negative.
    new : float array of shape (m, d)
        The faces to add. Compared with all known ones, and with each other.
    min_cosine_similarity : float

    Returns
    -------
    int64 array of shape (n + m,)
        Components of the known faces and then the new ones, by falling size, ties by smallest member.

    Raises
    ------
    ValueError
        When embeddings are malformed or differ in dimension, labels do not match or are negative, or the
        similarity is out of range.
    """
    check_cosine_similarity(min_cosine_similarity)
    known, rows = unit_rows(embeddings), unit_rows(new, name="new")
    if known.shape[1] != rows.shape[1]:
        raise ValueError(f"New faces have {rows.shape[1]} numbers, known ones {known.shape[1]}.")
    given = check_labels(labels, len(known))
    if given.min(initial=0) < 0:
        raise ValueError("Known faces must all have a component; a face alone is one by itself.")
    parts = int(given.max(initial=-1)) + 1

    def joins() -> Iterator[Edges]:
        for edges in edge_chunks(rows, min_cosine_similarity=min_cosine_similarity):
            yield Edges(edges.i + np.int32(parts), edges.j + np.int32(parts), edges.similarity)
        for edges in cross_edge_chunks(rows, known, min_cosine_similarity=min_cosine_similarity):
            yield Edges(edges.i + np.int32(parts), given[edges.j].astype(np.int32), edges.similarity)

    found = components_of(joins(), parts + len(rows))
    return numbered(np.r_[found[given], found[parts:]])


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
