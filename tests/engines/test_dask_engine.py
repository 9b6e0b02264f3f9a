import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import dask
import numpy as np
import pytest
from distributed import LocalCluster

from facesets.clustering import cells, cluster_auto
from facesets.clustering.engine import IN_PROCESS, Engine
from facesets.engines import dask_engine
from facesets.engines.dask_engine import DaskEngine, local_engine, remote_engine
from facesets.errors import Unreachable
from tests.fixtures.clusterings import ON_ENGINES
from tests.fixtures.vectors import Float32, many_people

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def small_tasks() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cells, "_MIN_BATCH_ROWS", 250)
        patch.setattr(DaskEngine, "blocks_a_task", 1)
        # Workers are forked from a process that has loaded all they need.
        with dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"}):
            yield


@pytest.fixture(scope="module")
def vectors() -> Float32:
    return many_people().embedding[:2000]


@pytest.fixture(scope="module")
def two_workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskEngine]:
    with local_engine(2, tmp_path_factory.mktemp("shards")) as engine:
        yield engine


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    with LocalCluster(
        n_workers=1, threads_per_worker=2, dashboard_address="127.0.0.1:0", memory_limit=0
    ) as cluster:
        yield cluster.scheduler_address.removeprefix("tcp://")


@pytest.fixture(scope="module")
def one_worker(scheduler: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskEngine]:
    with remote_engine(scheduler, tmp_path_factory.mktemp("shards")) as engine:
        yield engine


@pytest.mark.parametrize("way", ["auto, nearby", "components", "dbscan, nearby"])
def test_labels_are_those_of_one_process_to_the_bit(
    two_workers: DaskEngine, one_worker: DaskEngine, vectors: Float32, way: str
) -> None:
    expected = ON_ENGINES[way](vectors, engine=IN_PROCESS)
    assert len(np.unique(expected)) > 50
    for engine in (two_workers, one_worker):
        assert np.array_equal(ON_ENGINES[way](vectors, engine=engine), expected)


def _process_and_task(_array: object, task: int) -> tuple[int, int]:
    time.sleep(0.01)
    return os.getpid(), task


def processes(engine: Engine) -> set[int]:
    return {process for process, _ in engine.each(_process_and_task, (np.ones(1),), range(60))}


def test_tasks_of_a_killed_worker_are_computed_again(tmp_path: Path, vectors: Float32) -> None:
    with local_engine(2, tmp_path) as engine:
        killed = min(processes(engine))
        kills: list[int] = []

        def kill(done: int, steps: int) -> None:
            if not kills and done < steps:
                kills.append(killed)
                os.kill(killed, signal.SIGKILL)

        found = cluster_auto(vectors, approximate=True, engine=engine, on_progress=kill).labels
        assert kills
        assert np.array_equal(found, cluster_auto(vectors, approximate=True).labels)
        assert killed not in processes(engine)


def test_a_worker_that_does_not_see_the_arrays_is_reported(
    scheduler: str, tmp_path: Path, vectors: Float32
) -> None:
    def remove_arrays(_done: int, _steps: int) -> None:
        shutil.rmtree(tmp_path / "shards", ignore_errors=True)

    with (
        remote_engine(scheduler, tmp_path / "shards") as engine,
        pytest.raises(Unreachable, match=r"cannot see \S+shards\. Use shards to name a folder"),
    ):
        cluster_auto(vectors, approximate=True, engine=engine, on_progress=remove_arrays)


@pytest.mark.skipif(not hasattr(os, "setresuid") or os.geteuid() != 0, reason="needs root")
def test_a_worker_of_another_account_does_not_see_the_arrays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.chmod(0o755)
    # By a relative name another account needs no right to the folders above.
    monkeypatch.chdir(tmp_path)
    Path("run").mkdir(0o700)
    seen = [dask_engine._fitness("run")[1]]
    os.setresuid(65534, 65534, 0)
    try:
        seen.append(dask_engine._fitness("run")[1])
    finally:
        os.setresuid(0, 0, 0)
    assert seen == [True, False]


def test_a_worker_that_rounds_differently_is_refused(
    scheduler: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dask_engine, "_fingerprint", lambda: "another numpy")
    refused = pytest.raises(
        Unreachable, match=r"Worker tcp://\S+ would compute different results.*OPENBLAS_CORETYPE"
    )
    with refused, remote_engine(scheduler, tmp_path):
        pass
    assert not list(tmp_path.iterdir())


def test_missing_schedulers_and_missing_workers_are_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dask_engine, "_CONNECTING_S", 0.5)
    with LocalCluster(n_workers=0, dashboard_address="127.0.0.1:0") as empty:
        address = empty.scheduler_address.removeprefix("tcp://")
        with pytest.raises(Unreachable, match="has no workers"), remote_engine(address, tmp_path):
            pass
    with (
        pytest.raises(Unreachable, match=f"No dask scheduler answers at {address}"),
        remote_engine(address, tmp_path),
    ):
        pass


def test_results_come_in_task_order_and_unused_ones_are_dropped(
    two_workers: DaskEngine,
) -> None:
    some = two_workers.each(_process_and_task, (np.ones(1),), range(1000))
    assert next(some)[1] == 0
    some.close()  # type: ignore[attr-defined]
    found = two_workers.each(_process_and_task, (np.ones(1),), range(40))
    assert [task for _, task in found] == list(range(40))
