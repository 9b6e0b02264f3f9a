import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits  # type: ignore[import-untyped]

from facesets.clustering.engine import on_all_cores
from tests.fixtures.vectors import People

CLUSTER_ALL_WAYS = """
import sys
import numpy as np
from facesets.clustering import average_linkage, cluster_auto, connected_components, hdbscan, knn_graph
vectors = np.load(sys.argv[1])
np.savez(
    sys.argv[2],
    linkage=average_linkage(vectors, max_cosine_distance=0.6),
    components=connected_components(vectors, min_cosine_similarity=0.5),
    hdbscan=hdbscan(vectors).labels,
    neighbours=knn_graph(vectors, k=9).index,
    auto=cluster_auto(vectors).labels,
)
"""


def cores_of_a_product() -> list[int]:
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]


@pytest.mark.slow
def test_labels_do_not_depend_on_the_number_of_cores(real_people: People, tmp_path: Path) -> None:
    np.save(tmp_path / "vectors.npy", real_people.embedding[:1800])
    found = {}
    for cores in (1, 2, 3):
        subprocess.run(
            [sys.executable, "-c", CLUSTER_ALL_WAYS, tmp_path / "vectors.npy", tmp_path / f"{cores}.npz"],
            env=os.environ | {"OPENBLAS_NUM_THREADS": str(cores), "OMP_NUM_THREADS": str(cores)},
            check=True,
        )
        with np.load(tmp_path / f"{cores}.npz") as arrays:
            found[cores] = dict(arrays)
    for method, labels in found[1].items():
        assert len(np.unique(labels)) > 50
        for cores in (2, 3):
            assert np.array_equal(found[cores][method], labels), (method, cores)


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
