"""The faces of some cells as one task sees them: whom they are compared with."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facesets.clustering.vectors import Bool, Float32, Int32, Int64, Rows


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
    """The faces of some cells, and whom they are compared with.

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
        """Each cell of the batch with itself."""
        for cell in range(self._first, self._end):
            here = slice(self._start[cell] - self._place, self._start[cell + 1] - self._place)
            query = np.arange(here.start, here.stop, dtype=np.int32)
            if len(query):
                yield CellComparison(cell, query, self.face[here], self.rows[here])

    def elsewhere(self) -> Iterator[CellComparison]:
        """The faces of the batch with those of each other cell into which they look."""
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
        """Whether members of a cell, by their places in it, look into these cells."""
        begin, looked = self._looks(int(self._start[cell]), int(self._start[cell + 1]))
        cells = len(self._start)
        known = np.repeat(np.arange(len(begin) - 1), np.diff(begin)) * cells + looked
        place = np.searchsorted(known, member * cells + home)
        there: Bool = np.append(known, -1)[place] == member * cells + home
        return there

    def _looks(self, first: int, end: int) -> tuple[Int64, NDArray[Any]]:
        """For places in the order where the cells begin into which each looks, and these cells."""
        start = self._looking_start[first : end + 1]
        return start - start[0], self._looking[start[0] : start[-1]]
