import threading

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits  # type: ignore[import-untyped]

from facesets.clustering.engine import on_all_cores


def cores_of_a_product() -> list[int]:
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]


def test_results_come_in_the_order_of_the_tasks() -> None:
    # Later tasks are the quicker ones.
    sides = [400 - 10 * task for task in range(40)]

    def work(side: int) -> int:
        return len(np.ones((side, side)) @ np.ones((side, side)))

    with threadpool_limits(3, user_api="blas"):
        assert list(on_all_cores(work, sides)) == sides


def test_an_error_in_a_task_reaches_the_caller_and_products_get_their_cores_back() -> None:
    with threadpool_limits(2, user_api="blas"):
        before = cores_of_a_product()
        with pytest.raises(ZeroDivisionError):
            list(on_all_cores(lambda number: 1 / number, [2, 1, 0, 1, 2]))
        assert cores_of_a_product() == before


def test_products_get_their_cores_back_when_several_ask_at_once_and_one_stops_early() -> None:
    with threadpool_limits(2, user_api="blas"):
        before = cores_of_a_product()
        first, second = (on_all_cores(np.sqrt, range(100)) for _ in range(2))
        next(first)
        next(second)
        assert set(cores_of_a_product()) == {1}
        assert len({thread.name for thread in threading.enumerate() if "clustering" in thread.name}) > 1
        del first
        assert set(cores_of_a_product()) == {1}
        assert len(list(second)) == 99
        assert cores_of_a_product() == before
