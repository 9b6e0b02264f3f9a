"""Memory for large pictures is used again, and never while anybody still sees it."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from facesets.imaging.decode import PictureMemory

SIZE = 5_000_000


def address(array: np.ndarray) -> int:
    return int(array.__array_interface__["data"][0])


def test_memory_comes_back_when_the_last_view_is_gone() -> None:
    memory = PictureMemory()
    whole = memory.take(SIZE)
    where = address(whole)
    view = whole.reshape(-1, 1000)[10:20].T[3:]
    del whole
    other = memory.take(SIZE)
    assert address(other) != where
    del view
    assert address(memory.take(SIZE - 1000)) == where


def test_a_small_picture_gets_no_large_memory() -> None:
    memory = PictureMemory()
    where = address(memory.take(4 * SIZE))
    assert address(memory.take(SIZE)) != where


def test_only_so_much_is_kept() -> None:
    memory = PictureMemory(most_free_bytes=2 * SIZE)
    lent = [memory.take(SIZE) for _ in range(5)]
    assert memory.free_bytes == 0
    lent.clear()
    assert memory.free_bytes == 2 * SIZE


def test_threads_never_share_memory() -> None:
    memory = PictureMemory()
    barrier = threading.Barrier(4)

    def paint(colour: int) -> bool:
        barrier.wait()
        for _ in range(20):
            picture = memory.take(SIZE).reshape(-1, 1000)
            picture[:] = colour
            view = picture[7:]
            del picture
            if not (view == colour).all():
                return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(paint, range(4)))
