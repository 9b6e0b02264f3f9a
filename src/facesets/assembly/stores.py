"""Open a cache or library from a file name, a connection string, or neither."""

import queue
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from facesets.assembly.notices import Notices
from facesets.errors import Command, Unreachable, WrongUsage
from facesets.settings import LlmSettings, Settings
from facesets.work import Work

if TYPE_CHECKING:
    from facesets.interfaces import Store
    from facesets.operations.models.finding import DoctorFinding
    from facesets.store.npz.cache import Cache
    from facesets.store.postgres.connection import Database
    from facesets.store.postgres.library import Library
    from facesets.store.postgres.server.embedded import EmbeddedServer

_EMBEDDED_LABEL = "the library"
_WAIT_S = 30.0
_RECONNECT_WITHIN_S = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LibraryWork(Work):
    """Work on a library.

    Attributes
    ----------
    library : Library
        The library, with a session of its own.
    llm : LlmSettings or None
        Settings of the language model; None for those of the environment.
    """

    library: "Library"
    settings: Settings
    notices: Notices
    llm: LlmSettings | None = None

    @property
    def session(self) -> "Database":
        """Return the session of the library."""
        return self.library.database


def open_cache(path: Path) -> "Cache":
    """Open the cache at a path, existing or not. Raises `WrongUsage` for a folder."""
    from facesets.files import path_of_cache
    from facesets.store.npz.cache import Cache

    found = path_of_cache(path)
    if not found.name:
        raise WrongUsage(f"{path} is a folder. A cache is a file, such as faces.npz.")
    return Cache(found)


def embedded_server(settings: Settings, notices: Notices) -> "EmbeddedServer":
    """Return the embedded server; nothing is started yet."""
    from facesets.store.postgres.server.embedded import EmbeddedServer

    directory = _embedded_directory(settings)
    return EmbeddedServer(directory, say=notices.notice, is_stopping=notices.is_stopping)


def _embedded_directory(settings: Settings) -> Path:
    from facesets.store.postgres.server.embedded import default_directory

    return settings.data / "postgres" if settings.data else default_directory()


def database_findings(database: str | None, settings: Settings, notices: Notices) -> "list[DoctorFinding]":
    """Return the findings of `doctor` on the library's database; no server is started."""
    from facesets.operations.library.doctor_database import look_at, look_at_embedded

    if text := named_database(database, settings):
        return look_at(text)
    server = embedded_server(settings, notices)
    directory = _embedded_directory(settings)
    return look_at_embedded(server, directory, _EMBEDDED_LABEL) if server.is_made else []


def named_database(database: str | None, settings: Settings) -> str:
    """Return the connection string from flag or setting; empty for the embedded server.

    Raises
    ------
    WrongUsage
        A setting is empty, such as an unset variable, so the embedded server may not be intended.
    """
    if not database and settings.blank_database:
        raise WrongUsage(
            f"{settings.blank_database} is empty. Set it to the address of a database, or unset it to "
            "use the embedded server."
        )
    return database or settings.database


def has_library(database: str | None, settings: Settings, notices: Notices) -> bool:
    """Whether a database is named or the embedded server has data."""
    return bool(named_database(database, settings)) or embedded_server(settings, notices).is_made


@contextmanager
def database_url(database: str | None, settings: Settings, notices: Notices) -> Iterator[str]:
    """Yield the connection string; without one, the embedded server runs during the block."""
    text = named_database(database, settings)
    if text:
        yield text
        return
    with embedded_server(settings, notices) as server:
        yield server.conninfo


@contextmanager
def open_database(
    database: str | None, settings: Settings, notices: Notices, *, check_schema: bool = True
) -> "Iterator[Database]":
    """Open a session with the library.

    The embedded server's schema is upgraded automatically; any other needs `facesets migrate`.

    Raises
    ------
    Unreachable, WrongUsage
        The server does not answer, or refuses.
    SchemaOutdated
        The schema needs `facesets migrate`; not raised when `check_schema` is off.
    """
    from facesets.store.postgres.connection import Database, opened
    from facesets.store.postgres.migrate import migrate, require_current, shipped_migrations

    text = named_database(database, settings)
    if text:
        with opened(Database(text, is_stopping=notices.is_stopping)) as session:
            if check_schema:
                require_current(session, shipped_migrations())
            yield session
        return
    with embedded_server(settings, notices) as server:
        session = Database(
            server.conninfo,
            label=_EMBEDDED_LABEL,
            before_connecting=server.ensure_running,
            is_stopping=notices.is_stopping,
        )
        with opened(session):
            if check_schema:
                migrate(session, shipped_migrations())
            yield session


@contextmanager
def open_store(
    cache: Path | None, database: str | None, settings: Settings, notices: Notices, *, alone: str = ""
) -> "Iterator[Store]":
    """Open the cache if one is given, else the library; see `open_database` for errors.

    Parameters
    ----------
    alone : str
        A command that may run only once at a time on a library; a cache checks this itself.

    Raises
    ------
    AlreadyRunning
        Another run of it works on the library.
    WrongUsage
        There is neither cache nor library.
    """
    if cache is not None:
        yield open_cache(cache)
        return
    if not has_library(database, settings, notices):
        index = Command("index", "DIR")
        raise WrongUsage(
            f"There is no library yet. Give a cache first, such as facesets-out/faces.npz, or run {index}."
        )
    from facesets.store.postgres.claims import RunLock
    from facesets.store.postgres.library import Library

    with (
        open_database(database, settings, notices) as session,
        RunLock(session, alone) if alone else nullcontext(),
    ):
        yield Library(session)


@contextmanager
def open_queue(database: str | None, settings: Settings, notices: Notices) -> "Iterator[Database]":
    """Open a session with a library that has a job queue, creating it on the embedded server.

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


class Sessions:
    """A bounded pool of sessions. Safe to use from several threads."""

    def __init__(self, connect: "Callable[[], Database]", max_sessions: int) -> None:
        """Lend at most `max_sessions` sessions, which `connect` makes on first use."""
        self._connect = connect
        self._free: queue.LifoQueue[Database | None] = queue.LifoQueue()
        for _ in range(max_sessions):
            self._free.put(None)
        self._max_sessions = max_sessions

    @contextmanager
    def lent(self) -> "Iterator[Database]":
        """Lend a session for the block; broken sessions are not reused.

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
        """Open another session for long work in the block. Raises `Unreachable`."""
        session = self._connect()
        try:
            yield session
        finally:
            session.close()

    def close(self) -> None:
        """Close all sessions that are not lent."""
        for _ in range(self._max_sessions):
            try:
                session = self._free.get_nowait()
            except queue.Empty:
                return
            if session is not None:
                session.close()


def few_connections(session: "Database", wanted: int) -> str:
    """Warn if a server lacks connections; empty if it has enough."""
    from facesets.store.postgres.claims import room

    room_left = session.run(room)
    if not room_left.lacks(wanted):
        return ""
    return (
        f"The server of {session.label} has only {room_left.free} of {room_left.limit} connections free, but "
        f"this command would use {wanted}, so it takes longer. Raise max_connections, or close other "
        "programs that use the server."
    )


@contextmanager
def open_sessions(
    database: str | None, settings: Settings, notices: Notices, *, max_sessions: int
) -> Iterator[Sessions]:
    """Open a pool of sessions with the library; see `open_database` for errors.

    Requests wait for a lost server for a shorter time than a run.

    Parameters
    ----------
    max_sessions : int
        Maximum number of sessions lent at a time; fewer if the server or this machine allows fewer.
    """
    from facesets.store.postgres.claims import room

    with ExitStack() as stack:
        first = stack.enter_context(open_database(database, settings, notices))
        if sentence := few_connections(first, max_sessions):
            notices.notice(sentence)
        share = first.run(room).share(max_sessions)
        sessions = Sessions(lambda: first.another(reconnect_within_s=_RECONNECT_WITHIN_S), share)
        stack.callback(sessions.close)
        yield sessions
