"""Cells of faces: regions around centres found by k-means, and who looks into which.

A face is compared with all faces of its own cell and of those whose centres it is most similar to: a few per
cent of all pairs hold nearly all near ones. Everything follows from the rows, so a run can be repeated.

References
----------
Sivic & Zisserman, "Video Google", ICCV 2003 (inverted files); Jégou, Douze & Schmid, "Product quantization
for nearest neighbor search", PAMI 2011 (probing several cells).
"""

from dataclasses import dataclass
from itertools import islice

import numpy as np

from facesets.clustering.centroids import cluster_sums, unit_or_zero
from facesets.clustering.neighbors import OnProgress
from facesets.clustering.parallel_blas import on_all_cores
from facesets.clustering.vectors import Float32, Int32, Int64

_CELLS_PER_ROOT = 8
_TRAINING_FACES_PER_CELL = 16
_TRAINING_ROUNDS = 3
_BLOCK_ROWS = 1024
_BATCH_BLOCKS = 128
_SAMPLED_CENTRES = 8
"""One in so many centres tells where a face's nearest begin, at an eighth of the price of sorting all."""


@dataclass(frozen=True, slots=True)
class Cells:
    """Faces in cells.

    Attributes
    ----------
    members : list of int32 arrays
        For each cell its faces, ascending.
    looking : list of lists of int32 arrays
        For each batch of faces, and each cell, those of the batch that look into it from elsewhere.
    """

    members: list[Int32]
    looking: list[list[Int32]]


def divided(rows: Float32, probes: int, *, on_progress: OnProgress | None = None) -> Cells:
    """Divide faces into cells.

    Parameters
    ----------
    rows : float32 array of shape (n, d)
        Unit length; at least one.
    probes : int
        Into about so many cells does each face look, beside its own.
    on_progress : callable, optional
    """
    centre = _centres(rows)
    home, looking = _looking(rows, centre, probes, elsewhere=True, on_progress=on_progress)
    return Cells(_by_cell(np.arange(len(rows), dtype=np.int32), home, len(centre)), looking)


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
    on_progress : callable, optional
    """
    centre = _centres(others)
    homes = on_all_cores(
        lambda start: _nearest(others[start : start + _BLOCK_ROWS], centre),
        range(0, len(others), _BLOCK_ROWS),
    )
    members = _by_cell(np.arange(len(others), dtype=np.int32), np.concatenate(list(homes)), len(centre))
    return Cells(members, _looking(rows, centre, probes, elsewhere=False, on_progress=on_progress)[1])


def _looking(
    rows: Float32, centre: Float32, probes: int, *, elsewhere: bool, on_progress: OnProgress | None
) -> tuple[Int64, list[list[Int32]]]:
    """The cell of each row, and who looks into which cells; not into their own, if only `elsewhere`."""
    step = _SAMPLED_CENTRES if len(centre) > _SAMPLED_CENTRES * probes else 1
    rank = min(max(1, probes // step), len(centre))

    def look(start: int) -> tuple[Int64, Int32, Int64]:
        product = rows[start : start + _BLOCK_ROWS] @ centre.T
        home = product.argmax(axis=1)
        some = product[:, ::step]
        least = np.partition(some, some.shape[1] - rank, axis=1)[:, some.shape[1] - rank]
        if elsewhere:
            product[np.arange(len(product)), home] = -np.inf
        face, cell = np.divmod(np.flatnonzero(product >= least[:, None]), len(centre))
        return home, (face + start).astype(np.int32), cell

    homes: list[Int64] = []
    looking: list[list[Int32]] = []
    blocks = range(0, len(rows), _BLOCK_ROWS)
    found = on_all_cores(look, blocks)
    for first in range(0, len(blocks), _BATCH_BLOCKS):
        faces: list[Int32] = []
        cells: list[Int64] = []
        for home, face, cell in islice(found, _BATCH_BLOCKS):
            homes.append(home)
            faces.append(face)
            cells.append(cell)
        looking.append(_by_cell(np.concatenate(faces), np.concatenate(cells), len(centre)))
        if on_progress is not None:
            on_progress(min(first + _BATCH_BLOCKS, len(blocks)), len(blocks))
    return np.concatenate(homes), looking


def _nearest(rows: Float32, centre: Float32) -> Int64:
    nearest: Int64 = (rows @ centre.T).argmax(axis=1)
    return nearest


def _centres(rows: Float32) -> Float32:
    """Centres of cells, by a few rounds of k-means on some of the faces."""

    def nearest(start: int) -> Int64:
        return _nearest(sample[start : start + _BLOCK_ROWS], centre)

    cells = min(len(rows), 2 ** round(np.log2(_CELLS_PER_ROOT * np.sqrt(len(rows)))))
    sample = rows[:: max(1, len(rows) // (cells * _TRAINING_FACES_PER_CELL))]
    centre = sample[:: max(1, len(sample) // cells)][:cells].copy()
    for _ in range(_TRAINING_ROUNDS):
        label = np.concatenate(list(on_all_cores(nearest, range(0, len(sample), _BLOCK_ROWS))))
        moved = unit_or_zero(cluster_sums(sample, label))
        there = np.flatnonzero(np.bincount(label) > 0)
        centre[there] = moved[there]
    return centre


def _by_cell(faces: Int32, cells: Int64, count: int) -> list[Int32]:
    ordered = faces[np.argsort(cells, kind="stable")]
    return np.split(ordered, np.cumsum(np.bincount(cells, minlength=count))[:-1])
