"""The spanning tree that HDBSCAN cuts: exact, from two passes of blocked products.

Distances appear as similarities throughout: the mutual reachability of two faces is the least of their
similarity and both core similarities (a face's similarity with its `min_samples`-th neighbour), and the
tree is the maximum spanning tree.

The first pass finds core similarities and near neighbours, which give a first tree. An edge improves a
tree only if it beats the weakest edge on the path between its ends, so the second pass looks at few
entries of each block.
"""

from dataclasses import dataclass

import numpy as np

from facesets.clustering.joins import join_pairs
from facesets.clustering.knn import nearest_rows
from facesets.clustering.neighbors import Block, Edges, OnProgress, searched_blocks
from facesets.clustering.vectors import Bool, Float32, Int64

_LEAST_NEIGHBOURS = 8
_LEVELS = 24
_PENDING_PAIRS = 3_000_000
_REPRESENTATIVES = 2048


@dataclass(frozen=True, slots=True)
class Reachability:
    """Core similarities and the maximum spanning tree of mutual reachability.

    Attributes
    ----------
    core_similarity : float32 array of shape (n,)
        Similarity with the `min_samples`-th nearest other face.
    tree : Edges
        n - 1 edges; `similarity` is the mutual reachability.
    """

    core_similarity: Float32
    tree: Edges


def reachability_tree(
    rows: Float32, *, min_samples: int, on_progress: OnProgress | None = None
) -> Reachability:
    """Compute core similarities and the spanning tree of unit rows; at least two rows.

    Where fewer than `min_samples` others exist, the farthest of them counts.
    """
    neighbours = nearest_rows(
        rows,
        min(max(min_samples, _LEAST_NEIGHBOURS), len(rows) - 1),
        on_progress=_half(on_progress, second=False),
    )
    rank = min(min_samples, len(rows) - 1) - 1
    # Equal vectors have similarity 1 up to rounding; more than that would order them by noise.
    core = np.minimum(neighbours.similarity[:, rank], np.float32(1.0))
    tree = _best_tree(_reachable(neighbours.edges(), core), len(rows))
    tree = _connected(rows, core, tree)
    return Reachability(core, _improved(rows, core, tree, _half(on_progress, second=True)))


def _half(on_progress: OnProgress | None, *, second: bool) -> OnProgress | None:
    if on_progress is None:
        return None
    return lambda done, total: on_progress(done + second * total, 2 * total)


def _reachable(edges: Edges, core: Float32) -> Edges:
    reach = np.minimum(edges.similarity, np.minimum(core[edges.i], core[edges.j]))
    return Edges(edges.i, edges.j, reach)


def _best_tree(edges: Edges, count: int) -> Edges:
    """Maximum spanning forest."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import minimum_spanning_tree

    # scipy takes a zero for a missing edge, so costs start at 1.
    cost = 2.0 - edges.similarity.astype(np.float64)
    graph = coo_array((cost, (edges.i, edges.j)), shape=(count, count)).tocsr()
    forest = minimum_spanning_tree(graph).tocoo()
    i, j = np.minimum(forest.row, forest.col), np.maximum(forest.row, forest.col)
    order = np.lexsort((j, i))
    similarity = (2.0 - forest.data).astype(np.float32)
    return Edges(i[order].astype(np.int32), j[order].astype(np.int32), similarity[order])


def with_ties(tree: Edges, group: Int64) -> Edges:
    """The best spanning tree when faces of a group (named by its lowest row) are as near as can be."""
    tied = np.flatnonzero(group != np.arange(len(group)))
    ties = Edges(group[tied].astype(np.int32), tied.astype(np.int32), np.ones(len(tied), np.float32))
    both = Edges.concatenate([ties, tree])
    _, first = np.unique(both.i.astype(np.int64) * len(group) + both.j, return_index=True)
    return _best_tree(both.take(first), len(group))


def _connected(rows: Float32, core: Float32, forest: Edges) -> Edges:
    """Add for each tree of a forest its best-placed face's best edge to elsewhere, until one is left."""
    while len(forest) < len(rows) - 1:
        part = join_pairs(len(rows), forest.i, forest.j)
        found = _outward_edges(rows, core, part)
        forest = _best_tree(Edges.concatenate([forest, found]), len(rows))
    return forest


def _outward_edges(rows: Float32, core: Float32, part: Int64) -> Edges:
    order = np.lexsort((-core, part))
    representative = order[np.flatnonzero(np.r_[True, part[order][1:] != part[order][:-1]])]
    # The largest part needs no edge of its own: the others reach out to it.
    representative = representative[part[representative] != np.bincount(part).argmax()]
    target, similarity = [], []
    for start in range(0, len(representative), _REPRESENTATIVES):
        here = representative[start : start + _REPRESENTATIVES]
        reach = rows[here] @ rows.T
        np.minimum(reach, core[None, :], out=reach)
        reach[part[here][:, None] == part[None, :]] = -np.inf
        best = reach.argmax(axis=1)
        target.append(best)
        similarity.append(np.minimum(reach[np.arange(len(here)), best], core[here]))
    to = np.concatenate(target)
    low, high = np.minimum(representative, to), np.maximum(representative, to)
    # Two parts may have chosen the same pair: scipy would add the two costs.
    keys, first = np.unique(low * len(rows) + high, return_index=True)
    low, high = np.divmod(keys, len(rows))
    return Edges(low.astype(np.int32), high.astype(np.int32), np.concatenate(similarity)[first])


def _improved(rows: Float32, core: Float32, tree: Edges, on_progress: OnProgress | None) -> Edges:
    """Offer every pair of faces to a spanning tree, and return the best tree."""
    bounds = _Bounds(core, tree)
    pending = [tree]
    for found in searched_blocks(rows, bounds.improving, on_progress=on_progress):
        pending.append(found)
        if sum(map(len, pending)) > _PENDING_PAIRS + len(tree):
            pending = [_best_of_all(pending, len(rows))]
    return _best_of_all(pending, len(rows))


def _best_of_all(parts: list[Edges], count: int) -> Edges:
    offered = Edges.concatenate(parts)
    _, first = np.unique(offered.i.astype(np.int64) * count + offered.j, return_index=True)
    return _best_tree(offered.take(first), count)


class _Bounds:
    """What an edge must beat to improve a spanning tree."""

    def __init__(self, core: Float32, tree: Edges) -> None:
        self._core = core
        self._to_trunk = _weakest_to_trunk(tree, len(core))
        spread = np.quantile(tree.similarity, np.linspace(0, 1, _LEVELS))
        self._levels = np.unique(spread.astype(np.float32))
        self._parts = []
        for level in self._levels:
            strong = tree.similarity >= level
            self._parts.append(join_pairs(len(core), tree.i[strong], tree.j[strong]).astype(np.int32))

    def improving(self, block: Block) -> Edges:
        """Those pairs of a block that may improve the tree."""
        height, width = block.similarity.shape
        bound = self._to_trunk
        beats = block.similarity > bound[block.row : block.row + height, None]
        beats |= block.similarity > bound[None, block.column : block.column + width]
        edges = _reachable(block.pairs(np.flatnonzero(beats)), self._core)
        return edges.take(np.flatnonzero(~self._useless(edges)))

    def _useless(self, edges: Edges) -> Bool:
        """Pairs that the tree joins already by a path at least as good, as far as levels can tell."""
        bound = np.minimum(self._to_trunk[edges.i], self._to_trunk[edges.j])
        useless = edges.similarity <= bound
        level = np.searchsorted(self._levels, edges.similarity)
        for number in range(len(self._levels)):
            at = np.flatnonzero((level == number) & ~useless)
            part = self._parts[number]
            useless[at] = part[edges.i[at]] == part[edges.j[at]]
        return useless


def _weakest_to_trunk(tree: Edges, count: int) -> Float32:
    """For each face the weakest edge on its path to a face in the densest region.

    The weakest edge between two faces is at least the lesser of their two values.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import breadth_first_order

    middle = np.median(tree.similarity)
    part = join_pairs(count, tree.i[tree.similarity >= middle], tree.j[tree.similarity >= middle])
    root = int(np.flatnonzero(part == np.bincount(part).argmax())[0])
    both = (np.r_[tree.i, tree.j], np.r_[tree.j, tree.i])
    cost = 2.0 - np.r_[tree.similarity, tree.similarity].astype(np.float64)
    graph = coo_array((cost, both), shape=(count, count)).tocsr()
    order, before = breadth_first_order(graph, root, directed=False)
    low, high = np.minimum(tree.i, tree.j), np.maximum(tree.i, tree.j)
    weight = dict(zip((low.astype(np.int64) * count + high).tolist(), tree.similarity.tolist(), strict=True))
    weakest = [np.inf] * count
    parents = before.tolist()
    for node in order.tolist()[1:]:
        parent = parents[node]
        edge = min(node, parent) * count + max(node, parent)
        weakest[node] = min(weakest[parent], weight[edge])
    return np.array(weakest, np.float32)
