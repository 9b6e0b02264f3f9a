"""Connected components of the graph that joins faces above a similarity."""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain

import numpy as np

from facesets.clustering.approximate_pairs import near_edge_chunks
from facesets.clustering.constraints import Constraints, Groups, Partners, in_order, resolve
from facesets.clustering.engine import IN_PROCESS, Engine, held_unit_rows
from facesets.clustering.graph import Edges, OnProgress, edge_chunks, join_pairs
from facesets.clustering.labels import in_callers_order
from facesets.clustering.vectors import (
    Embeddings,
    Float32,
    Int64,
    canonical_order,
    check_cosine_similarity,
    check_matrix,
)

APPROXIMATE_FROM = 250_000
"""From this many faces on, comparing all pairs takes many times longer than comparing near ones."""

_CHUNK_PAIRS = 100_000
_BUFFERED_EDGES = 4_000_000


def connected_components(
    embeddings: Embeddings,
    *,
    min_cosine_similarity: float,
    constraints: Constraints | None = None,
    approximate: bool | None = None,
    on_progress: OnProgress | None = None,
    engine: Engine = IN_PROCESS,
) -> Int64:
    """Group faces that chains of pairs, each at least this similar, connect.

    Exact unless `approximate`, which may miss some pairs; `check_links` measures how many. Under constraints
    pairs join in order of similarity, unless that would bring together what must stay apart.

    Parameters
    ----------
    embeddings : float array of shape (n, d)
        Scaled to unit length if they are not.
    min_cosine_similarity : float
        In [-1, 1]; a pair counts from 1e-6 below it, for rounding.
    constraints : Constraints, optional
        Faces that must be together join first, however far apart. Where constraints contradict each other,
        must-links win (`constraints.resolve` lists these).
    approximate : bool, optional
        Compare each face with those in nearby cells only (`near_edge_chunks`), not with all. By default from
        `APPROXIMATE_FROM` faces on.
    engine : Engine, which compares the pairs

    Returns
    -------
    int64 array of shape (n,)
        Components by falling size, ties by smallest member. A face alone has a label of its own.

    Raises
    ------
    ValueError
        When the embeddings are malformed (see `unit_rows`), the similarity is out of range, or a constraint
        names a row that does not exist.
    """
    check_cosine_similarity(min_cosine_similarity)
    check_matrix(embeddings)
    order = canonical_order(embeddings)
    rows = held_unit_rows(embeddings, order, engine)
    least = min_cosine_similarity
    chunks = pairs_within_reach(rows, least, approximate=approximate, on_progress=on_progress, engine=engine)
    if constraints is None:
        return in_callers_order(components_of(chunks, len(rows)), order)
    groups = resolve(in_order(constraints, order), len(rows))
    labels = components_of(chain([ties(groups)], chunks), len(rows))

    def among(member: Int64) -> Edges:
        return Edges.concatenate(pairs_within_reach(rows[member], least))

    return in_callers_order(separate(labels, groups, among), order)


def is_approximate(faces: int, *, others: int | None = None, wanted: bool | None = None) -> bool:
    """Whether this many faces are compared only with nearby ones, among themselves or among `others`.

    `wanted` decides, if it is given.
    """
    if wanted is not None:
        return wanted
    return faces >= APPROXIMATE_FROM if others is None else 2 * faces * others >= APPROXIMATE_FROM**2


def pairs_within_reach(
    rows: Float32,
    min_cosine_similarity: float,
    *,
    approximate: bool | None = None,
    on_progress: OnProgress | None = None,
    engine: Engine = IN_PROCESS,
) -> Iterator[Edges]:
    """Find pairs of unit rows that are at least this similar: all, or those in nearby cells."""
    chunks = near_edge_chunks if is_approximate(len(rows), wanted=approximate) else edge_chunks
    return chunks(rows, min_cosine_similarity=min_cosine_similarity, on_progress=on_progress, engine=engine)


def ties(groups: Groups) -> Edges:
    """Return each face that must be with others, paired with the lowest row of these."""
    tied = np.flatnonzero(groups.group != np.arange(len(groups.group))).astype(np.int32)
    return Edges(groups.group[tied].astype(np.int32), tied, np.ones(len(tied), np.float32))


def separate(labels: Int64, groups: Groups, among: Callable[[Int64], Edges]) -> Int64:
    """Rebuild the components that hold faces that must be apart, strongest pair first.

    Parameters
    ----------
    labels : int64 array of shape (n,)
    among : callable
        The pairs that join some faces, by their places among those.
    """
    first, second = groups.forbidden.T
    wrong = np.unique(labels[first[labels[first] == labels[second]]])
    member = np.flatnonzero(np.isin(labels, wrong))
    if not len(member):
        return labels
    place = np.full(len(labels), -1, np.int64)
    place[member] = np.arange(len(member))
    inside = place[groups.forbidden]
    apart = Partners.of_pairs(inside[(inside >= 0).all(axis=1)], len(member))
    edges = among(member)
    parts = labels.copy()
    parts[member] = len(labels) + _strongest_first(edges, place[groups.group[member]], apart)
    return parts


def _strongest_first(edges: Edges, group: Int64, apart: Partners) -> Int64:
    """Join pairs in order of similarity, except forbidden ones; `group` holds what is already joined."""
    order = np.lexsort((edges.j, edges.i, -edges.similarity))
    root = group.copy()
    barred = {int(face): set(apart.of(face).tolist()) for face in np.unique(group) if len(apart.of(face))}
    for start in range(0, len(order), _CHUNK_PAIRS):
        chosen = order[start : start + _CHUNK_PAIRS]
        i, j = root[edges.i[chosen]], root[edges.j[chosen]]
        parent: dict[int, int] = {}
        for one, other in zip(i[i != j].tolist(), j[i != j].tolist(), strict=True):
            a, b = _top(parent, one), _top(parent, other)
            if a == b or b in barred.get(a, ()):
                continue
            parent[b] = a
            for third in barred.pop(b, set()):
                barred[third].discard(b)
                barred[third].add(a)
                barred.setdefault(a, set()).add(third)
        if parent:
            moved = np.array(list(parent))
            root_of = np.arange(len(root))
            root_of[moved] = [_top(parent, one) for one in moved.tolist()]
            root = root_of[root]
    return root


def _top(parent: dict[int, int], node: int) -> int:
    while node in parent:
        above = parent[node]
        if above in parent:
            # Shorten the path for the next search.
            parent[node] = parent[above]
        node = above
    return node


def components_of(chunks: Iterable[Edges], count: int) -> Int64:
    """Find the components of a graph of `count` nodes whose edges come in chunks.

    Only edges that join two components are stored, so memory does not grow with the graph.

    Returns
    -------
    int64 array of shape (count,)
        Numbers from 0, in no particular order.
    """
    labels = np.arange(count)
    pending: list[tuple[Int64, Int64]] = []
    pending_count = 0
    for chunk in chunks:
        i, j = labels[chunk.i], labels[chunk.j]
        joins = i != j
        pending.append((i[joins], j[joins]))
        pending_count += int(joins.sum())
        if pending_count > _BUFFERED_EDGES:
            labels, pending, pending_count = _with_pending(labels, pending), [], 0
    return _with_pending(labels, pending)


def _with_pending(labels: Int64, pending: list[tuple[Int64, Int64]]) -> Int64:
    if not pending or not len(labels):
        return labels
    i = np.concatenate([pair[0] for pair in pending])
    j = np.concatenate([pair[1] for pair in pending])
    return join_pairs(int(labels.max()) + 1, i, j)[labels]
