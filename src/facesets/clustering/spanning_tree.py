"""The spanning tree that HDBSCAN cuts: exact, from little more than one pass of blocked products.

Distances appear as similarities throughout: the mutual reachability of two faces is the least of their
similarity and both core similarities (a face's similarity with its `min_samples`-th neighbour), and the
tree is the maximum spanning tree.

An edge improves a tree only if it beats the weakest edge on the path between its ends, so once there is a
tree, few entries of a block need a look. A fifth of the blocks gives each face near neighbours, and all of
them a first tree. The other blocks are searched for nearer neighbours and for better edges at once, and then
the first ones again, for better edges.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from facesets.clustering.graph import Block, Edges, OnProgress, join_pairs, searched_blocks
from facesets.clustering.knn import NeighborSelection, Neighbours, sampled_bound
from facesets.clustering.vectors import Bool, Float32, Int64

_MIN_NEIGHBOURS = 8
_LEVELS = 24
_EARLY_BLOCKS = 5
"""One in this many blocks is searched first, and again at the end."""

_PENDING_PAIRS = 3_000_000
_REPRESENTATIVES = 2048


def reachability_tree(
    rows: Float32, *, min_samples: int, on_progress: OnProgress | None = None
) -> tuple[Float32, Edges]:
    """Compute core similarities and the spanning tree of unit rows; at least two rows.

    Returns
    -------
    core_similarity : float32 array of shape (n,)
        Similarity with the `min_samples`-th nearest other face; where fewer others exist, with the farthest.
    tree : Edges
        n - 1 edges; `similarity` is the mutual reachability.
    """
    least = min(max(min_samples, _MIN_NEIGHBOURS), len(rows) - 1)
    rank = min(min_samples, len(rows) - 1) - 1
    selection = NeighborSelection(sampled_bound(rows, least), least)
    for found in searched_blocks(
        rows, selection.candidates, chosen=_early, on_progress=_third(on_progress, 0)
    ):
        selection.take(*found)
    early = selection.neighbours()
    # This is a lower bound, as some faces are unseen, and so is the tree's value: no edge is lost.
    core = np.maximum(_core(early, rank), selection.bound)
    so_far = _spanning(rows, core, early.edges()) if np.isfinite(core).all() else None
    unknown = np.full(len(rows), np.inf, np.float32)
    bounds = None if so_far is None else _Bounds(unknown, so_far.tree)

    def search(block: Block) -> tuple[tuple[Edges, Edges], Edges]:
        return selection.candidates(block), Edges.empty() if bounds is None else bounds.improving(block)

    known = [] if so_far is None else [so_far.pairs]
    for found, improving in searched_blocks(rows, search, chosen=_late, on_progress=_third(on_progress, 1)):
        selection.take(*found)
        known.append(improving)
    neighbours = selection.neighbours()
    core = _core(neighbours, rank)
    tree = _spanning(rows, core, _each_once([neighbours.edges(), *known], len(rows))).tree
    again = None if bounds is None else _early
    return core, _improved(rows, core, tree, again, _third(on_progress, 2))


def _early(row_block: int, column_block: int) -> bool:
    """Select some of the blocks, so that every face is compared with some others."""
    return (row_block + column_block) % _EARLY_BLOCKS == 0


def _late(row_block: int, column_block: int) -> bool:
    return not _early(row_block, column_block)


def _third(on_progress: OnProgress | None, number: int) -> OnProgress | None:
    if on_progress is None:
        return None
    return lambda done, total: on_progress(done + number * total, 3 * total)


def _core(neighbours: Neighbours, rank: int) -> Float32:
    # Equal vectors have similarity 1 up to rounding; more than that would order them by noise.
    return np.minimum(neighbours.similarity[:, rank], np.float32(1.0))


@dataclass(frozen=True, slots=True)
class _Spanning:
    """A spanning tree by mutual reachability, and the pairs with similarities that it was made of."""

    tree: Edges
    pairs: Edges


def _spanning(rows: Float32, core: Float32, pairs: Edges) -> _Spanning:
    """Build the best tree of some pairs, and of more if these do not connect all faces."""
    forest = _best_tree(_reachable(pairs, core), len(rows))
    parts = [pairs]
    while len(forest) < len(rows) - 1:
        parts.append(_outward_pairs(rows, core, join_pairs(len(rows), forest.i, forest.j)))
        forest = _best_tree(Edges.concatenate([forest, _reachable(parts[-1], core)]), len(rows))
    return _Spanning(forest, Edges.concatenate(parts))


def _each_once(parts: list[Edges], count: int) -> Edges:
    offered = Edges.concatenate(parts)
    _, first = np.unique(offered.i.astype(np.int64) * count + offered.j, return_index=True)
    return offered.take(first)


def _reachable(edges: Edges, core: Float32) -> Edges:
    reach = np.minimum(edges.similarity, np.minimum(core[edges.i], core[edges.j]))
    return Edges(edges.i, edges.j, reach)


def _best_tree(edges: Edges, count: int) -> Edges:
    """Build the maximum spanning forest."""
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
    """Build the best spanning tree if faces of a group (named by its lowest row) are as near as possible."""
    tied = np.flatnonzero(group != np.arange(len(group)))
    ties = Edges(group[tied].astype(np.int32), tied.astype(np.int32), np.ones(len(tied), np.float32))
    both = Edges.concatenate([ties, tree])
    _, first = np.unique(both.i.astype(np.int64) * len(group) + both.j, return_index=True)
    return _best_tree(both.take(first), len(group))


def _outward_pairs(rows: Float32, core: Float32, part: Int64) -> Edges:
    """Find for each part of a forest its best-placed face's best pair with a face elsewhere."""
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
        similarity.append(np.einsum("ij,ij->i", rows[here], rows[best]))
    to = np.concatenate(target)
    low, high = np.minimum(representative, to), np.maximum(representative, to)
    # Two parts may have chosen the same pair: scipy would add the two costs.
    keys, first = np.unique(low * len(rows) + high, return_index=True)
    low, high = np.divmod(keys, len(rows))
    return Edges(low.astype(np.int32), high.astype(np.int32), np.concatenate(similarity)[first])


def _improved(
    rows: Float32,
    core: Float32,
    tree: Edges,
    chosen: Callable[[int, int], bool] | None,
    on_progress: OnProgress | None,
) -> Edges:
    """Offer the pairs of the chosen blocks to a spanning tree, and return the best tree."""
    bounds = _Bounds(core, tree)
    pending, waiting = [tree], 0
    for found in searched_blocks(rows, bounds.improving, chosen=chosen, on_progress=on_progress):
        pending.append(_reachable(found, core))
        waiting += len(found)
        if waiting > _PENDING_PAIRS:
            pending, waiting = [_best_tree(_each_once(pending, len(rows)), len(rows))], 0
    return _best_tree(_each_once(pending, len(rows)), len(rows))


class _Bounds:
    """Bounds that an edge must beat to improve a spanning tree.

    Unknown core similarities are infinite: an edge is then worth at most its similarity.
    """

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
        """Find the pairs of a block, with their similarities, that may improve the tree."""
        height, width = block.similarity.shape
        bound = self._to_trunk
        beats = block.similarity > bound[block.row : block.row + height, None]
        beats |= block.similarity > bound[None, block.column : block.column + width]
        pairs = block.pairs(np.flatnonzero(beats))
        return pairs.take(np.flatnonzero(~self._useless(_reachable(pairs, self._core))))

    def _useless(self, edges: Edges) -> Bool:
        """Whether the tree already joins pairs by a path at least as good, as far as levels show."""
        bound = np.minimum(self._to_trunk[edges.i], self._to_trunk[edges.j])
        useless = edges.similarity <= bound
        level = np.searchsorted(self._levels, edges.similarity)
        for number in range(len(self._levels)):
            at = np.flatnonzero((level == number) & ~useless)
            part = self._parts[number]
            useless[at] = part[edges.i[at]] == part[edges.j[at]]
        return useless


def _weakest_to_trunk(tree: Edges, count: int) -> Float32:
    """Find for each face the weakest edge on its path to a face in the densest region.

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
