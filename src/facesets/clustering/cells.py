"""Cells of faces: regions around centers found by k-means, and which cells each face searches.

A face is compared with all faces of its own cell and of those whose centers it is most similar to: a few per
cent of all pairs hold nearly all near ones. Some cells with their faces make a batch, which one task takes.
Everything follows from the rows, so a run can be repeated.

References
----------
Sivic & Zisserman, "Video Google", ICCV 2003 (inverted files); Jégou, Douze & Schmid, "Product quantization
for nearest neighbor search", PAMI 2011 (probing several cells).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facesets.clustering.centroids import cluster_sums, unit_or_zero
from facesets.clustering.engine import IN_PROCESS, Engine
from facesets.clustering.graph import OnProgress
from facesets.clustering.vectors import Bool, Float32, Int32, Int64, Rows

_CELLS_PER_ROOT = 8
_TRAINING_FACES_PER_CELL = 16
_TRAINING_ROUNDS = 3
_BLOCK_ROWS = 1024
_BATCH_BLOCKS = 128
_SAMPLED_CENTERS = 8
"""One in this many centers is used to estimate a face's nearest ones, at an eighth of the cost of sorting
all.
"""

_MIN_BATCH_ROWS = 16_384
_MAX_BATCHES = 32
_PLACED_ROWS = 65_536


@dataclass(frozen=True, slots=True)
class Division:
    """Faces in cells, in an order in which those of a cell are side by side.

    Attributes
    ----------
    order : int32 array of shape (n,)
        Rows, cell by cell, ascending in each.
    start : int64 array of shape (cells + 1,)
        Start of each cell's faces in `order`.
    looking_start : int64 array of shape (n + 1,)
        Start, in `looking`, of the cells that each face of `order` searches.
    looking : uint16 or int32 array of shape (m,)
        Cells, ascending for each face; not its own.
    """

    order: Int32
    start: Int64
    looking_start: Int64
    looking: NDArray[Any]

    def batches(self) -> list[tuple[int, int]]:
        """Return runs of cells (first, end), each with enough faces for one task; at most 32 runs."""
        size = max(_MIN_BATCH_ROWS, -(-len(self.order) // _MAX_BATCHES))
        cuts = np.searchsorted(self.start, np.arange(size, len(self.order), size))
        ends = np.unique(np.r_[0, cuts, len(self.start) - 1]).tolist()
        return list(pairwise(ends))

    def arrays(self) -> tuple[NDArray[Any], ...]:
        """Return the arrays that tasks need, as `Batch` takes them."""
        return self.order, self.start, self.looking_start, self.looking


def divided(
    rows: Float32, probes: int, *, on_progress: OnProgress | None = None, engine: Engine = IN_PROCESS
) -> Division:
    """Divide faces into cells.

    Parameters
    ----------
    rows : float32 array of shape (n, d)
        Unit length; at least one.
    probes : int
        About how many cells each face searches besides its own.
    """
    center = _centers(rows, engine)
    homes, counts, cells = [], [], []
    blocks = range(0, len(rows), _BLOCK_ROWS)
    work = partial(_look, probes, elsewhere=True)
    for step, (home, count, cell) in enumerate(engine.each(work, (rows, center), blocks), start=1):
        homes.append(home)
        counts.append(count)
        cells.append(cell)
        if on_progress is not None:
            on_progress(step, len(blocks))
    home = np.concatenate(homes)
    order = np.argsort(home, kind="stable").astype(np.int32)
    start = np.r_[0, np.cumsum(np.bincount(home, minlength=len(center)))]
    return Division(order, start, *_placed(np.concatenate(counts), np.concatenate(cells), order))


def _placed(count: Int32, cells: NDArray[Any], order: Int32) -> tuple[Int64, NDArray[Any]]:
    """Return the runs of `cells` that belong to rows, `count` to each, in another order of the rows."""
    first = np.r_[0, np.cumsum(count, dtype=np.int64)]
    start = np.r_[0, np.cumsum(count[order], dtype=np.int64)]
    placed = np.empty_like(cells)
    for begin in range(0, len(order), _PLACED_ROWS):
        some = order[begin : begin + _PLACED_ROWS]
        here = slice(start[begin], start[begin + len(some)])
        shift = first[some] - start[begin : begin + len(some)]
        placed[here] = cells[np.repeat(shift, count[some]) + np.arange(here.start, here.stop)]
    return start, placed


def divided_for(
    rows: Float32, others: Float32, probes: int, *, on_progress: OnProgress | None = None
) -> tuple[list[Int32], list[list[Int32]]]:
    """Divide other faces into cells that these faces search: the cells' members count the other faces.

    Parameters
    ----------
    rows : float32 array of shape (n, d)
    others : float32 array of shape (m, d)
        Of either at least one.
    probes : int
        About how many cells each face searches.

    Returns
    -------
    members : list of int32 arrays
        For each cell its faces, ascending.
    looking : list of lists of int32 arrays
        For each batch of the others, and each cell, those of the batch that look into it.
    """
    center = _centers(others, IN_PROCESS)
    homes = IN_PROCESS.each(_nearest, (others, center), range(0, len(others), _BLOCK_ROWS))
    members = _by_cell(np.arange(len(others), dtype=np.int32), np.concatenate(list(homes)), len(center))
    looking: list[list[Int32]] = []
    blocks = range(0, len(rows), _BLOCK_ROWS)
    found = IN_PROCESS.each(partial(_look, probes, elsewhere=False), (rows, center), blocks)
    for first in range(0, len(blocks), _BATCH_BLOCKS):
        batch = list(islice(found, _BATCH_BLOCKS))
        count, cell = (np.concatenate([each[part] for each in batch]) for part in (1, 2))
        face = np.repeat(np.arange(len(count), dtype=np.int32) + np.int32(first * _BLOCK_ROWS), count)
        looking.append(_by_cell(face, cell, len(center)))
        if on_progress is not None:
            on_progress(min(first + _BATCH_BLOCKS, len(blocks)), len(blocks))
    return members, looking


def _look(
    probes: int, rows: Rows, center: Rows, start: int, *, elsewhere: bool
) -> tuple[Int32, Int32, NDArray[Any]]:
    """Return the cell of each row of a block, how many cells it searches, and which.

    Not into its own, if only `elsewhere`.
    """
    centers = center[:]
    step = _SAMPLED_CENTERS if len(centers) > _SAMPLED_CENTERS * probes else 1
    rank = min(max(1, probes // step), len(centers))
    product = rows[start : start + _BLOCK_ROWS] @ centers.T
    home = product.argmax(axis=1)
    some = product[:, ::step]
    least = np.partition(some, some.shape[1] - rank, axis=1)[:, some.shape[1] - rank]
    if elsewhere:
        product[np.arange(len(product)), home] = -np.inf
    face, cell = np.divmod(np.flatnonzero(product >= least[:, None]), len(centers))
    count = np.bincount(face, minlength=len(product)).astype(np.int32)
    small = len(centers) <= np.iinfo(np.uint16).max + 1
    return home.astype(np.int32), count, cell.astype(np.uint16 if small else np.int32)


def _nearest(rows: Rows, center: Rows, start: int) -> Int64:
    nearest: Int64 = (rows[start : start + _BLOCK_ROWS] @ center[:].T).argmax(axis=1)
    return nearest


def _centers(rows: Float32, engine: Engine) -> Float32:
    """Find centers of cells by a few rounds of k-means on some of the faces."""
    cells = min(len(rows), 2 ** round(np.log2(_CELLS_PER_ROOT * np.sqrt(len(rows)))))
    chosen = rows[:: max(1, len(rows) // (cells * _TRAINING_FACES_PER_CELL))]
    sample: Float32 = engine.empty(chosen.shape, np.float32)
    sample[:] = chosen
    center = sample[:: max(1, len(sample) // cells)][:cells].copy()
    for _ in range(_TRAINING_ROUNDS):
        found = engine.each(_nearest, (sample, center), range(0, len(sample), _BLOCK_ROWS))
        label = np.concatenate(list(found))
        moved = unit_or_zero(cluster_sums(sample, label))
        there = np.flatnonzero(np.bincount(label) > 0)
        center[there] = moved[there]
    return center


def _by_cell(faces: Int32, cells: NDArray[Any], count: int) -> list[Int32]:
    ordered = faces[np.argsort(cells, kind="stable")]
    return np.split(ordered, np.cumsum(np.bincount(cells, minlength=count))[:-1])


@dataclass(frozen=True, slots=True)
class CellComparison:
    """Faces of a batch that are compared with all faces of a cell.

    Attributes
    ----------
    query : int32 array of shape (q,)
        Their places in the batch, ascending.
    member : int32 array of shape (m,)
        The cell's faces, by their rows.
    others : float32 array of shape (m, d)
        Their vectors.
    """

    cell: int
    query: Int32
    member: Int32
    others: Float32


class Batch:
    """Faces of some cells, and the faces that they are compared with.

    Parameters
    ----------
    laid : rows
        All faces in the order of their cells.
    order, start, looking_start, looking : arrays
        As in `Division`; they may be read from files, a run at a time.
    cells : tuple of int
        The first cell, and the end.

    Attributes
    ----------
    rows : float32 array of shape (b, d)
    face : int32 array of shape (b,)
        Which rows of all faces these are.
    home : int32 array of shape (b,)
        Their cells.
    """

    def __init__(
        self,
        laid: Rows,
        order: Int32,
        start: Int64,
        looking_start: Int64,
        looking: NDArray[Any],
        cells: tuple[int, int],
    ) -> None:
        self._first, self._end = cells
        self._laid, self._order, self._start = laid, order, start[:]
        self._looking_start, self._looking = looking_start, looking
        first, end = self._start[self._first], self._start[self._end]
        self._place = int(first)
        self.rows: Float32 = laid[first:end]
        self.face: Int32 = order[first:end]
        size = np.diff(self._start[self._first : self._end + 1])
        self.home = np.repeat(np.arange(self._first, self._end, dtype=np.int32), size)

    def at_home(self) -> Iterator[CellComparison]:
        """Compare each cell of the batch with itself."""
        for cell in range(self._first, self._end):
            here = slice(self._start[cell] - self._place, self._start[cell + 1] - self._place)
            query = np.arange(here.start, here.stop, dtype=np.int32)
            if len(query):
                yield CellComparison(cell, query, self.face[here], self.rows[here])

    def elsewhere(self) -> Iterator[CellComparison]:
        """Compare the faces of the batch with those of each other cell that they search."""
        begin, cell = self._looks(self._place, self._place + len(self.face))
        by_cell = np.argsort(cell, kind="stable")
        query = np.repeat(np.arange(len(self.face), dtype=np.int32), np.diff(begin))[by_cell]
        ends = np.cumsum(np.bincount(cell, minlength=len(self._start) - 1))
        for number in np.flatnonzero(np.diff(np.r_[0, ends])).tolist():
            first, end = self._start[number], self._start[number + 1]
            if first < end:
                looking = query[ends[number - 1] if number else 0 : ends[number]]
                yield CellComparison(number, looking, self._order[first:end], self._laid[first:end])

    def is_looked_into(self, cell: int, member: Int64, home: Int32) -> Bool:
        """Whether members of a cell, by their places in it, search these cells."""
        begin, looked = self._looks(int(self._start[cell]), int(self._start[cell + 1]))
        cells = len(self._start)
        known = np.repeat(np.arange(len(begin) - 1), np.diff(begin)) * cells + looked
        place = np.searchsorted(known, member * cells + home)
        there: Bool = np.append(known, -1)[place] == member * cells + home
        return there

    def _looks(self, first: int, end: int) -> tuple[Int64, NDArray[Any]]:
        """Return, for places in the order, where the cells that each searches begin, and these cells."""
        start = self._looking_start[first : end + 1]
        return start - start[0], self._looking[start[0] : start[-1]]
