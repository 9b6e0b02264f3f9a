"""Cells of faces: regions around centres found by k-means, and who looks into which.

A face is compared with all faces of its own cell and of those whose centres it is most similar to: a few per
cent of all pairs hold nearly all near ones. Everything follows from the rows, so a run can be repeated.

References
----------
Sivic & Zisserman, "Video Google", ICCV 2003 (inverted files); Jégou, Douze & Schmid, "Product quantization
for nearest neighbor search", PAMI 2011 (probing several cells).
"""

from dataclasses import dataclass
from functools import partial
from itertools import islice, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facesets.clustering.centroids import cluster_sums, unit_or_zero
from facesets.clustering.engine import IN_PROCESS, Engine
from facesets.clustering.neighbors import OnProgress
from facesets.clustering.vectors import Float32, Int32, Int64, Rows

_CELLS_PER_ROOT = 8
_TRAINING_FACES_PER_CELL = 16
_TRAINING_ROUNDS = 3
_BLOCK_ROWS = 1024
_BATCH_BLOCKS = 128
_SAMPLED_CENTRES = 8
"""One in so many centres tells where a face's nearest begin, at an eighth of the price of sorting all."""

_LEAST_BATCH_ROWS = 16_384
_MOST_BATCHES = 32
_PLACED_ROWS = 65_536


@dataclass(frozen=True, slots=True)
class Division:
    """Faces in cells, in an order in which those of a cell are side by side.

    Attributes
    ----------
    order : int32 array of shape (n,)
        Rows, cell by cell, ascending in each.
    start : int64 array of shape (cells + 1,)
        Where the faces of each cell begin in `order`.
    looking_start : int64 array of shape (n + 1,)
        Where in `looking` the cells begin into which each face of `order` looks.
    looking : uint16 or int32 array of shape (m,)
        Cells, ascending for each face; not its own.
    """

    order: Int32
    start: Int64
    looking_start: Int64
    looking: NDArray[Any]

    def batches(self) -> list[tuple[int, int]]:
        """Runs of cells (first, end) with a fitting number of faces for one task, not more than 32 runs."""
        size = max(_LEAST_BATCH_ROWS, -(-len(self.order) // _MOST_BATCHES))
        cuts = np.searchsorted(self.start, np.arange(size, len(self.order), size))
        ends = np.unique(np.r_[0, cuts, len(self.start) - 1]).tolist()
        return list(pairwise(ends))

    def arrays(self) -> tuple[NDArray[Any], ...]:
        """What tasks need of it, as `Batch` takes it."""
        return self.order, self.start, self.looking_start, self.looking


@dataclass(frozen=True, slots=True)
class Cells:
    """Faces in cells into which others look.

    Attributes
    ----------
    members : list of int32 arrays
        For each cell its faces, ascending.
    looking : list of lists of int32 arrays
        For each batch of the others, and each cell, those of the batch that look into it.
    """

    members: list[Int32]
    looking: list[list[Int32]]


def divided(
    rows: Float32, probes: int, *, on_progress: OnProgress | None = None, engine: Engine = IN_PROCESS
) -> Division:
    """Divide faces into cells.

    Parameters
    ----------
    rows : float32 array of shape (n, d)
        Unit length; at least one.
    probes : int
        Into about so many cells does each face look, beside its own.
    """
    centre = _centres(rows, engine)
    homes, counts, cells = [], [], []
    blocks = range(0, len(rows), _BLOCK_ROWS)
    work = partial(_look, probes, elsewhere=True)
    for step, (home, count, cell) in enumerate(engine.each(work, (rows, centre), blocks), start=1):
        homes.append(home)
        counts.append(count)
        cells.append(cell)
        if on_progress is not None:
            on_progress(step, len(blocks))
    home = np.concatenate(homes)
    order = np.argsort(home, kind="stable").astype(np.int32)
    start = np.r_[0, np.cumsum(np.bincount(home, minlength=len(centre)))]
    return Division(order, start, *_placed(np.concatenate(counts), np.concatenate(cells), order))


def _placed(count: Int32, cells: NDArray[Any], order: Int32) -> tuple[Int64, NDArray[Any]]:
    """The runs of `cells` that belong to rows, so many to each, in another order of the rows."""
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
) -> Cells:
    """Divide other faces into cells, into which these faces look: the cells' members count those others.

    Parameters
    ----------
    rows : float32 array of shape (n, d)
    others : float32 array of shape (m, d)
        Of either at least one.
    probes : int
        Into about so many cells does each face look.
    """
    centre = _centres(others, IN_PROCESS)
    homes = IN_PROCESS.each(_nearest, (others, centre), range(0, len(others), _BLOCK_ROWS))
    members = _by_cell(np.arange(len(others), dtype=np.int32), np.concatenate(list(homes)), len(centre))
    looking: list[list[Int32]] = []
    blocks = range(0, len(rows), _BLOCK_ROWS)
    found = IN_PROCESS.each(partial(_look, probes, elsewhere=False), (rows, centre), blocks)
    for first in range(0, len(blocks), _BATCH_BLOCKS):
        batch = list(islice(found, _BATCH_BLOCKS))
        count, cell = (np.concatenate([each[part] for each in batch]) for part in (1, 2))
        face = np.repeat(np.arange(len(count), dtype=np.int32) + np.int32(first * _BLOCK_ROWS), count)
        looking.append(_by_cell(face, cell, len(centre)))
        if on_progress is not None:
            on_progress(min(first + _BATCH_BLOCKS, len(blocks)), len(blocks))
    return Cells(members, looking)


def _look(
    probes: int, rows: Rows, centre: Rows, start: int, *, elsewhere: bool
) -> tuple[Int32, Int32, NDArray[Any]]:
    """The cell of each row of a block, into how many it looks, and into which.

    Not into its own, if only `elsewhere`.
    """
    centres = centre[:]
    step = _SAMPLED_CENTRES if len(centres) > _SAMPLED_CENTRES * probes else 1
    rank = min(max(1, probes // step), len(centres))
    product = rows[start : start + _BLOCK_ROWS] @ centres.T
    home = product.argmax(axis=1)
    some = product[:, ::step]
    least = np.partition(some, some.shape[1] - rank, axis=1)[:, some.shape[1] - rank]
    if elsewhere:
        product[np.arange(len(product)), home] = -np.inf
    face, cell = np.divmod(np.flatnonzero(product >= least[:, None]), len(centres))
    count = np.bincount(face, minlength=len(product)).astype(np.int32)
    small = len(centres) <= np.iinfo(np.uint16).max + 1
    return home.astype(np.int32), count, cell.astype(np.uint16 if small else np.int32)


def _nearest(rows: Rows, centre: Rows, start: int) -> Int64:
    nearest: Int64 = (rows[start : start + _BLOCK_ROWS] @ centre[:].T).argmax(axis=1)
    return nearest


def _centres(rows: Float32, engine: Engine) -> Float32:
    """Centres of cells, by a few rounds of k-means on some of the faces."""
    cells = min(len(rows), 2 ** round(np.log2(_CELLS_PER_ROOT * np.sqrt(len(rows)))))
    chosen = rows[:: max(1, len(rows) // (cells * _TRAINING_FACES_PER_CELL))]
    sample: Float32 = engine.empty(chosen.shape, np.float32)
    sample[:] = chosen
    centre = sample[:: max(1, len(sample) // cells)][:cells].copy()
    for _ in range(_TRAINING_ROUNDS):
        found = engine.each(_nearest, (sample, centre), range(0, len(sample), _BLOCK_ROWS))
        label = np.concatenate(list(found))
        moved = unit_or_zero(cluster_sums(sample, label))
        there = np.flatnonzero(np.bincount(label) > 0)
        centre[there] = moved[there]
    return centre


def _by_cell(faces: Int32, cells: NDArray[Any], count: int) -> list[Int32]:
    ordered = faces[np.argsort(cells, kind="stable")]
    return np.split(ordered, np.cumsum(np.bincount(cells, minlength=count))[:-1])
