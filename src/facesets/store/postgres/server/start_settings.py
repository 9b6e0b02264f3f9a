"""What the embedded server is told at every start, whatever its own configuration says."""

from facesets.store.postgres.server.sizing import shared_buffers_mb

_WRITES_NO_VALUES = (
    "log_error_verbosity=terse",
    "log_min_error_statement=panic",
    "log_parameter_max_length_on_error=0",
)
"""Of an error the log has its first line: details and statements may hold names, and a log forgets nobody."""


def start_settings() -> list[str]:
    """Arguments for the server.

    They come with each start, for the library may have come from a larger machine, into a smaller container,
    or from an earlier version of the program.
    """
    memory = f"shared_buffers={shared_buffers_mb()}MB"
    return [f"-c{setting}" for setting in (memory, *_WRITES_NO_VALUES)]
