"""Connections to the library: how they are named, made and made again."""

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
"""What comes of a server that is asked by others than `Database`."""
P = ParamSpec("P")
T = TypeVar("T")
_Query = LiteralString | bytes | sql.SQL | sql.Composed

_CONNECT_TIMEOUT_S = 15
_RECONNECT_WITHIN_S = 120.0
_RECONNECT_EVERY_S = 0.5
_CONFLICT_ATTEMPTS = 10
_FIRST_ATTEMPTS = 5

# Somebody else stored the same meanwhile, or deleted what it belongs to: the next attempt sees that.
_INTERFERENCE = (
    errors.SerializationFailure,
    errors.DeadlockDetected,
    errors.UniqueViolation,
    errors.ForeignKeyViolation,
)

# The server notices within a minute that a client's machine died, and lets go of what it claimed.
_SESSION = """SELECT set_config('tcp_keepalives_idle', '30', false),
    set_config('tcp_keepalives_interval', '10', false), set_config('tcp_keepalives_count', '3', false),
    set_config('tcp_user_timeout', '60000', false), set_config('client_min_messages', 'warning', false)"""

# And we notice as soon that the server's machine died; by itself the system takes two hours.
_NOTICE_DEATH = {
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "60000",
}


class Connection(psycopg.Connection[TupleRow]):
    """A session with a server, which gives single values and rows as well."""

    def one(self, query: _Query, params: Params | None = None, *, prepare: bool | None = None) -> TupleRow:
        """The row of a statement that always gives one."""
        row = self.execute(query, params, prepare=prepare).fetchone()
        if row is None:
            raise LookupError("the statement gave no row")
        return row

    def scalar(self, query: _Query, params: Params | None = None) -> Any:  # noqa: ANN401 - whatever the column holds
        """The first value of the first row; None where there is no row."""
        return self.cursor(row_factory=scalar_row).execute(query, params).fetchone()

    def scalars(self, query: _Query, params: Params | None = None) -> list[Any]:
        """The first value of every row."""
        return self.cursor(row_factory=scalar_row).execute(query, params).fetchall()


def check_conninfo(text: str) -> str:
    """Return a connection string that can be used as it is.

    Raises
    ------
    WrongUsage
        It is malformed. The sentence repeats nothing of it, for it may hold a password.
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
        "That is no URL of a database. Give one such as postgresql://user:password@host:5432/name; special "
        "characters in the password are written as %40 for @, %2F for /, and so on."
    )


def label_of(text: str) -> str:
    """What to call a database in messages: host, port and name, never user or password."""
    parts = conninfo.conninfo_to_dict(text)
    host = parts.get("host") or parts.get("hostaddr") or "localhost"
    port = f":{parts['port']}" if parts.get("port") else ""
    return f"the database {parts.get('dbname') or parts.get('user') or ''} at {host}{port}"


def _with_defaults(text: str, defaults: Mapping[str, str]) -> str:
    """A connection string with these parameters where it does not say them itself."""
    said = conninfo.conninfo_to_dict(text)
    return conninfo.make_conninfo(text, **{n: value for n, value in defaults.items() if n not in said})


def with_search_path(text: str, path: str) -> str:
    """A connection string with which names are looked for in these schemas, and a dead server is noticed."""
    said = str(conninfo.conninfo_to_dict(text).get("options") or "")
    text = _with_defaults(text, _NOTICE_DEATH)
    return conninfo.make_conninfo(text, options=f"{said} -c search_path={path}".strip())


class Database:
    """One session with the server, made again when the server was unavailable.

    Work is handed over as a function of the connection, and is one transaction. When the connection
    breaks, the function runs again on a new one: so whatever it does must give the same when it is done
    twice. May be used from several threads; they take turns, and wait together for a server that is
    unavailable. Once it was waited for in vain, all further work fails at once.
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
            What to call it in messages, in place of host and name.
        before_connecting : callable, optional
            Called before every attempt, to start the server where that is ours to do.
        reconnect_within_s : float
            How long a server may be unavailable while work is going on.
        is_stopping : callable
            Whether to wait for it no longer.

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
        self._is_gone = False
        self._lock = threading.RLock()
        self._on_connect: list[Callable[[Connection], None]] = []
        self._require: Callable[[Connection], None] | None = None
        self.recorded: list[int] = []
        self._connection = self._first_connection()

    @property
    def conninfo(self) -> str:
        """What it connects with; may hold a password."""
        return self._text

    def another(self, *, reconnect_within_s: float) -> "Database":
        """A further session with the same server, which waits so long for it when it is unavailable."""
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
        """Call this on every new connection, to take locks again that died with the old one."""
        self._on_connect.append(restore)

    @contextmanager
    def requiring(self, require: Callable[[Connection], None]) -> Iterator[None]:
        """Begin each transaction within the block by this, which raises where the rest must not be done."""
        self._require = require
        try:
            yield
        finally:
            self._require = None

    def run(self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do some work with these in a transaction, again if the connection breaks or another one interferes.

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
                if self._is_gone:
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
        """Do some work in no transaction, once, for statements that allow none.

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
        """Connect at once; a server that is ours to start may be killed in between, and is tried again."""
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
                    self._is_gone = True
                    self._connection.close()
                    raise self._lost() from None
                time.sleep(_RECONNECT_EVERY_S)
            else:
                return

    def _lost(self) -> Unreachable:
        return Unreachable(
            f"Lost the connection to {self.label}, and it did not come back. What was committed "
            "is kept: do the same again when the server is up."
        )


def set_up_session(connection: Connection) -> None:
    """Give a session the settings that all of ours have, and let vectors pass as arrays."""
    connection.execute(_SESSION)
    pass_vectors(connection)


def pass_vectors(connection: Connection) -> None:
    """Take arrays for vectors, and give these as pgvector's `Vector`, where the database knows the type."""
    if (vector := TypeInfo.fetch(connection, "vector")) is not None:
        register_vector_info(connection, vector)


def now(connection: Connection) -> datetime:
    """The time by the server's clock."""
    found: datetime = connection.scalar("SELECT now()")
    return found


opened = closing
"""Closes a session at the end of the block."""
