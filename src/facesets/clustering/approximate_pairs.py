"""Similar pairs among very many faces: only faces in nearby cells are compared.

Similarities are exact, so all pairs found are valid. Some may be missed; `check_links` measures what that did
to components.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import product as all_combinations
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from facesets.clustering.cells import Batch, CellComparison, divided, divided_for
from facesets.clustering.engine import IN_PROCESS, Engine, on_all_cores
from facesets.clustering.graph import Edges, OnProgress, similar_pairs
from facesets.clustering.labels import check_labels
from facesets.clustering.vectors import (
    Bool,
    Embeddings,
    Float32,
    Int32,
    check_cosine_similarity,
    check_matrix,
    unit_rows,
)

_PROBES = 64
_MAX_ENTRIES = 1_048_576
_CHECKED_ROWS = 65_536
_BLOCK_ROWS, _BLOCK_COLUMNS = 512, 2048


def near_edge_chunks(
    rows: Float32,
    *,
    min_cosine_similarity: float,
    probes: int = _PROBES,
    on_progress: OnProgress | None = None,
    engine: Engine = IN_PROCESS,
) -> Iterator[Edges]:
    """Yield nearly all pairs of unit rows that are at least this similar, some at a time, each once.

    Parameters
    ----------
    rows : float32 array of shape (n, d)
    min_cosine_similarity : float
        As in `edge_chunks`.
    probes : int
        About how many cells each face searches. More cells find more, and take longer.
    on_progress : callable, optional
        Counts again when all faces have their cells.
    """
    if not len(rows):
        return
    division = divided(rows, probes, on_progress=on_progress, engine=engine)
    arrays = (engine.in_order(rows, division.order), *division.arrays())
    batches = division.batches()
    work = partial(_similar_in_batch, min_cosine_similarity)
    for step, edges in enumerate(engine.each(work, arrays, batches), start=1):
        yield edges
        if on_progress is not None:
            on_progress(step, len(batches))


def _similar_in_batch(min_cosine_similarity: float, *given: Any) -> Edges:  # noqa: ANN401
    """Return the similar pairs of a face of a batch and a face that it is compared with."""
    batch = Batch(*given)
    parts: list[Edges] = []
    for comparison in batch.at_home():
        for query, found in _similar(batch, comparison, min_cosine_similarity):
            parts.append(_pairs(batch, comparison, found, query < comparison.member[found.j]))
    for comparison in batch.elsewhere():
        for query, found in _similar(batch, comparison, min_cosine_similarity):
            # If both faces of a pair search each other's cell, the pair is found twice.
            once = query < comparison.member[found.j]
            home = batch.home[found.i]
            once |= ~batch.is_looked_into(comparison.cell, found.j.astype(np.int64), home)
            parts.append(_pairs(batch, comparison, found, once))
    return Edges.concatenate(parts)


def _similar(
    batch: Batch, comparison: CellComparison, min_cosine_similarity: float
) -> Iterator[tuple[Int32, Edges]]:
    """Return similar pairs of places in batch and cell, with the rows of the first."""
    size = _MAX_ENTRIES // len(comparison.member) + 1
    for start in range(0, len(comparison.query), size):
        place = comparison.query[start : start + size]
        found = similar_pairs(
            batch.rows[place], comparison.others, min_cosine_similarity=min_cosine_similarity
        )
        if len(found):
            yield batch.face[place[found.i]], Edges(place[found.i], found.j, found.similarity)


def _pairs(batch: Batch, comparison: CellComparison, found: Edges, once: Bool) -> Edges:
    i, j = batch.face[found.i[once]], comparison.member[found.j[once]]
    return Edges(np.minimum(i, j), np.maximum(i, j), found.similarity[once])


def near_cross_edge_chunks(
    rows: Float32,
    others: Float32,
    *,
    min_cosine_similarity: float,
    on_progress: OnProgress | None = None,
) -> Iterator[Edges]:
    """Yield nearly all pairs of a unit row (i) and another (j) that are at least this similar, each once."""
    if not len(rows) or not len(others):
        return

    def search(task: tuple[int, Int32, Int32]) -> tuple[int, Edges]:
        cell, query, member = task
        found = similar_pairs(rows[query], others[member], min_cosine_similarity=min_cosine_similarity)
        return cell, Edges(query[found.i], member[found.j], found.similarity)

    # Only one side searches, so each searches more cells.
    members, looking = divided_for(rows, others, 2 * _PROBES, on_progress=on_progress)
    for cell, edges in on_all_cores(search, _comparisons(members, looking)):
        yield edges
        if on_progress is not None:
            on_progress(cell + 1, len(members))


def _comparisons(members: list[Int32], looking: list[list[Int32]]) -> Iterator[tuple[int, Int32, Int32]]:
    """Return for each cell the faces that search it, and its own faces."""
    for number, member in enumerate(members):
        query = np.concatenate([batch[number] for batch in looking])
        size = _MAX_ENTRIES // max(1, len(member)) + 1
        for start in range(0, len(query), size):
            yield number, query[start : start + size], member


@dataclass(frozen=True, slots=True)
class LinksChecked:
    """How many similar pairs of some faces lie within one component.

    Attributes
    ----------
    faces : int
        Compared with all others.
    links : int
        Pairs of one of these and a face that is similar enough.
    links_together : int
        Of these pairs, those in one component.
    faces_whole : int
        Faces that are together with all that they are similar enough to.
    """

    faces: int
    links: int
    links_together: int
    faces_whole: int

    @property
    def share_together(self) -> float:
        """Return the share of links in one component, in [0, 1]; 1 if there are none."""
        return self.links_together / self.links if self.links else 1.0

    @property
    def share_whole(self) -> float:
        """Return the share of faces that miss no match, in [0, 1]; 1 if there are none."""
        return self.faces_whole / self.faces if self.faces else 1.0

    def sentence(self, min_cosine_similarity: float) -> str:
        """Return a sentence for the user."""
        together, whole = _percent(self.share_together), _percent(self.share_whole)
        return (
            f"Approximate search: of the pairs with a similarity of {min_cosine_similarity:.2f} or more, "
            f"{together} are in one cluster, and {whole} of faces miss no match (checked on {self.faces} "
            "faces)."
        )


def _percent(share: float) -> str:
    """Round a share down, so that only all faces count as 100 %."""
    return f"{np.floor(share * 10_000) / 100:.2f} %"


def check_links(
    embeddings: Embeddings, labels: ArrayLike, *, min_cosine_similarity: float, faces: int = 1000
) -> LinksChecked:
    """Compare some faces with all others, exactly, to see how many similar pairs components hold together.

    Parameters
    ----------
    embeddings : float array of shape (n, d)
    labels : integers of shape (n,)
        Components, such as those of `connected_components(..., approximate=True)`.
    min_cosine_similarity : float
        What the components were made with.
    faces : int
        How many faces, evenly spread, are looked at.

    Raises
    ------
    ValueError
        When the embeddings are malformed (see `unit_rows`), the labels do not match, or the similarity is
        out of range.
    """
    check_cosine_similarity(min_cosine_similarity)
    check_matrix(embeddings)
    given = check_labels(labels, len(embeddings))
    chosen = np.unique(np.linspace(0, len(given) - 1, min(faces, len(given))).astype(np.int64))
    queries = unit_rows(embeddings, chosen)
    links = np.zeros(len(chosen), np.int64)
    together = np.zeros(len(chosen), np.int64)
    for start in range(0, len(given), _CHECKED_ROWS):
        span = np.arange(start, min(start + _CHECKED_ROWS, len(given)))
        others = unit_rows(embeddings, span)
        for found in _cross_edge_chunks(queries, others, min_cosine_similarity=min_cosine_similarity):
            other = span[found.j]
            query = found.i[chosen[found.i] != other]
            other = other[chosen[found.i] != other]
            links += np.bincount(query, minlength=len(chosen))
            joined = query[given[chosen[query]] == given[other]]
            together += np.bincount(joined, minlength=len(chosen))
    return LinksChecked(len(chosen), int(links.sum()), int(together.sum()), int((links == together).sum()))


def _cross_edge_chunks(rows: Float32, others: Float32, *, min_cosine_similarity: float) -> Iterator[Edges]:
    """Yield the pairs of a unit row (i) and another (j) that are at least this similar."""

    def search(span: tuple[int, int]) -> Edges:
        row, column = span
        left, right = rows[row : row + _BLOCK_ROWS], others[column : column + _BLOCK_COLUMNS]
        found = similar_pairs(left, right, min_cosine_similarity=min_cosine_similarity)
        return Edges(found.i + np.int32(row), found.j + np.int32(column), found.similarity)

    spans = all_combinations(range(0, len(rows), _BLOCK_ROWS), range(0, len(others), _BLOCK_COLUMNS))
    return on_all_cores(search, spans)
