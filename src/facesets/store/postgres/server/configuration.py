"""Create the data of an embedded server, and its permanent and per-start settings."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from facesets.file_system import patiently
from facesets.machine import memory_bytes, processors
from facesets.store.postgres.server.accounts import make_private, placing
from facesets.store.postgres.server.programs import Programs

USER = "facesets"
"""The server's own superuser."""

_INITDB = ("--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C")
# Bulk loads write far more log than the default keeps.
_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_wal_size": "4GB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "wal_compression": "off",
    "max_connections": "200",
    "log_checkpoints": "off",
    "timezone": "UTC",
}


def make_data(data: Path, programs: Programs, authentication: Sequence[str], *, durable: bool) -> None:
    """Create the data aside and rename it when complete; `authentication` sets who may connect.

    Raises
    ------
    FacesetsError
        `initdb` failed; the sentence gives the reason.
    CannotWrite
        No space or no permission.
    """
    fresh = data.with_name(f"{data.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    make_private(fresh, programs.account)
    durability = [] if durable else ["--no-sync", "-c", "fsync=off", "-c", "full_page_writes=off"]
    settings = [part for name, value in _SETTINGS.items() for part in ("-c", f"{name}={value}")]
    programs.run("initdb", ["-D", fresh, "-U", USER, *authentication, *_INITDB, *durability, *settings])
    with placing(data):
        patiently(os.replace, fresh, data)


_WRITES_NO_VALUES = (
    "log_error_verbosity=terse",
    "log_min_error_statement=panic",
    "log_parameter_max_length_on_error=0",
)
"""Only the first line of an error is logged, because details and statements may contain names."""

_OTHER_WORKERS = 8
"""Processes of the server besides those that work on one statement together."""


def start_settings() -> list[str]:
    """Return the arguments of the server.

    They are passed at each start, because the library may come from a larger machine or an earlier version of
    the program.
    """
    memory = f"shared_buffers={shared_buffers_mb()}MB"
    at_work = processors()
    workers = (f"max_parallel_workers={at_work}", f"max_worker_processes={at_work + _OTHER_WORKERS}")
    return [f"-c{setting}" for setting in (memory, *workers, *_WRITES_NO_VALUES)]


_SHARE, _SHARE_OF_MUCH, _MUCH_MB, _CHUNK_DIVISOR = 1 / 8, 3 / 8, 8192, 1 / 4
_MIN_MB, _MAX_MB = 128, 8192


def shared_buffers_mb(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Return the shared buffers in megabytes, from the memory of the machine or container."""
    return share_mb(memory_bytes(cgroup) // 2**20)


def share_mb(memory_mb: int) -> int:
    """Return the shared buffers in megabytes for an amount of memory, within bounds.

    Beyond 8 GB this is at most the quarter that PostgreSQL's manual advises. It is allocated as needed. A
    search reads several thousand scattered pages of an index or of vectors; if these do not fit, it takes up
    to two and a half times as long. A million faces or photos have 1.6 GB of index and 2.7 GB of vectors.
    """
    of_much = min((memory_mb - _MUCH_MB) * _SHARE_OF_MUCH, memory_mb * _CHUNK_DIVISOR)
    return min(max(int(max(memory_mb * _SHARE, of_much)), _MIN_MB), _MAX_MB)
