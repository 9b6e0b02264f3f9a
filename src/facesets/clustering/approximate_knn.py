"""Approximate nearest neighbours of very many faces: only faces in nearby cells are compared.

All similarities are those of matrix products, so results are exact; some neighbours may be missed, and
`neighbour_recall` measures how many. From the neighbours follow the pairs that may merge.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from facesets.clustering.cells import Batch, CellComparison, divided
from facesets.clustering.engine import IN_PROCESS, Engine
from facesets.clustering.graph import Edges, OnProgress, edge_chunks
from facesets.clustering.knn import NeighborSelection, Neighbours
from facesets.clustering.linkage import Clusters
from facesets.clustering.vectors import (
    SIMILARITY_RESOLUTION,
    Embeddings,
    Float32,
    Int32,
    Int64,
    canonical_order,
    check_cosine_similarity,
    check_matrix,
    unit_rows,
)

_PROBES = 32
_COMPARED_ROWS = 32_768
_MAX_ENTRIES = 4_194_304
_APPROXIMATE_FROM = 100_000
"""From this many faces on, comparing all pairs takes longer than everything else."""

_NEIGHBOURS = 32
_COMPARED_PAIRS = 1_000_000
_CHECKED_FACES = 500


def approximate_knn_graph(
    embeddings: Embeddings,
    *,
    k: int,
    min_cosine_similarity: float = -1.0,
    probes: int = _PROBES,
    on_progress: OnProgress | None = None,
) -> Neighbours:
    """Find nearly all of the k most similar other faces of every face, with few of the products.

    Similarities are exact. How many neighbours were missed is what `neighbour_recall` measures.

    Parameters
    ----------
    embeddings : float array of shape (n, d)
        Scaled to unit length if they are not.
    k : int
        At least 1.
    min_cosine_similarity : float
        Neighbours below this are left out.
    probes : int
        About how many cells each face searches. More cells find more, and take longer.

    Raises
    ------
    ValueError
        When the embeddings are malformed (see `unit_rows`), or a number is out of range.

    References
    ----------
    Sivic & Zisserman, "Video Google", ICCV 2003 (inverted files); Jégou, Douze & Schmid, "Product
    quantization for nearest neighbor search", PAMI 2011 (probing several cells).
    """
    if k < 1 or probes < 1:
        raise ValueError(f"k and probes must be at least 1, not {k} and {probes}.")
    check_cosine_similarity(min_cosine_similarity)
    check_matrix(embeddings)
    order = canonical_order(embeddings)
    rows = unit_rows(embeddings, order)
    found = _near_in_cells(
        rows, k, min_cosine_similarity=min_cosine_similarity, probes=probes, on_progress=on_progress
    )
    index, similarity = np.empty_like(found.index), np.empty_like(found.similarity)
    index[order] = np.where(found.index >= 0, order[found.index], -1)
    similarity[order] = found.similarity
    return Neighbours(index, similarity)


def _near_in_cells(
    rows: Float32,
    k: int,
    *,
    min_cosine_similarity: float,
    probes: int = _PROBES,
    on_progress: OnProgress | None = None,
    engine: Engine = IN_PROCESS,
) -> Neighbours:
    """Run `approximate_knn_graph` on float32 rows of unit length."""
    index: Int32 = engine.empty((len(rows), k), np.int32)
    similarity: Float32 = engine.empty((len(rows), k), np.float32)
    if not len(rows):
        return Neighbours(index, similarity)
    division = divided(rows, probes, engine=engine)
    work = partial(_nearest_of_batch, k, min_cosine_similarity)
    arrays = (engine.in_order(rows, division.order), *division.arrays())
    batches = division.batches()
    for step, (face, found) in enumerate(engine.each(work, arrays, batches), start=1):
        index[face], similarity[face] = found.index, found.similarity
        if on_progress is not None:
            on_progress(step, len(batches))
    return Neighbours(index, similarity)


def _nearest_of_batch(k: int, min_cosine_similarity: float, *given: Any) -> tuple[Int32, Neighbours]:  # noqa: ANN401
    """Return the rows of a batch and their neighbours."""
    batch = Batch(*given)
    selection = NeighborSelection(np.full(len(batch.face), min_cosine_similarity, np.float32), k)
    for comparison in batch.at_home():
        _compare(batch, selection, comparison, most=k)
    # The home cell holds most near faces, so few faces of other cells still beat what was found there.
    selection.neighbours()
    for comparison in batch.elsewhere():
        _compare(batch, selection, comparison)
    return batch.face, selection.neighbours()


def neighbour_recall(
    embeddings: Embeddings, neighbours: Neighbours, *, faces: int = 500, min_cosine_similarity: float = -1.0
) -> float:
    """Measure the share of true near neighbours that were found, exactly, on some of the faces.

    Parameters
    ----------
    embeddings : float array of shape (n, d)
        What `neighbours` was found for.
    faces : int
        How many faces, evenly spread, are compared with all others.
    min_cosine_similarity : float
        Only neighbours at least this similar count.

    Returns
    -------
    float
        In [0, 1]; 1 where there is nothing to find. Equally similar neighbours stand for each other.
    """
    count, k = neighbours.index.shape
    chosen = np.unique(np.linspace(0, count - 1, min(faces, count)).astype(np.int64))
    best = np.full((len(chosen), k), -np.inf, np.float32)
    queries = unit_rows(embeddings, chosen)
    for start in range(0, count, _COMPARED_ROWS):
        span = np.arange(start, min(start + _COMPARED_ROWS, count))
        product = queries @ unit_rows(embeddings, span).T
        here = np.flatnonzero((chosen >= span[0]) & (chosen <= span[-1]))
        product[here, chosen[here] - start] = -np.inf
        both = np.concatenate([best, product], axis=1)
        both.partition(both.shape[1] - k, axis=1)
        best = np.sort(both[:, -k:], axis=1)
    due = (best >= min_cosine_similarity).sum()
    # Products of other shapes round differently.
    least = np.maximum(best[:, 0] - SIMILARITY_RESOLUTION, min_cosine_similarity)
    found = (neighbours.similarity[chosen] >= least[:, None]).sum()
    return float(found / due) if due else 1.0


def _compare(
    batch: Batch, selection: NeighborSelection, comparison: CellComparison, *, most: int | None = None
) -> None:
    """Offer the pairs of a query and a member of a cell: for each query only itself and its `most` best."""
    member, others = comparison.member, comparison.others
    for part in _parts(comparison.query, _MAX_ENTRIES // len(member) + 1):
        product = batch.rows[part] @ others.T
        bound = selection.bound[part]
        if most is not None and len(member) > most + 1:
            best = np.partition(product, len(member) - most - 1, axis=1)[:, -most - 1]
            bound = np.maximum(bound, best)
        i, j = np.divmod(np.flatnonzero(product >= bound[:, None]), len(member))
        similarity = product[i, j]
        i, j = part[i], member[j]
        apart = batch.face[i] != j
        selection.add(i[apart], j[apart], similarity[apart])


def _parts(values: Int32, size: int) -> Iterator[Int32]:
    for start in range(0, len(values), size):
        yield values[start : start + size]


@dataclass(frozen=True, slots=True)
class CandidatePairs:
    """Pairs to consider.

    Attributes
    ----------
    faces : callable
        From a cosine similarity, pairs of faces that reach it.
    clusters : callable
        From the mean vectors of clusters, the label of each face and a similarity, pairs of clusters whose
        mean similarity reaches it.
    reasons : tuple of str
        Sentences for the user.
    """

    faces: Callable[[float], Edges]
    clusters: Callable[[Float32, Int64, float], Edges]
    reasons: tuple[str, ...] = ()


def similar_pairs(
    rows: Float32,
    lowest: float,
    on_progress: OnProgress | None,
    engine: Engine = IN_PROCESS,
    *,
    approximate: bool | None = None,
) -> CandidatePairs:
    """Find every pair of unit rows; of many rows, or with `approximate`, near neighbours above `lowest`."""
    if len(rows) >= _APPROXIMATE_FROM if approximate is None else approximate:
        return _near_pairs(rows, lowest, on_progress, engine)
    return _all_pairs(rows, on_progress, engine)


def _all_pairs(rows: Float32, on_progress: OnProgress | None, engine: Engine) -> CandidatePairs:

    def faces(similarity: float) -> Edges:
        return _gathered(rows, similarity, on_progress, engine)

    def clusters(mean: Float32, labels: Int64, similarity: float) -> Edges:  # noqa: ARG001 - one of two kinds
        return _gathered(mean, similarity, None, engine)

    return CandidatePairs(faces, clusters)


def _gathered(rows: Float32, similarity: float, on_progress: OnProgress | None, engine: Engine) -> Edges:
    chunks = edge_chunks(rows, min_cosine_similarity=similarity, on_progress=on_progress, engine=engine)
    return Edges.concatenate(chunks)


def _near_pairs(
    rows: Float32, lowest: float, on_progress: OnProgress | None, engine: Engine
) -> CandidatePairs:
    """Find pairs in which one face is among the nearest neighbours of the other, as far as cells show them.

    Clusters are candidates when two of their faces are.

    Parameters
    ----------
    rows : float32 array of shape (n, d)
        Unit length.
    lowest : float
        Pairs below this similarity are no candidates.
    """
    near = _near_in_cells(
        rows, _NEIGHBOURS, min_cosine_similarity=lowest, on_progress=on_progress, engine=engine
    )
    found = neighbour_recall(rows, near, faces=_CHECKED_FACES, min_cosine_similarity=lowest)
    graph = near.edges(engine=engine)
    del near
    reason = (
        f"Approximate search found {100 * found:.1f} % of each face's {_NEIGHBOURS} nearest faces with a "
        f"similarity of {lowest:.2f} or more (checked on {_CHECKED_FACES} faces)."
    )

    def faces(similarity: float) -> Edges:
        return graph.take(graph.similarity >= similarity)

    def clusters(mean: Float32, labels: Int64, similarity: float) -> Edges:
        keys = _cluster_pairs(graph, labels, len(mean))
        given = Clusters(mean, np.ones(len(mean)))
        parts = []
        for start in range(0, len(keys), _COMPARED_PAIRS):
            i, j = np.divmod(keys[start : start + _COMPARED_PAIRS], len(mean))
            found = given.similarity(i, j)
            enough = found >= similarity
            parts.append(Edges(i[enough].astype(np.int32), j[enough].astype(np.int32), found[enough]))
        return Edges.concatenate(parts)

    return CandidatePairs(faces, clusters, (reason,))


def _cluster_pairs(graph: Edges, labels: Int64, count: int) -> Int64:
    """Return the pairs of clusters that pairs of faces join, each once, as one number, ascending."""
    parts = [np.empty(0, np.int64)]
    for start in range(0, len(graph), _COMPARED_PAIRS):
        some = graph.span(start, start + _COMPARED_PAIRS)
        i, j = labels[some.i], labels[some.j]
        apart = i != j
        parts.append(np.unique(np.minimum(i, j)[apart] * count + np.maximum(i, j)[apart]))
    keys = np.concatenate(parts)
    del parts
    keys.sort()
    return keys[np.r_[True, keys[1:] != keys[:-1]]] if len(keys) else keys
