"""From settings to the queue of a library."""

from contextlib import contextmanager
from typing import TYPE_CHECKING

from facesets.assembly.notices import Notices
from facesets.assembly.stores import named_database, open_database
from facesets.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from facesets.store.postgres.connection import Database


@contextmanager
def open_queue(database: str | None, settings: Settings, notices: Notices) -> "Iterator[Database]":
    """A session with a library that has a queue. That of the embedded server is made where there is none yet.

    Raises
    ------
    As `open_database`, and as `require_queue`.
    """
    from facesets.store.postgres.queue.schema import install, require_queue

    with open_database(database, settings, notices) as session:
        if named_database(database, settings):
            require_queue(session)
        else:
            install(session)
        yield session
