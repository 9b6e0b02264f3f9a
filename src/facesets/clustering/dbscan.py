"""DBSCAN for embeddings: the exact partition, from pairs that are never all in memory."""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain

import numpy as np

from facesets.clustering.components import components_of, kept_apart, pairs_within_reach, ties
from facesets.clustering.constraints import Constraints, Groups, in_order, resolve
from facesets.clustering.engine import IN_PROCESS, Engine, held_unit_rows
from facesets.clustering.graph import Edges, OnProgress
from facesets.clustering.labels import NOISE, in_callers_order
from facesets.clustering.vectors import (
    Bool,
    Embeddings,
    Float32,
    Int64,
    canonical_order,
    check_cosine_distance,
    check_matrix,
)

_KEPT_PAIRS = 20_000_000
"""So many pairs stay in memory; of more, all are computed a second time."""


def dbscan(
    embeddings: Embeddings,
    *,
    eps: float,
    min_samples: int = 3,
    constraints: Constraints | None = None,
    approximate: bool | None = None,
    on_progress: OnProgress | None = None,
    engine: Engine = IN_PROCESS,
) -> Int64:
    """Density-based clustering at one density: chains of faces that have `min_samples` faces within `eps`.

    The same partition as scikit-learn's `DBSCAN`, but for faces at the border of several clusters: they
    go to that of their nearest core face, and not to whichever was found first.

    Parameters
    ----------
    embeddings : float array of shape (n, d)
        Scaled to unit length if they are not.
    eps : float
        Cosine distance up to which faces are neighbours.
    min_samples : int
        Neighbours of a core face, itself included.
    constraints : Constraints, optional
        Faces that must be together are. Pairs join in order of similarity, and one that would bring
        together what must stay apart joins nothing.
    approximate : bool, optional
        Compare nearby faces only; see `connected_components`.
    engine : Engine
        Who compares the pairs.

    Returns
    -------
    int64 array of shape (n,)
        Clusters by falling size, ties by smallest member; noise is -1.

    Raises
    ------
    ValueError
        When the embeddings are malformed (see `unit_rows`), `eps` or `min_samples` is out of range, or a
        constraint names a row that does not exist.

    References
    ----------
    Ester, Kriegel, Sander & Xu, "A density-based algorithm for discovering clusters", KDD 1996.
    """
    check_cosine_distance(eps, name="eps")
    if min_samples < 1:
        raise ValueError(f"min_samples must be at least 1, not {min_samples}.")
    check_matrix(embeddings)
    order = canonical_order(embeddings)
    rows = held_unit_rows(embeddings, order, engine)
    groups = resolve(in_order(constraints or Constraints(), order), len(rows))
    pairs = _Pairs(
        lambda: pairs_within_reach(
            rows, 1.0 - eps, approximate=approximate, on_progress=on_progress, engine=engine
        )
    )
    labels = _joined(rows, pairs, groups, eps=eps, min_samples=min_samples)
    return in_callers_order(labels, order)


def _joined(rows: Float32, pairs: "_Pairs", groups: Groups, *, eps: float, min_samples: int) -> Int64:
    """The cluster of each row, by the pairs of neighbours and what must be together or apart."""
    core = pairs.neighbours(len(rows)) + 1 >= min_samples
    border = _border(pairs, core, groups)
    labels = components_of(chain([ties(groups), border], _between(pairs, core)), len(rows))

    def among(member: Int64) -> Edges:
        return _inside(rows, member, core, border, 1.0 - eps)

    return _without_noise(kept_apart(labels, groups, among), core, groups)


class _Pairs:
    """The pairs of neighbours: kept while they are few, else computed whenever they are wanted."""

    def __init__(self, compute: Callable[[], Iterable[Edges]]) -> None:
        self._compute = compute
        self._kept: list[Edges] | None = None

    def neighbours(self, count: int) -> Int64:
        """How many neighbours each of `count` faces has."""
        found = np.zeros(count, np.int64)
        kept: list[Edges] | None = []
        held = 0
        for chunk in self._compute():
            found += np.bincount(chunk.i, minlength=count) + np.bincount(chunk.j, minlength=count)
            held += len(chunk)
            kept = None if kept is None or held > _KEPT_PAIRS else [*kept, chunk] if len(chunk) else kept
        self._kept = kept
        return found

    def __iter__(self) -> Iterator[Edges]:
        return iter(self._compute() if self._kept is None else self._kept)


def _between(pairs: Iterable[Edges], core: Bool) -> Iterator[Edges]:
    """The pairs of core faces."""
    return (chunk.take(core[chunk.i] & core[chunk.j]) for chunk in pairs)


def _border(pairs: Iterable[Edges], core: Bool, groups: Groups) -> Edges:
    """For each face, or faces that must be together, without a core face: the pair with the nearest one."""
    has_core = np.zeros(len(core), bool)
    has_core[groups.group[core]] = True
    outside = ~has_core[groups.group]
    # Few, for who is no core face has less than `min_samples` neighbours.
    found = [
        Edges(one[some], other[some], chunk.similarity[some])
        for chunk in pairs
        for one, other in ((chunk.i, chunk.j), (chunk.j, chunk.i))
        if len(some := np.flatnonzero(outside[one] & core[other]))
    ]
    border = Edges.concatenate(found)
    group = groups.group[border.i]
    order = np.lexsort((border.j, border.i, -border.similarity, group))
    return border.take(order[np.unique(group[order], return_index=True)[1]])


def _inside(rows: Float32, member: Int64, core: Bool, border: Edges, min_cosine_similarity: float) -> Edges:
    """The pairs that join some faces, by their places among those."""
    chunks = pairs_within_reach(rows[member], min_cosine_similarity)
    place = np.full(len(rows), -1, np.int32)
    place[member] = np.arange(len(member))
    ends = border.take(place[border.i] >= 0)
    low, high = np.minimum(place[ends.i], place[ends.j]), np.maximum(place[ends.i], place[ends.j])
    return Edges.concatenate([*_between(chunks, core[member]), Edges(low, high, ends.similarity)])


def _without_noise(labels: Int64, core: Bool, groups: Groups) -> Int64:
    """Clusters without a core face are noise, but for faces that must be together."""
    kept = np.zeros(int(labels.max(initial=-1)) + 1, bool)
    kept[labels[core]] = True
    kept[labels[groups.group != np.arange(len(labels))]] = True
    return np.where(kept[labels], labels, NOISE)
