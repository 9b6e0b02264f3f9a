"""Several sessions with the library at once, for whoever answers many people."""

import queue
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from facesets.assembly.notices import Notices
from facesets.assembly.stores import open_database
from facesets.errors import Unreachable
from facesets.settings import Settings

if TYPE_CHECKING:
    from facesets.store.postgres.connection import Database

_WAIT_S = 30.0
_RECONNECT_WITHIN_S = 3.0


class Sessions:
    """A bounded number of sessions that are lent one at a time. Safe to use from several threads."""

    def __init__(self, connect: "Callable[[], Database]", most: int) -> None:
        """Lend at most `most` sessions, each made by `connect` when it is first needed."""
        self._connect = connect
        self._free: queue.LifoQueue[Database | None] = queue.LifoQueue()
        for _ in range(most):
            self._free.put(None)
        self._most = most

    @contextmanager
    def lent(self) -> "Iterator[Database]":
        """A session for this block alone; one whose server was lost is not lent again.

        Raises
        ------
        Unreachable
            The server does not answer, or all sessions stay in use for long.
        """
        try:
            session = self._free.get(timeout=_WAIT_S)
        except queue.Empty:
            raise Unreachable("The library is busy. Try again in a moment.") from None
        try:
            if session is None or session.closed:
                session = None
                session = self._connect()
            yield session
        finally:
            self._free.put(None if session is None or session.closed else session)

    @contextmanager
    def own(self) -> "Iterator[Database]":
        """A further session for long work, which is ended after this block. Raises `Unreachable`."""
        session = self._connect()
        try:
            yield session
        finally:
            session.close()

    def close(self) -> None:
        """End all sessions that are not lent."""
        for _ in range(self._most):
            try:
                session = self._free.get_nowait()
            except queue.Empty:
                return
            if session is not None:
                session.close()


def few_connections(session: "Database", wanted: int) -> str:
    """What to say where a server has no room for so many further connections; empty where it has."""
    from facesets.store.postgres.claims import room

    there = session.run(room)
    if not there.lacks(wanted):
        return ""
    return (
        f"The server of {session.label} has room for {there.free} more of {there.limit} connections, "
        f"and this would use {wanted}: it takes longer. Raise max_connections of the server, or end "
        "other programs that use it."
    )


@contextmanager
def open_sessions(
    database: str | None, settings: Settings, notices: Notices, *, most: int
) -> Iterator[Sessions]:
    """Sessions with the library, the first of which is there; see `open_database` for errors.

    Whoever waits for an answer does not wait for a server that was lost as long as a run does.

    Parameters
    ----------
    most : int
        So many are lent at a time; fewer where the server or this machine has no more to give.
    """
    from facesets.store.postgres.claims import room

    with ExitStack() as stack:
        first = stack.enter_context(open_database(database, settings, notices))
        if sentence := few_connections(first, most):
            notices.notice(sentence)
        share = first.run(room).share(most)
        sessions = Sessions(lambda: first.another(reconnect_within_s=_RECONNECT_WITHIN_S), share)
        stack.callback(sessions.close)
        yield sessions
