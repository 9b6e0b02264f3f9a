"""Connections to the library: parse, open and reopen them."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from typing import Any, Concatenate, LiteralString, ParamSpec, TypeVar

import psycopg
from pgvector.psycopg.vector import register_vector_info
from psycopg import conninfo, errors, sql
from psycopg.abc import Params
from psycopg.rows import TupleRow, scalar_row
from psycopg.types import TypeInfo

from facesets.errors import Unreachable, WrongUsage
from facesets.store.postgres.refusals import refusal, translated

ServerError = psycopg.Error
"""The error of a server that is used without `Database`."""
P = ParamSpec("P")
T = TypeVar("T")
_Query = LiteralString | bytes | sql.SQL | sql.Composed

_CONNECT_TIMEOUT_S = 15
_RECONNECT_WITHIN_S = 120.0
_RECONNECT_EVERY_S = 0.5
_CONFLICT_ATTEMPTS = 10
_FIRST_ATTEMPTS = 5

# Another session stored the same row, or deleted its parent, meanwhile: the next attempt sees that.
_INTERFERENCE = (
    errors.SerializationFailure,
    errors.DeadlockDetected,
    errors.UniqueViolation,
    errors.ForeignKeyViolation,
)

# The server notices within a minute that a client's machine died, and releases its claims.
_SESSION = """SELECT set_config('tcp_keepalives_idle', '30', false),
    set_config('tcp_keepalives_interval', '10', false), set_config('tcp_keepalives_count', '3', false),
    set_config('tcp_user_timeout', '60000', false), set_config('client_min_messages', 'warning', false)"""

# We notice equally soon that the server's machine died; the system's default is two hours.
_NOTICE_DEATH = {
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "60000",
}


class Connection(psycopg.Connection[TupleRow]):
    """A database session that can return single values and rows."""

    def one(self, query: _Query, params: Params | None = None, *, prepare: bool | None = None) -> TupleRow:
        """Return the row of a statement that always returns exactly one."""
        row = self.execute(query, params, prepare=prepare).fetchone()
        if row is None:
            raise LookupError("the statement gave no row")
        return row

    def scalar(self, query: _Query, params: Params | None = None) -> Any:  # noqa: ANN401 - whatever the column holds
        """Return the first value of the first row; None without rows."""
        return self.cursor(row_factory=scalar_row).execute(query, params).fetchone()

    def scalars(self, query: _Query, params: Params | None = None) -> list[Any]:
        """Return the first value of every row."""
        return self.cursor(row_factory=scalar_row).execute(query, params).fetchall()


def check_conninfo(text: str) -> str:
    """Return a connection string that can be used as it is.

    Raises
    ------
    WrongUsage
        It is malformed. The message does not repeat it, because it may contain a password.
    """
    try:
        parts = conninfo.conninfo_to_dict(text)
    except psycopg.ProgrammingError:
        raise _malformed() from None
    ports = str(parts.get("port") or "5432")
    # A bare @ or / in a password makes libpq take the rest of it for the host, the port or the database.
    misread = any("@" in str(parts.get(name) or "") for name in ("host", "dbname"))
    if misread or not ports.replace(",", "").isdigit():
        raise _malformed()
    return text


def _malformed() -> WrongUsage:
    return WrongUsage(
        "Invalid database URL. Give one such as postgresql://user:password@host:5432/name, with "
        "special characters in the password encoded: %40 for @, %2F for /, and so on."
    )


def label_of(text: str) -> str:
    """Return the name of a database for messages: host, port and name, never user or password."""
    parts = conninfo.conninfo_to_dict(text)
    host = parts.get("host") or parts.get("hostaddr") or "localhost"
    port = f":{parts['port']}" if parts.get("port") else ""
    return f"the database {parts.get('dbname') or parts.get('user') or ''} at {host}{port}"


def _with_defaults(text: str, defaults: Mapping[str, str]) -> str:
    """Add default parameters to a connection string."""
    given = conninfo.conninfo_to_dict(text)
    return conninfo.make_conninfo(text, **{n: value for n, value in defaults.items() if n not in given})


def with_search_path(text: str, path: str) -> str:
    """Add a search path and keepalives to a connection string."""
    options = str(conninfo.conninfo_to_dict(text).get("options") or "")
    text = _with_defaults(text, _NOTICE_DEATH)
    return conninfo.make_conninfo(text, options=f"{options} -c search_path={path}".strip())


class Database:
    """One session with the server, reopened after outages.

    Work is handed over as a function of the connection, and is one transaction. When the connection
    breaks, the function runs again on a new one, so it must be idempotent. May be used from several threads;
    they take turns, and wait together for a server that is unavailable. After one wait in vain, all further
    work fails at once.
    """

    def __init__(
        self,
        text: str,
        *,
        label: str = "",
        before_connecting: Callable[[], None] | None = None,
        reconnect_within_s: float = _RECONNECT_WITHIN_S,
        is_stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        """Connect.

        Parameters
        ----------
        text : str
            Connection string or URL.
        label : str
            The name for messages, in place of host and name.
        before_connecting : callable, optional
            Called before every attempt, to start the server if it is the embedded one.
        reconnect_within_s : float
            How long the server may be unavailable during work.
        is_stopping : callable
            Whether to stop waiting for the server.

        Raises
        ------
        WrongUsage
            The connection string is malformed, or there is no such database.
        Unreachable
            The server does not answer.
        """
        self._text = check_conninfo(text)
        self.label = label or label_of(self._text)
        self._before_connecting = before_connecting
        self._reconnect_within_s = reconnect_within_s
        self._is_stopping = is_stopping
        self._is_lost = False
        self._lock = threading.RLock()
        self._on_connect: list[Callable[[Connection], None]] = []
        self._require: Callable[[Connection], None] | None = None
        self.recorded: list[int] = []
        self._connection = self._first_connection()

    @property
    def conninfo(self) -> str:
        """The connection string; may contain a password."""
        return self._text

    def another(self, *, reconnect_within_s: float) -> "Database":
        """Open another session with the same server."""
        return Database(
            self._text,
            label=self.label,
            before_connecting=self._before_connecting,
            reconnect_within_s=reconnect_within_s,
            is_stopping=self._is_stopping,
        )

    def close(self) -> None:
        """End the session; locks that it holds are released."""
        self._connection.close()

    @property
    def closed(self) -> bool:
        """Whether there is no session at the moment."""
        return self._connection.closed

    def on_connect(self, restore: Callable[[Connection], None]) -> None:
        """Call a function on every new connection, to take lost locks again."""
        self._on_connect.append(restore)

    @contextmanager
    def requiring(self, require: Callable[[Connection], None]) -> Iterator[None]:
        """Start each transaction in the block with a check that may raise."""
        self._require = require
        try:
            yield
        finally:
            self._require = None

    def run(self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run work in a transaction, retrying after a broken connection or a conflict.

        Raises
        ------
        Unreachable
            The server became unavailable and did not come back.
        SchemaOutdated, CannotWrite, WrongUsage
            As `translated`.
        """
        conflicts = 0
        with self._lock:
            while True:
                if self._is_lost:
                    raise self._lost()
                try:
                    with self._connection.transaction():
                        if self._require is not None:
                            self._require(self._connection)
                        return work(self._connection, *args, **kwargs)
                except _INTERFERENCE as error:
                    conflicts += 1
                    if conflicts == _CONFLICT_ATTEMPTS:
                        raise translated(error, self.label) from error
                except psycopg.Error as error:
                    if not self._connection.closed:
                        raise translated(error, self.label) from error
                    self._reconnect()

    def run_alone(
        self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run work once outside a transaction.

        Raises
        ------
        Unreachable, SchemaOutdated, CannotWrite, WrongUsage
            As `translated`.
        """
        with self._lock:
            try:
                return work(self._connection, *args, **kwargs)
            except psycopg.Error as error:
                raise translated(error, self.label) from error

    def _first_connection(self) -> Connection:
        """Connect now; retry if the embedded server was killed meanwhile."""
        for _ in range(_FIRST_ATTEMPTS - 1 if self._before_connecting is not None else 0):
            with suppress(Unreachable):
                return self._connect()
        return self._connect()

    def _connect(self) -> Connection:
        if self._before_connecting is not None:
            self._before_connecting()
        try:
            connection = Connection.connect(
                _with_defaults(self._text, _NOTICE_DEATH),
                autocommit=True,
                connect_timeout=_CONNECT_TIMEOUT_S,
                application_name="facesets",
                client_encoding="UTF8",
            )
            set_up_session(connection)
        except psycopg.OperationalError as error:
            raise refusal(error, self.label) from None
        return connection

    def _reconnect(self) -> None:
        deadline = time.monotonic() + self._reconnect_within_s
        with suppress(psycopg.Error):
            self._connection.close()
        while True:
            try:
                self._connection = self._connect()
                for restore in self._on_connect:
                    restore(self._connection)
            except (Unreachable, psycopg.OperationalError):
                if self._is_stopping() or time.monotonic() + _RECONNECT_EVERY_S > deadline:
                    self._is_lost = True
                    self._connection.close()
                    raise self._lost() from None
                time.sleep(_RECONNECT_EVERY_S)
            else:
                return

    def _lost(self) -> Unreachable:
        return Unreachable(
            f"The connection to {self.label} was lost. Results so far are saved; when the server is "
            "up, run the same command again."
        )


def set_up_session(connection: Connection) -> None:
    """Apply our session settings, and pass embeddings as arrays."""
    connection.execute(_SESSION)
    pass_vectors(connection)


def pass_vectors(connection: Connection) -> None:
    """Register pgvector's type, if the database has it."""
    if (vector := TypeInfo.fetch(connection, "vector")) is not None:
        register_vector_info(connection, vector)


def now(connection: Connection) -> datetime:
    """Return the time of the server's clock."""
    found: datetime = connection.scalar("SELECT now()")
    return found


opened = closing
"""Closes a session at the end of the block."""
