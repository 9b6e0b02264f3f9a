"""A library on a server of its own, removed afterwards or stored for the next run."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from facesets.store.postgres.connection import Database
from facesets.store.postgres.migrate import migrate, shipped_migrations
from facesets.store.postgres.server.embedded import EmbeddedServer


@contextmanager
def throw_away_server() -> Iterator[str]:
    """Start an embedded, crash-safe server; yield the address of an empty library."""
    folder = Path(tempfile.mkdtemp(prefix="fsets."))
    # The server may run as another user.
    folder.chmod(0o755)
    try:
        with EmbeddedServer(folder / "postgres") as server:
            with closing(Database(server.conninfo)) as database:
                migrate(database, shipped_migrations())
            yield server.conninfo
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def throw_away_library() -> Iterator[Database]:
    """Connect to such a library."""
    with throw_away_server() as address, closing(Database(address)) as database:
        yield database


@contextmanager
def kept_library(folder: Path) -> Iterator[Database]:
    """The library of a folder, made empty the first time, brought up to date after that."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    with EmbeddedServer(folder / "postgres") as server:
        database = Database(server.conninfo)
        migrate(database, shipped_migrations())
        yield database
        database.close()
