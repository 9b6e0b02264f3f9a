"""Which pairs may merge: all that are similar enough, or those among near neighbours."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from facesets.clustering.cells import near_in_cells, neighbour_recall
from facesets.clustering.linkage import Clusters
from facesets.clustering.neighbors import Edges, OnProgress, edge_chunks
from facesets.clustering.vectors import Float32, Int64

_NEIGHBOURS = 32
_CHECKED_FACES = 500


@dataclass(frozen=True, slots=True)
class Candidates:
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


def all_pairs(rows: Float32, on_progress: OnProgress | None) -> Candidates:
    """Every pair of unit rows."""

    def faces(similarity: float) -> Edges:
        return _gathered(rows, similarity, on_progress)

    def clusters(mean: Float32, labels: Int64, similarity: float) -> Edges:  # noqa: ARG001 - one of two kinds
        return _gathered(mean, similarity, None)

    return Candidates(faces, clusters)


def _gathered(rows: Float32, similarity: float, on_progress: OnProgress | None) -> Edges:
    chunks = edge_chunks(rows, min_cosine_similarity=similarity, on_progress=on_progress)
    return Edges.concatenate([chunk for chunk in chunks if len(chunk)])


def near_pairs(rows: Float32, lowest: float, on_progress: OnProgress | None) -> Candidates:
    """Pairs of which one is among the nearest neighbours of the other, as far as cells find them.

    Clusters are candidates when two of their faces are.

    Parameters
    ----------
    rows : float32 array of shape (n, d)
        Unit length.
    lowest : float
        Pairs below this similarity are no candidates.
    """
    near = near_in_cells(rows, _NEIGHBOURS, min_cosine_similarity=lowest, on_progress=on_progress)
    found = neighbour_recall(rows, near, faces=_CHECKED_FACES, min_cosine_similarity=lowest)
    graph = near.edges()
    reason = (
        f"Each face was compared with nearby ones only: {100 * found:.1f} % of the {_NEIGHBOURS} nearest "
        f"were found, counting those similar by {lowest:.2f} or more (checked on {_CHECKED_FACES} faces)."
    )

    def faces(similarity: float) -> Edges:
        return graph.take(graph.similarity >= similarity)

    def clusters(mean: Float32, labels: Int64, similarity: float) -> Edges:
        i, j = labels[graph.i], labels[graph.j]
        apart = i != j
        i, j = i[apart], j[apart]
        keys = np.unique(np.minimum(i, j) * len(mean) + np.maximum(i, j))
        i, j = np.divmod(keys, len(mean))
        found = Clusters(mean, np.ones(len(mean))).similarity(i, j)
        enough = found >= similarity
        return Edges(i[enough].astype(np.int32), j[enough].astype(np.int32), found[enough])

    return Candidates(faces, clusters, (reason,))
