"""From the engine that a user names to one that computes."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

from facesets.clustering.engine import IN_PROCESS, Engine
from facesets.errors import MissingExtra
from facesets.operations.options.engine import EngineOptions
from facesets.settings import Settings

_PARTS = ("dask", "distributed")


def require_engine(options: EngineOptions) -> None:
    """Refuse workers where the optional part of the program is missing, or half of it.

    Raises `MissingExtra`.
    """
    if options.engine is None:
        return
    try:
        for part in _PARTS:
            import_module(part)
    except ImportError as error:
        raise MissingExtra("scale") from error


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
    require_engine(options)
    from facesets.engines.dask_engine import local_engine, remote_engine

    folder = options.shards or settings.cache_dir / "shards"
    address = options.engine.scheduler
    workers = (
        local_engine(settings.cpus, folder) if address is None else remote_engine(address, folder.absolute())
    )
    with workers as engine:
        yield engine
