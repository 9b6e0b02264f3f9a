"""From the engine that a user names to one that computes."""

from collections.abc import Iterator
from contextlib import contextmanager

from facesets.clustering.engine import IN_PROCESS, Engine
from facesets.errors import require_extra
from facesets.operations.options.grouping import EngineOptions
from facesets.settings import Settings


@contextmanager
def open_engine(options: EngineOptions, settings: Settings) -> Iterator[Engine]:
    """Who compares faces during the block: this process, or workers.

    Raises
    ------
    MissingExtra
        Workers are wanted and dask is not installed.
    Unreachable
        The scheduler does not answer, or its workers are not fit.
    CannotWrite
        There is no room for arrays.
    """
    if options.engine is None:
        yield IN_PROCESS
        return
    require_extra("scale")
    from facesets.engines.dask_engine import local_engine, remote_engine

    folder = options.shards or settings.cache_dir / "shards"
    address = options.engine.scheduler
    workers = (
        local_engine(settings.cpus, folder) if address is None else remote_engine(address, folder.absolute())
    )
    with workers as engine:
        yield engine
