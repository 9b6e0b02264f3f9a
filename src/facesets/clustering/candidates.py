"""Which pairs may merge: all that are similar enough, or those among near neighbours."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from facesets.clustering.cells import near_in_cells, neighbour_recall
from facesets.clustering.engine import IN_PROCESS, Engine
from facesets.clustering.linkage import Clusters
from facesets.clustering.neighbors import Edges, OnProgress, edge_chunks
from facesets.clustering.vectors import Float32, Int64

_APPROXIMATE_FROM = 100_000
"""From here on comparing all pairs takes longer than all the rest."""

_NEIGHBOURS = 32
_COMPARED_PAIRS = 1_000_000
_CHECKED_FACES = 500


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
        What a user may want to know.
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
    """Every pair of unit rows; where they are many, or `approximate`, near neighbours from `lowest` on."""
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
    return Edges.concatenate([chunk for chunk in chunks if len(chunk)])


def _near_pairs(
    rows: Float32, lowest: float, on_progress: OnProgress | None, engine: Engine
) -> CandidatePairs:
    """Pairs of which one is among the nearest neighbours of the other, as far as cells find them.

    Clusters are candidates when two of their faces are.

    Parameters
    ----------
    rows : float32 array of shape (n, d)
        Unit length.
    lowest : float
        Pairs below this similarity are no candidates.
    """
    near = near_in_cells(
        rows, _NEIGHBOURS, min_cosine_similarity=lowest, on_progress=on_progress, engine=engine
    )
    found = neighbour_recall(rows, near, faces=_CHECKED_FACES, min_cosine_similarity=lowest)
    graph = near.edges(engine=engine)
    del near
    reason = (
        f"Each face was compared with nearby ones only: {100 * found:.1f} % of the {_NEIGHBOURS} nearest "
        f"were found, counting those similar by {lowest:.2f} or more (checked on {_CHECKED_FACES} faces)."
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
    """The pairs of different clusters that pairs of faces join, each once and as one number, ascending."""
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
