"""HDBSCAN for embeddings: exact, by matrix products."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self, get_args

import numpy as np
from numpy.typing import NDArray

from facesets.clustering.condensed_tree import (
    ClusterSelection,
    CondensedTree,
    Distance,
    condensed_tree,
    densities,
    select_clusters,
)
from facesets.clustering.constraints import Constraints, Groups, Partners, resolve
from facesets.clustering.graph import Edges, OnProgress
from facesets.clustering.spanning_tree import reachability_tree, with_ties
from facesets.clustering.vectors import (
    Embeddings,
    Float32,
    Float64,
    Int64,
    canonical_order,
    check_matrix,
    unit_rows,
)

FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class HdbscanResult:
    """Clusters, and all that is needed to explain them or to place new faces.

    Attributes
    ----------
    labels : int64 array of shape (n,)
        Clusters by falling size, ties by smallest member; noise is -1.
    strength : float64 array of shape (n,)
        Membership, in [0, 1]; 0 for noise.
    outlier_score : float64 array of shape (n,)
        GLOSH, in [0, 1].
    cluster : int64 array of shape (k,)
        The clusters' numbers in the condensed tree.
    birth_density, death_density : float64 arrays of shape (k,)
        Lambda at which each cluster appears, and at which it splits or its last face leaves.
    stability : float64 array of shape (k,)
        Over the most possible, in [0, 1]; the package calls it persistence.
    density : float64 array of shape (n,)
        Lambda at which each face leaves the last cluster that it is in.
    spanning_tree : Edges
        Of mutual reachability.
    core_similarity : float32 array of shape (n,)
        Cosine similarity with the `min_samples`-th neighbour.
    distance : {"chord", "cosine"}
    constraints : Constraints
        What was known.
    """

    labels: Int64
    strength: Float64
    outlier_score: Float64
    cluster: Int64
    birth_density: Float64
    death_density: Float64
    stability: Float64
    density: Float64
    tree: CondensedTree
    spanning_tree: Edges
    core_similarity: Float32
    min_cluster_size: int
    min_samples: int
    distance: Distance
    constraints: Constraints = field(default_factory=Constraints)

    @property
    def persistence(self) -> Float64:
        """Return each cluster's lifetime: lambda at death minus lambda at birth. Shape (k,)."""
        lived: Float64 = self.death_density - self.birth_density
        return lived

    @property
    def epsilon(self) -> Float64:
        """Return the distance at which each cluster appears: 1 over lambda at birth. Shape (k,)."""
        distance: Float64 = 1.0 / self.birth_density
        return distance

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return plain arrays for `numpy.savez`; `from_arrays` rebuilds the result from them.

        version, min_cluster_size, min_samples: int64; distance: str; i, j (int32), reachability
        (float32): the spanning tree; core_similarity (float32); must_link, cannot_link (int64, two columns).
        All else follows from these.
        """
        return {
            "version": np.array(FORMAT_VERSION, np.int64),
            "min_cluster_size": np.array(self.min_cluster_size, np.int64),
            "min_samples": np.array(self.min_samples, np.int64),
            "distance": np.array(self.distance),
            "i": self.spanning_tree.i,
            "j": self.spanning_tree.j,
            "reachability": self.spanning_tree.similarity,
            "core_similarity": self.core_similarity,
            "must_link": self.constraints.must_link,
            "cannot_link": self.constraints.cannot_link,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Rebuild a result.

        Raises
        ------
        ValueError
            When arrays are missing, of another version, or do not form a spanning tree.
        """
        try:
            version, distance = int(arrays["version"]), str(arrays["distance"])
            tree = Edges(arrays["i"], arrays["j"], arrays["reachability"])
            core = arrays["core_similarity"]
            known = Constraints(arrays["must_link"], arrays["cannot_link"])
            sizes = int(arrays["min_cluster_size"]), int(arrays["min_samples"])
        except KeyError as missing:
            raise ValueError(f"The stored clustering has no array {missing}.") from None
        if version != FORMAT_VERSION:
            raise ValueError(f"The stored clustering has version {version}, not {FORMAT_VERSION}.")
        if len(tree) != max(0, len(core) - 1) or distance not in get_args(Distance):
            raise ValueError("The stored clustering is damaged: its tree does not cover all faces.")
        return cls._cut(tree, core, *sizes, "chord" if distance == "chord" else "cosine", known)

    @classmethod
    def _cut(
        cls,
        tree: Edges,
        core: Float32,
        min_cluster_size: int,
        min_samples: int,
        distance: Distance,
        constraints: Constraints,
    ) -> Self:
        condensed = _condensed(tree, len(core), min_cluster_size, distance)
        groups = resolve(constraints, len(core))
        selection = select_clusters(condensed, apart=groups.forbidden)
        if len(constraints.must_link) or len(constraints.cannot_link):
            selection = _hold(selection, groups)
        return cls(
            labels=selection.labels,
            strength=selection.strength,
            outlier_score=selection.outlier_score,
            cluster=selection.cluster,
            birth_density=selection.birth_density,
            death_density=selection.death_density,
            stability=selection.stability,
            density=selection.density,
            tree=condensed,
            spanning_tree=tree,
            core_similarity=core,
            min_cluster_size=min_cluster_size,
            min_samples=min_samples,
            distance=distance,
            constraints=constraints,
        )


def hdbscan(
    embeddings: Embeddings,
    *,
    min_cluster_size: int = 5,
    min_samples: int = 3,
    distance: Distance = "chord",
    constraints: Constraints | None = None,
    on_progress: OnProgress | None = None,
) -> HdbscanResult:
    """Density-based clustering with noise: HDBSCAN with excess of mass, exact.

    The same as the package `hdbscan` on unit vectors with `metric="euclidean"` (its `min_samples` does
    not count the face itself), up to ties.

    Parameters
    ----------
    embeddings : float array of shape (n, d)
        Scaled to unit length if they are not.
    min_cluster_size : int
        At least 2.
    min_samples : int
        At least 1. Higher calls more faces noise.
    distance : {"chord", "cosine"}
        Distance of which lambda is the inverse. The tree is the same; which clusters live longest may differ.
    constraints : Constraints, optional
        Faces that must be together are as near as can be. A cluster with faces that must not be together
        gives way to those that it splits into; if no split separates them, the less central face is
        noise. Must-links win (`constraints.resolve` lists these).

    Raises
    ------
    ValueError
        When the embeddings are malformed (see `unit_rows`), a size is too small, or a constraint names a
        row that does not exist.

    References
    ----------
    Campello, Moulavi & Sander, PAKDD 2013; McInnes & Healy, "Accelerated hierarchical density based
    clustering", ICDMW 2017.
    """
    _check_sizes(min_cluster_size, min_samples)
    if distance not in get_args(Distance):
        raise ValueError(f"distance must be one of {', '.join(get_args(Distance))}, not {distance}.")
    check_matrix(embeddings)
    order = canonical_order(embeddings)
    rows = unit_rows(embeddings, order)
    known = constraints if constraints is not None else Constraints()
    if len(rows) < 2:
        core = np.ones(len(rows), np.float32)
        return HdbscanResult._cut(Edges.empty(), core, min_cluster_size, min_samples, distance, known)
    core_similarity, found = reachability_tree(rows, min_samples=min_samples, on_progress=on_progress)
    i, j = order[found.i], order[found.j]
    tree = Edges(np.minimum(i, j).astype(np.int32), np.maximum(i, j).astype(np.int32), found.similarity)
    core = np.empty(len(rows), np.float32)
    core[order] = core_similarity
    tied = resolve(known, len(rows)).group
    tree = with_ties(tree, tied) if len(known.must_link) else tree
    return HdbscanResult._cut(tree, core, min_cluster_size, min_samples, distance, known)


def _check_sizes(min_cluster_size: int, min_samples: int) -> None:
    if min_cluster_size < 2:
        raise ValueError(f"min_cluster_size must be at least 2, not {min_cluster_size}.")
    if min_samples < 1:
        raise ValueError(f"min_samples must be at least 1, not {min_samples}.")


def _condensed(tree: Edges, points: int, min_cluster_size: int, distance: Distance) -> CondensedTree:
    if points > 1:
        return condensed_tree(tree, points, min_cluster_size=min_cluster_size, distance=distance)
    only = np.zeros(points, np.int64)
    return CondensedTree(only + points, only, densities(np.zeros(points), distance), only + 1, points)


def _hold(selection: ClusterSelection, groups: Groups) -> ClusterSelection:
    """Apply constraints: join faces that must be together, and make noise of faces that must not be.

    Of two faces that must not be together the less central one goes. Faces that must be together and find
    no cluster are one by themselves; such clusters come last and have no entry in `selection.cluster`.
    """
    labels = _unified(selection, groups)
    labels = _parted(labels, selection, groups)
    count = len(selection.cluster)
    size = np.bincount(labels[labels >= 0], minlength=count)
    first = np.full(len(size), len(labels), np.int64)
    member = np.flatnonzero(labels >= 0)
    np.minimum.at(first, labels[member], member)
    order = np.lexsort((first, -size, np.arange(len(size)) >= count))
    number = np.empty(len(order), np.int64)
    number[order] = np.arange(len(order))
    selected = order[:count]
    strength = np.where((labels == selection.labels) & (labels >= 0), selection.strength, 0.0)
    return replace(
        selection,
        cluster=selection.cluster[selected],
        birth_density=selection.birth_density[selected],
        death_density=selection.death_density[selected],
        stability=selection.stability[selected],
        labels=np.where(labels >= 0, np.append(number, -1)[labels], -1),
        strength=strength,
    )


def _unified(selection: ClusterSelection, groups: Groups) -> Int64:
    """Give each group the label of its most central face."""
    order = np.lexsort((-selection.strength, selection.labels < 0, groups.group))
    group = groups.group[order]
    leader = order[np.flatnonzero(np.r_[True, group[1:] != group[:-1]])] if len(order) else order
    of_group = np.full(len(order), -1, np.int64)
    of_group[groups.group[leader]] = selection.labels[leader]
    return of_group[groups.group]


def _parted(labels: Int64, selection: ClusterSelection, groups: Groups) -> Int64:
    """Leave in each cluster, most central first, the faces that may be with all earlier ones."""
    count = len(labels)
    central = np.zeros(count)
    np.maximum.at(central, groups.group, selection.strength)
    apart = Partners.of_pairs(groups.forbidden, count)
    bound = np.unique(groups.forbidden)
    bound = bound[labels[bound] >= 0]
    of_group = labels.copy()
    admitted = np.zeros(count, bool)
    for one in bound[np.lexsort((bound, -central[bound]))].tolist():
        others = apart.of(one)
        if (admitted[others] & (of_group[others] == of_group[one])).any():
            of_group[one] = -1
        else:
            admitted[one] = True
    # The remaining faces are noise, except those that must be together.
    several = np.bincount(groups.group, minlength=count) > 1
    alone = np.flatnonzero(several & (of_group < 0))
    alone = alone[groups.group[alone] == alone]
    of_group[alone] = of_group.max(initial=-1) + 1 + np.arange(len(alone))
    return of_group[groups.group]
