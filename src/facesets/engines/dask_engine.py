"""Clustering by dask.distributed: its workers, on this machine or on others, compute the tasks.

The only importer of dask. A task whose worker dies is computed again by another.
"""

import hashlib
import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from distributed import Client, Future, KilledWorker, LocalCluster
from numpy.typing import DTypeLike, NDArray
from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

from facesets import __version__
from facesets.clustering.engine import Found, on_one_core
from facesets.clustering.vectors import Float32, Int32, Rows
from facesets.engines.stored_arrays import ArrayFolder, StoredArray
from facesets.errors import Command, FacesetsError, Field, Unreachable

_CONNECTING_S = 10
_PATIENCE_S = 30
_WITHOUT_WORKERS = 4
"""Maximum consecutive checks without a worker; nannies start new ones in seconds."""

_AHEAD = 3
"""Tasks submitted per worker thread; more would only hold memory."""

_DIMENSION = 512
_LAID_ROWS = 65_536
_TRIED_SHAPES = ((512, 2048), (96, 49), (3, 300))


@contextmanager
def local_engine(workers: int, folder: Path) -> Iterator["DaskEngine"]:
    """Return an engine of several processes on this machine, which end with the block.

    Raises
    ------
    CannotWrite
        Arrays cannot be written to the folder.
    """
    with (
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            # It counts mapped files as memory, although the system reclaims that by itself.
            memory_limit=0,
            dashboard_address="127.0.0.1:0",
            env=_environment(),
            silence_logs=logging.ERROR,
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
        _engine(client, folder, is_remote=False) as engine,
    ):
        yield engine


def _environment() -> dict[str, str]:
    """Return the environment that makes processes of this machine multiply like this one."""
    libraries = ThreadpoolController().select(internal_api="openblas").info()
    kernel = next((each["architecture"] for each in libraries if each.get("architecture")), None)
    return {} if kernel is None else {"OPENBLAS_CORETYPE": kernel}


@contextmanager
def remote_engine(address: str, folder: Path) -> Iterator["DaskEngine"]:
    """Return an engine of a scheduler's workers.

    Parameters
    ----------
    address : str
        `host:port`.
    folder : Path
        Where arrays are written; workers see it by the same path.

    Raises
    ------
    Unreachable
        The scheduler does not answer, or has no fit workers.
    CannotWrite
        Arrays cannot be written to the folder.
    """
    try:
        client = Client(address, timeout=_CONNECTING_S, set_as_default=False)
    except OSError as error:
        raise Unreachable(
            f"No dask scheduler answers at {address}. Start `dask scheduler` there, or check "
            f"{Field('engine')}."
        ) from error
    with client, _engine(client, folder, is_remote=True) as engine:
        try:
            client.wait_for_workers(1, timeout=_CONNECTING_S)
        except TimeoutError as error:
            raise _without_workers() from error
        engine.examine()
        yield engine


@contextmanager
def _engine(client: Client, folder: Path, *, is_remote: bool) -> Iterator["DaskEngine"]:
    arrays = ArrayFolder(folder)
    try:
        yield DaskEngine(client, arrays, is_remote=is_remote)
    finally:
        arrays.close()


class DaskEngine:
    """An engine of dask.distributed's workers, which read arrays from files."""

    blocks_a_task = 8

    def __init__(self, client: Client, arrays: ArrayFolder, *, is_remote: bool) -> None:
        self._client = client
        self._arrays = arrays
        self._is_remote = is_remote

    def examine(self) -> None:
        """Check that each worker is usable.

        Raises
        ------
        Unreachable
            One has another version of this program, multiplies differently, or does not see the arrays.
        """
        found = self._client.run(_fitness, str(self._arrays.path), on_error="return")
        for worker, answer in found.items():
            if isinstance(answer, ImportError):
                raise Unreachable(
                    f"Worker {worker} lacks a dependency ({answer}). Install facesets {__version__} there, "
                    "with its extra 'scale'."
                )
            if isinstance(answer, Exception):
                raise Unreachable(f"Worker {worker} failed: {answer}") from answer
            fingerprint, sees = answer
            if fingerprint != _fingerprint():
                raise _unfit(worker)
            if not sees:
                raise _unseen(f"Worker {worker}", self._arrays.path)

    def each(
        self, work: Callable[..., Found], arrays: Sequence[Any], tasks: Iterable[Any]
    ) -> Iterator[Found]:
        """Compute tasks, as `Engine.each`.

        Raises
        ------
        Unreachable
            There are no workers left, or one of them is unfit.
        FacesetsError
            Several workers died of one task.
        """
        running: deque[Future] = deque()
        most = max(4, _AHEAD * sum(self._client.nthreads().values()))
        with self._arrays.lent(arrays, flushed=self._is_remote) as stored:
            try:
                for task in tasks:
                    running.append(
                        self._client.submit(_computed, _fingerprint(), work, stored, task, pure=False)
                    )
                    if len(running) >= most:
                        yield self._result(running.popleft())
                while running:
                    yield self._result(running.popleft())
            finally:
                # The caller may stop early.
                self._client.cancel(list(running))

    def empty(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """Return an array mapped to a file, as `Engine.empty`."""
        return self._arrays.empty(shape, dtype)

    def in_order(self, rows: Float32, order: Int32) -> Rows:
        """Return a reordered copy, as `Engine.in_order`, so that workers read contiguous parts."""
        laid: Float32 = self._arrays.empty(rows.shape, rows.dtype)
        for start in range(0, len(order), _LAID_ROWS):
            laid[start : start + _LAID_ROWS] = rows[order[start : start + _LAID_ROWS]]
        return laid

    def _result(self, future: Future) -> Any:  # noqa: ANN401 - whatever the task finds
        without = 0
        while True:
            try:
                return future.result(timeout=_PATIENCE_S)
            except TimeoutError as error:
                without = 0 if self._client.nthreads() else without + 1
                if without == _WITHOUT_WORKERS:
                    raise _without_workers() from error
            except KilledWorker as error:
                raise FacesetsError(
                    "Several workers died on the same part of the work, most likely because they ran out "
                    "of memory. Give each worker more memory, or start fewer per machine."
                ) from error
            except _Unfit as error:
                raise _unfit(str(error)) from error
            except (FileNotFoundError, PermissionError) as error:
                raise _unseen("A worker", self._arrays.path) from error
            except CancelledError as error:
                raise Unreachable(
                    "The dask scheduler ended before the work was done. Start it again, then run the "
                    "same command again."
                ) from error


class _Unfit(Exception):
    """A worker computes differently from this process."""


def _computed(
    fingerprint: str, work: Callable[..., Found], stored: tuple[StoredArray, ...], task: object
) -> Found:
    """Compute a task in a worker."""
    from distributed import get_worker

    if fingerprint != _fingerprint():
        raise _Unfit(get_worker().address)
    with on_one_core():
        return work(*stored, task)


def _fitness(folder: str) -> tuple[str, bool]:
    return _fingerprint(), os.access(folder, os.R_OK | os.X_OK)


@cache
def _fingerprint() -> str:
    """Return the program's version and a checksum of products as this machine rounds them."""
    rng = np.random.default_rng(0)
    digest = hashlib.sha256()
    with on_one_core():
        for height, width in _TRIED_SHAPES:
            left, right = (rng.standard_normal((rows, _DIMENSION), np.float32) for rows in (height, width))
            digest.update((left @ right.T).tobytes())
        precise = rng.standard_normal((2, height, _DIMENSION))
        digest.update(np.einsum("ij,ij->i", *precise).tobytes())
    return f"{__version__} {digest.hexdigest()}"


def _unfit(worker: str) -> Unreachable:
    return Unreachable(
        f"Worker {worker} would compute different results because its arithmetic rounds differently. Give "
        f"it facesets {__version__}, the same numpy, and the OPENBLAS_CORETYPE that {Command('doctor')} "
        "prints here."
    )


def _unseen(process: str, folder: Path) -> Unreachable:
    return Unreachable(
        f"{process} cannot see {folder.parent}. Use {Field('shards')} to name a folder that this machine and "
        "all workers see at the same path, and start the workers under the account of this run."
    )


def _without_workers() -> Unreachable:
    return Unreachable(
        "The dask scheduler has no workers. Start some with `dask worker ADDRESS`, then run the same "
        "command again."
    )
