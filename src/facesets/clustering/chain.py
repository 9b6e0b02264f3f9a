"""Average linkage in a dense matrix: the nearest-neighbour chain."""

import numpy as np

from facesets.clustering.vectors import Float32, Float64, Int64

_NEVER = np.float32(-np.inf)


def merge_in_matrix(similarity: Float32, size: Float64, min_similarity: float) -> Int64:
    """Average linkage of a few thousand clusters at most, cut at a mean similarity.

    A cluster whose most similar one lies below the cut is finished, and so is out of everyone's way:
    linkage is reducible, so nothing that forms later can come closer.

    Parameters
    ----------
    similarity : float32 array of shape (m, m)
        Mean similarities, symmetric; -inf for two that must never merge. Overwritten.
    size : float64 array of shape (m,)

    Returns
    -------
    int64 array of shape (m,)
        For each cluster the lowest row among those that it merged with.

    References
    ----------
    Murtagh, "A survey of recent advances in hierarchical clustering algorithms", 1983.
    """
    root = np.arange(len(size))
    np.fill_diagonal(similarity, _NEVER)
    _Chain(similarity, size.tolist(), root, min_similarity).run()
    while not np.array_equal(root, root[root]):
        root = root[root]
    return root


class _Chain:
    def __init__(self, similarity: Float32, size: list[float], root: Int64, limit: float) -> None:
        self._similarity = similarity
        self._size = size
        self._root = root
        self._limit = limit
        self._name = np.arange(len(size))
        self._buffer = np.empty(len(size), np.float32)

    def run(self) -> None:
        waiting = list(range(len(self._size) - 1, -1, -1))
        open_rows = len(waiting)
        alive = [True] * open_rows
        chain: list[int] = []
        while True:
            if not chain:
                while waiting and not alive[waiting[-1]]:
                    waiting.pop()
                if not waiting:
                    return
                chain.append(waiting[-1])
            tip = chain[-1]
            row = self._similarity[tip]
            best = int(row.argmax())
            value = row[best]
            if value < self._limit:
                alive[tip] = False
                self._similarity[:, tip] = _NEVER
                chain.pop()
            elif len(chain) > 1 and row[chain[-2]] >= value:
                into, gone = sorted((tip, chain[-2]))
                self._merge(into, gone)
                alive[gone] = False
                del chain[-2:]
            else:
                chain.append(best)

    def _merge(self, into: int, gone: int) -> None:
        total = self._size[into] + self._size[gone]
        row, buffer = self._similarity[into], self._buffer
        np.multiply(self._similarity[gone], np.float32(self._size[gone] / total), out=buffer)
        row *= np.float32(self._size[into] / total)
        row += buffer
        self._similarity[:, into] = row
        self._similarity[:, gone] = _NEVER
        # The two kept each other's similarity in their rows.
        row[into] = row[gone] = _NEVER
        self._size[into] = total
        self._root[self._name[gone]] = self._name[into]
