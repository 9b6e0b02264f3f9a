"""A library on a server of its own, which is gone afterwards."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from facesets.store.postgres.connection import Database
from facesets.store.postgres.migrate import migrate, shipped_migrations
from facesets.store.postgres.server.embedded import EmbeddedServer


@contextmanager
def throw_away_library() -> Iterator[Database]:
    """An empty library on an embedded server that is as safe against crashes as a real one."""
    folder = Path(tempfile.mkdtemp(prefix="fsets."))
    # The server may run as another user.
    folder.chmod(0o755)
    try:
        with EmbeddedServer(folder / "postgres") as server:
            database = Database(server.conninfo)
            migrate(database, shipped_migrations())
            yield database
            database.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
