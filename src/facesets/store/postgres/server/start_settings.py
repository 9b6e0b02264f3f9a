"""Settings of the embedded server at every start, whatever its own configuration says."""

from facesets.machine import processors
from facesets.store.postgres.server.sizing import shared_buffers_mb

_WRITES_NO_VALUES = (
    "log_error_verbosity=terse",
    "log_min_error_statement=panic",
    "log_parameter_max_length_on_error=0",
)
"""Of an error the log has its first line: details and statements may hold names, and a log forgets nobody."""

_OTHER_WORKERS = 8
"""Processes of the server besides those that work on one statement together."""


def start_settings() -> list[str]:
    """Arguments for the server.

    They come with each start, for the library may have come from a larger machine, into a smaller container,
    or from an earlier version of the program.
    """
    memory = f"shared_buffers={shared_buffers_mb()}MB"
    at_work = processors()
    workers = (f"max_parallel_workers={at_work}", f"max_worker_processes={at_work + _OTHER_WORKERS}")
    return [f"-c{setting}" for setting in (memory, *workers, *_WRITES_NO_VALUES)]
