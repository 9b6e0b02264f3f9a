"""Places for servers of a test's own; a module decides how they are reached."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from tests.fixtures.embedded_server import copy_data, place
from tests.fixtures.postgres import wait_until_unused

from facesets.store.postgres.server.embedded import EmbeddedServer


@pytest.fixture(scope="module")
def loopback() -> bool:
    """Whether servers are reached over loopback, as where there are no sockets."""
    return False


@pytest.fixture(scope="module")
def made(loopback: bool) -> Iterator[Path]:
    """A server with a table that does not run; its data are to be copied, which is quicker than making it."""
    for directory in place(loopback=loopback):
        with EmbeddedServer(directory, durable=False, loopback=loopback) as server:
            with psycopg.connect(server.conninfo) as connection:
                connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
            server.stop()
        wait_until_unused(directory)
        yield directory


@pytest.fixture
def fresh(loopback: bool) -> Iterator[Path]:
    """A place for a server, which is stopped afterwards."""
    yield from place(loopback=loopback)


@pytest.fixture
def base(made: Path, fresh: Path) -> Path:
    """The place of a server that was set up, and is stopped afterwards."""
    copy_data(made, fresh)
    return fresh
