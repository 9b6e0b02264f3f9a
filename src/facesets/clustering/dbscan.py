"""DBSCAN for embeddings: the exact partition, from pairs that are never all in memory."""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain

import numpy as np

from facesets.clustering.components import components_of, pairs_within_reach, separate, ties
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

_STORED_PAIRS = 20_000_000
"""Maximum pairs held in memory; if there are more, all are computed a second time."""


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

    The same partition as scikit-learn's `DBSCAN`, except for faces at the border of several clusters: they
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
        What compares the pairs.

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
    """Return the cluster of each row, by the pairs of neighbours and the constraints."""
    core = pairs.neighbours(len(rows)) + 1 >= min_samples
    border = _border(pairs, core, groups)
    labels = components_of(chain([ties(groups), border], _between(pairs, core)), len(rows))

    def among(member: Int64) -> Edges:
        return _inside(rows, member, core, border, 1.0 - eps)

    return _without_noise(separate(labels, groups, among), core, groups)


class _Pairs:
    """Pairs of neighbours: stored if there are few, else computed again for each use."""

    def __init__(self, compute: Callable[[], Iterable[Edges]]) -> None:
        self._compute = compute
        self._stored: list[Edges] | None = None

    def neighbours(self, count: int) -> Int64:
        """Count the neighbours of each of `count` faces."""
        found = np.zeros(count, np.int64)
        stored: list[Edges] | None = []
        held = 0
        for chunk in self._compute():
            found += np.bincount(chunk.i, minlength=count) + np.bincount(chunk.j, minlength=count)
            held += len(chunk)
            stored = (
                None if stored is None or held > _STORED_PAIRS else [*stored, chunk] if len(chunk) else stored
            )
        self._stored = stored
        return found

    def __iter__(self) -> Iterator[Edges]:
        return iter(self._compute() if self._stored is None else self._stored)


def _between(pairs: Iterable[Edges], core: Bool) -> Iterator[Edges]:
    """Yield the pairs of core faces."""
    return (chunk.take(core[chunk.i] & core[chunk.j]) for chunk in pairs)


def _border(pairs: Iterable[Edges], core: Bool, groups: Groups) -> Edges:
    """Find, for each face or must-link group without a core face, the pair with the nearest core face."""
    has_core = np.zeros(len(core), bool)
    has_core[groups.group[core]] = True
    outside = ~has_core[groups.group]
    # Few pairs, because a face that is no core face has less than `min_samples` neighbours.
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
    """Return the pairs that join some faces, by their places among those."""
    chunks = pairs_within_reach(rows[member], min_cosine_similarity)
    place = np.full(len(rows), -1, np.int32)
    place[member] = np.arange(len(member))
    ends = border.take(place[border.i] >= 0)
    low, high = np.minimum(place[ends.i], place[ends.j]), np.maximum(place[ends.i], place[ends.j])
    return Edges.concatenate([*_between(chunks, core[member]), Edges(low, high, ends.similarity)])


def _without_noise(labels: Int64, core: Bool, groups: Groups) -> Int64:
    """Make clusters without a core face noise, unless their faces must be together."""
    clustered = np.zeros(int(labels.max(initial=-1)) + 1, bool)
    clustered[labels[core]] = True
    clustered[labels[groups.group != np.arange(len(labels))]] = True
    return np.where(clustered[labels], labels, NOISE)
