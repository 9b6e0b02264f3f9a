"""Turn a spanning tree into clusters: single linkage, condensed tree, and its most stable cut.

Campello, Moulavi & Sander, "Density-based clustering based on hierarchical density estimates", PAKDD
2013; terms and the form of the condensed tree follow McInnes & Healy's `hdbscan`.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from facesets.clustering.graph import Edges
from facesets.clustering.vectors import Bool, Float64, Int64

Distance = Literal["chord", "cosine"]
"""Distance of which lambda is the inverse: the chord between unit vectors, sqrt(2 - 2·cos), or 1 - cos."""

_MIN_COSINE_DISTANCE = 1e-6


@dataclass(frozen=True, slots=True)
class CondensedTree:
    """A tree of clusters: which points leave them at which density, and where they split.

    Points are 0 … n-1, clusters n, n+1, …; n is the root, which holds all points. One row an event.

    Attributes
    ----------
    parent : int64 array of shape (e,)
        A cluster.
    child : int64 array of shape (e,)
        A point that leaves it, or a cluster that it splits into.
    density : float64 array of shape (e,)
        Lambda, the inverse distance, at which that happens.
    size : int64 array of shape (e,)
        Points in the child.
    points : int
        n.
    """

    parent: Int64
    child: Int64
    density: Float64
    size: Int64
    points: int

    @property
    def cluster_count(self) -> int:
        """Return the number of clusters in the tree, the root included."""
        return int((self.child >= self.points).sum()) + 1


@dataclass(frozen=True, slots=True)
class _Merges:
    """Single linkage: row m joins nodes `left` and `right` into node n + m."""

    left: list[int]
    right: list[int]
    density: list[float]
    size: list[int]


def densities(similarity: Float64, distance: Distance) -> Float64:
    """Return lambda for cosine similarities."""
    cosine = np.maximum(1.0 - similarity, _MIN_COSINE_DISTANCE)
    result: Float64 = 1.0 / (np.sqrt(2.0 * cosine) if distance == "chord" else cosine)
    return result


def condensed_tree(
    tree: Edges, points: int, *, min_cluster_size: int, distance: Distance = "chord"
) -> CondensedTree:
    """Condense a spanning tree: parts smaller than `min_cluster_size` are points leaving a cluster.

    Parameters
    ----------
    tree : Edges
        `points` - 1 edges of a maximum spanning tree of similarities; of equals the first merges first.
    min_cluster_size : int
        At least 2.
    distance : {"chord", "cosine"}
    """
    merges = _single_linkage(tree, points, distance)
    position, leaves = _leaf_order(merges, points)
    splits: list[tuple[int, int, float, int]] = []
    falls: list[tuple[int, int, int, float]] = []
    owner = [-1] * (points + len(merges.left))
    clusters = points + 1
    owner[-1] = points
    size = [1] * points + merges.size
    for merge in range(len(merges.left) - 1, -1, -1):
        cluster = owner[points + merge]
        if cluster < 0:
            continue
        children, density = (merges.left[merge], merges.right[merge]), merges.density[merge]
        large = [child for child in children if size[child] >= min_cluster_size]
        for child in children:
            if size[child] < min_cluster_size:
                falls.append((cluster, position[child], size[child], density))
            elif len(large) == 1:
                owner[child] = cluster
            else:
                owner[child] = clusters
                splits.append((cluster, clusters, density, size[child]))
                clusters += 1
    return _as_columns(splits, falls, leaves, points)


def _as_columns(
    splits: list[tuple[int, int, float, int]],
    falls: list[tuple[int, int, int, float]],
    leaves: Int64,
    points: int,
) -> CondensedTree:
    fall = np.array(falls, np.float64).reshape(-1, 4)
    split = np.array(splits, np.float64).reshape(-1, 4)
    count = fall[:, 2].astype(np.int64)
    offset = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    left = leaves[np.repeat(fall[:, 1].astype(np.int64), count) + offset]
    return CondensedTree(
        parent=np.r_[np.repeat(fall[:, 0], count), split[:, 0]].astype(np.int64),
        child=np.r_[left, split[:, 1].astype(np.int64)],
        density=np.r_[np.repeat(fall[:, 3], count), split[:, 2]],
        size=np.r_[np.ones(len(left), np.int64), split[:, 3].astype(np.int64)],
        points=points,
    )


def _single_linkage(tree: Edges, points: int, distance: Distance) -> _Merges:
    order = np.argsort(-tree.similarity, kind="stable")
    parent = list(range(2 * points - 1))
    size = [1] * points
    merges = _Merges([], [], densities(tree.similarity[order].astype(np.float64), distance).tolist(), [])
    for node, (a, b) in enumerate(
        zip(tree.i[order].tolist(), tree.j[order].tolist(), strict=True), start=points
    ):
        left, right = _find(parent, a), _find(parent, b)
        parent[left] = parent[right] = node
        size.append(size[left] + size[right])
        merges.left.append(left)
        merges.right.append(right)
    merges.size.extend(size[points:])
    return merges


def _find(parent: list[int], node: int) -> int:
    while parent[node] != node:
        parent[node] = parent[parent[node]]
        node = parent[node]
    return node


def _leaf_order(merges: _Merges, points: int) -> tuple[list[int], Int64]:
    """Order the points so that each node's points are contiguous; return where each run starts."""
    size = [1] * points + merges.size
    position = [0] * len(size)
    for merge in range(len(merges.left) - 1, -1, -1):
        start, left = position[points + merge], merges.left[merge]
        position[left] = start
        position[merges.right[merge]] = start + size[left]
    leaves = np.empty(points, np.int64)
    leaves[np.array(position[:points], np.int64)] = np.arange(points)
    return position, leaves


@dataclass(frozen=True, slots=True)
class ClusterSelection:
    """The clusters that live longest.

    Attributes
    ----------
    cluster : int64 array of shape (k,)
        Numbers in the condensed tree, by falling number of points.
    birth_density, death_density : float64 arrays of shape (k,)
        Lambda at which the cluster appears, and at which it splits or its last point leaves.
    stability : float64 array of shape (k,)
        Its stability over the most it could have had, in [0, 1].
    labels : int64 array of shape (n,)
        -1 for noise.
    strength : float64 array of shape (n,)
        In [0, 1]: how deep in its cluster a point is; 0 for noise.
    outlier_score : float64 array of shape (n,)
        GLOSH, in [0, 1]: how much sparser a point is than the densest part of where it left.
    density : float64 array of shape (n,)
        Lambda at which each point leaves the last cluster that it is in.
    """

    cluster: Int64
    birth_density: Float64
    death_density: Float64
    stability: Float64
    labels: Int64
    strength: Float64
    outlier_score: Float64
    density: Float64


def select_clusters(tree: CondensedTree, *, apart: Int64 | None = None) -> ClusterSelection:
    """Choose the clusters of greatest total stability (excess of mass); never the root.

    Parameters
    ----------
    apart : int64 array of shape (c, 2), optional
        Pairs of points that must not be in one cluster: a cluster whose parts would keep them apart gives way
        to its parts. Pairs that no split separates stay together.
    """
    n, clusters = tree.points, tree.cluster_count
    is_cluster = tree.child >= n
    birth, above = np.zeros(clusters), np.full(clusters, -1, np.int64)
    birth[tree.child[is_cluster] - n] = tree.density[is_cluster]
    above[tree.child[is_cluster] - n] = tree.parent[is_cluster] - n
    gained = (tree.density - birth[tree.parent - n]) * tree.size
    stability: Float64 = np.bincount(tree.parent - n, gained, minlength=clusters).astype(np.float64)
    left, when = np.zeros(n, np.int64), np.zeros(n)
    left[tree.child[~is_cluster]] = tree.parent[~is_cluster] - n
    when[tree.child[~is_cluster]] = tree.density[~is_cluster]
    densest = np.zeros(clusters)
    np.maximum.at(densest, tree.parent - n, tree.density)
    gives_way = np.zeros(clusters, bool)
    of_cluster = _nearest_chosen(_most_stable(stability, above, gives_way), above)
    ends = left[np.empty((0, 2), np.int64) if apart is None else apart]
    while len(found := _splits(ends[of_cluster[ends[:, 0]] == of_cluster[ends[:, 1]]], of_cluster, above)):
        gives_way[found] = True
        of_cluster = _nearest_chosen(_most_stable(stability, above, gives_way), above)
    return _described(tree, of_cluster[left], _Lives(birth, stability, above, left, when, densest))


@dataclass(frozen=True, slots=True)
class _Lives:
    birth: Float64
    stability: Float64
    above: Int64
    left: Int64
    when: Float64
    densest: Float64


def _splits(ends: Int64, of_cluster: Int64, above: Int64) -> Int64:
    """Find the clusters, chosen or between, whose parts separate a pair that they contain.

    `ends` are the clusters that the points leave last.
    """
    found: set[int] = set()
    for a, b in ends[of_cluster[ends[:, 0]] >= 0].tolist():
        meet, other = a, b
        while meet != other:
            meet, other = (int(above[meet]), other) if meet > other else (meet, int(above[other]))
        if meet in (a, b):
            continue
        while meet >= of_cluster[a]:
            found.add(meet)
            meet = int(above[meet])
    return np.array(sorted(found), np.int64)


def _most_stable(stability: Float64, above: Int64, gives_way: Bool) -> list[bool]:
    """Whether each cluster is chosen; a cluster's number is higher than that of the one it split from."""
    best = stability.tolist()
    below = [0.0] * len(best)
    has_children = [False] * len(best)
    chosen = [True] * len(best)
    for cluster in range(len(best) - 1, 0, -1):
        if has_children[cluster] and (gives_way[cluster] or below[cluster] > best[cluster]):
            chosen[cluster] = False
            best[cluster] = below[cluster]
        parent = int(above[cluster])
        below[parent] += best[cluster]
        has_children[parent] = True
    chosen[0] = False
    return chosen


def _nearest_chosen(chosen: list[bool], above: Int64) -> Int64:
    """Return the topmost chosen cluster around each cluster, or -1."""
    result = np.full(len(chosen), -1, np.int64)
    for cluster in range(1, len(chosen)):
        higher = result[above[cluster]]
        result[cluster] = higher if higher >= 0 else (cluster if chosen[cluster] else -1)
    return result


def _described(tree: CondensedTree, raw: Int64, lives: _Lives) -> ClusterSelection:
    selected, labels = np.unique(raw[raw >= 0], return_inverse=True)
    first = np.full(len(selected), tree.points, np.int64)
    member = np.flatnonzero(raw >= 0)
    np.minimum.at(first, labels, member)
    sizes = np.bincount(labels, minlength=len(selected))
    order = np.lexsort((first, -sizes))
    number = np.empty(len(order), np.int64)
    number[order] = np.arange(len(order))
    numbered = np.full(tree.points, -1, np.int64)
    numbered[member] = number[labels]
    selected, sizes = selected[order], sizes[order]
    strength = np.zeros(tree.points)
    deepest = lives.densest[raw[member]]
    strength[member] = np.minimum(lives.when[member], deepest) / deepest
    most = tree.density.max(initial=0.0)
    return ClusterSelection(
        cluster=selected + tree.points,
        birth_density=lives.birth[selected],
        death_density=lives.densest[selected],
        stability=lives.stability[selected] / np.maximum(sizes * most, 1e-300),
        labels=numbered,
        strength=strength,
        outlier_score=_outlier_scores(lives),
        density=lives.when,
    )


def _outlier_scores(lives: _Lives) -> Float64:
    densest = lives.densest.tolist()
    for cluster in range(len(densest) - 1, 0, -1):
        parent = int(lives.above[cluster])
        densest[parent] = max(densest[parent], densest[cluster])
    most = np.array(densest)[lives.left]
    score: Float64 = np.where(most > 0, (most - lives.when) / np.maximum(most, 1e-300), 0.0)
    return np.clip(score, 0.0, 1.0)
