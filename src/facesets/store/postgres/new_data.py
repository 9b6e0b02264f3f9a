"""The data of a new embedded server, and the settings that it keeps for life."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from facesets.file_system import patiently
from facesets.store.postgres.server.programs import Programs, make_private, placing

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
    """Make the data aside and give it its name when it is whole; `authentication` says whom it lets in.

    Raises
    ------
    FacesetsError
        `initdb` failed; the sentence says why.
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
