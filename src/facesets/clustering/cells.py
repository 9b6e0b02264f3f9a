"""Near neighbours of very many faces: only faces in nearby cells are compared.

Cells are the regions around centres found by k-means. A face is compared with all faces of the cells whose
centres it is most similar to; a few per cent of all pairs hold nearly all near ones. All similarities
are those of matrix products, so what is found is exact; something may be missed, and `neighbour_recall`
measures how much. Everything follows from the rows, so a run can be repeated.
"""

from collections.abc import Iterator

import numpy as np

from facesets.clustering.centroids import cluster_sums, unit_or_zero
from facesets.clustering.knn import Neighbours, Selection
from facesets.clustering.neighbors import OnProgress
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

_CELLS_PER_ROOT = 8
_PROBES = 32
_TRAINING_FACES_PER_CELL = 16
_TRAINING_ROUNDS = 3
_BLOCK_ROWS = 1024
_PROBED_ROWS = 131_072
_MOST_ENTRIES = 4_194_304
_SAMPLED_CENTRES = 8
"""One in so many centres tells where a face's nearest begin, at an eighth of the price of sorting all."""


def approximate_knn_graph(
    embeddings: Embeddings,
    *,
    k: int,
    min_cosine_similarity: float = -1.0,
    probes: int = _PROBES,
    on_progress: OnProgress | None = None,
) -> Neighbours:
    """Find nearly all of the k most similar other faces of every face, for a small part of the products.

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
        About so many cells does each face look into. More find more, and take longer.
    on_progress : callable, optional

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
    found = near_in_cells(
        rows, k, min_cosine_similarity=min_cosine_similarity, probes=probes, on_progress=on_progress
    )
    index, similarity = np.empty_like(found.index), np.empty_like(found.similarity)
    index[order] = np.where(found.index >= 0, order[found.index], -1)
    similarity[order] = found.similarity
    return Neighbours(index, similarity)


def near_in_cells(
    rows: Float32,
    k: int,
    *,
    min_cosine_similarity: float,
    probes: int = _PROBES,
    on_progress: OnProgress | None = None,
) -> Neighbours:
    """`approximate_knn_graph` for rows that are known to be float32 of unit length."""
    if not len(rows):
        return Selection(np.empty(0, np.float32), k).neighbours()
    centre = _centres(rows)
    home, probing = _assigned(rows, centre, probes)
    members = _by_cell(np.arange(len(rows), dtype=np.int32), home, len(centre))
    selection = Selection(np.full(len(rows), min_cosine_similarity, np.float32), k)
    for cell in members:
        _compare(rows, selection, cell, cell, most=k)
    # The home cell holds most near faces, so few of those elsewhere still beat what was found there.
    selection.neighbours()
    for step, queries in enumerate(probing, start=1):
        for query, member in zip(queries, members, strict=True):
            _compare(rows, selection, query, member)
        if on_progress is not None:
            on_progress(step, len(probing))
    return selection.neighbours()


def neighbour_recall(
    embeddings: Embeddings, neighbours: Neighbours, *, faces: int = 500, min_cosine_similarity: float = -1.0
) -> float:
    """Share of true near neighbours that were found, measured exactly on some of the faces.

    Parameters
    ----------
    embeddings : float array of shape (n, d)
        What `neighbours` was found for.
    neighbours : Neighbours
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
    for start in range(0, count, _PROBED_ROWS):
        span = np.arange(start, min(start + _PROBED_ROWS, count))
        product = queries @ unit_rows(embeddings, span).T
        here = np.flatnonzero((chosen >= span[0]) & (chosen <= span[-1]))
        product[here, chosen[here] - start] = -np.inf
        both = np.concatenate([best, product], axis=1)
        both.partition(both.shape[1] - k, axis=1)
        best = np.sort(both[:, -k:], axis=1)
    due = (best >= min_cosine_similarity).sum()
    # Products of other shapes round otherwise.
    least = np.maximum(best[:, 0] - SIMILARITY_RESOLUTION, min_cosine_similarity)
    kept = (neighbours.similarity[chosen] >= least[:, None]).sum()
    return float(kept / due) if due else 1.0


def _centres(rows: Float32) -> Float32:
    """Centres of cells, by a few rounds of k-means on some of the faces."""
    cells = min(len(rows), 2 ** round(np.log2(_CELLS_PER_ROOT * np.sqrt(len(rows)))))
    sample = rows[:: max(1, len(rows) // (cells * _TRAINING_FACES_PER_CELL))]
    centre = sample[:: max(1, len(sample) // cells)][:cells].copy()
    for _ in range(_TRAINING_ROUNDS):
        blocks = range(0, len(sample), _BLOCK_ROWS)
        label = np.concatenate([(sample[b : b + _BLOCK_ROWS] @ centre.T).argmax(axis=1) for b in blocks])
        moved = unit_or_zero(cluster_sums(sample, label))
        there = np.flatnonzero(np.bincount(label) > 0)
        centre[there] = moved[there]
    return centre


def _assigned(rows: Float32, centre: Float32, probes: int) -> tuple[Int64, list[list[Int32]]]:
    """The home cell of each row, and for each batch of rows and each cell the rows that look into it.

    Rows do not look into their home.
    """
    step = _SAMPLED_CENTRES if len(centre) > _SAMPLED_CENTRES * probes else 1
    rank = min(max(1, probes // step), len(centre))
    home = np.empty(len(rows), np.int64)
    batches = []
    for first in range(0, len(rows), _PROBED_ROWS):
        faces: list[Int32] = []
        cells: list[Int64] = []
        for start in range(first, min(first + _PROBED_ROWS, len(rows)), _BLOCK_ROWS):
            product = rows[start : start + _BLOCK_ROWS] @ centre.T
            here = slice(start, start + len(product))
            home[here] = product.argmax(axis=1)
            some = product[:, ::step]
            least = np.partition(some, some.shape[1] - rank, axis=1)[:, some.shape[1] - rank]
            product[np.arange(len(product)), home[here]] = -np.inf
            found = np.flatnonzero(product >= least[:, None])
            face, cell = np.divmod(found, len(centre))
            faces.append((face + start).astype(np.int32))
            cells.append(cell)
        batches.append(_by_cell(np.concatenate(faces), np.concatenate(cells), len(centre)))
    return home, batches


def _by_cell(faces: Int32, cells: Int64, count: int) -> list[Int32]:
    ordered = faces[np.argsort(cells, kind="stable")]
    return np.split(ordered, np.cumsum(np.bincount(cells, minlength=count))[:-1])


def _compare(
    rows: Float32, selection: Selection, query: Int32, member: Int32, *, most: int | None = None
) -> None:
    """Offer the pairs of a query and a member of a cell; of each query only its `most` best and itself."""
    if not len(member):
        return
    others = rows[member]
    for part in _parts(query, _MOST_ENTRIES // len(member) + 1):
        product = rows[part] @ others.T
        bound = selection.bound[part]
        if most is not None and len(member) > most + 1:
            best = np.partition(product, len(member) - most - 1, axis=1)[:, -most - 1]
            bound = np.maximum(bound, best)
        i, j = np.divmod(np.flatnonzero(product >= bound[:, None]), len(member))
        similarity = product[i, j]
        i, j = part[i], member[j]
        apart = i != j
        selection.add(i[apart], j[apart], similarity[apart])


def _parts(values: Int32, size: int) -> Iterator[Int32]:
    for start in range(0, len(values), size):
        yield values[start : start + size]
