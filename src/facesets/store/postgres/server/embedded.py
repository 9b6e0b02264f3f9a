"""The embedded PostgreSQL server: created and started on demand, stopped after its last user.

Layout below its directory: `data/` (the database), `run/` (how it is reached, see `endpoint`),
`log/server.log`, and lock files. Only the server's account and root can open them. Nothing listens on the
network.
"""

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import platformdirs
import psycopg
from psycopg.pq import PGconn, Ping

from facesets.errors import FacesetsError, Unreachable
from facesets.files import is_there, printable
from facesets.store.postgres.refusals import disk_full
from facesets.store.postgres.server import keeper
from facesets.store.postgres.server.accounts import check_reachable, make_private, placing, server_account
from facesets.store.postgres.server.configuration import make_data, start_settings
from facesets.store.postgres.server.endpoint import HAS_SOCKETS, Endpoint, LoopbackEndpoint, SocketEndpoint
from facesets.store.postgres.server.programs import APART, Programs, check_version, programs_for, why_it_ended

DATABASE = "facesets"
_STARTS = 5
_SLOW_AFTER_S = 5.0
_POLL_S = 0.05
_SILENT_FOR_S = 120.0
_RECOVERS_WITHIN_S = 3600.0
_CONNECT_TIMEOUT_S = 10
_PING_TIMEOUT_S = 4


def default_directory() -> Path:
    """Return the default folder of the library.

    The server cannot read below root's home, so root's library is a system-wide one.
    """
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        return Path("/var/lib/facesets/postgres")
    return Path(platformdirs.user_data_path("facesets")) / "postgres"


def _ignore(_line: str) -> None:
    """Ignore a message."""


class EmbeddedServer:
    """The server below one directory, shared by all processes that open it.

    A context manager: while it is open, the server runs. `say` receives messages about long waits.
    """

    def __init__(
        self,
        directory: Path,
        *,
        say: Callable[[str], None] = _ignore,
        durable: bool = True,
        is_stopping: Callable[[], bool] = lambda: False,
        loopback: bool = not HAS_SOCKETS,
    ) -> None:
        """Name the server; nothing is started yet.

        Parameters
        ----------
        say : callable
            Receives a line if a start takes long.
        durable : bool
            Off for temporary servers of tests: a crash of the machine may then lose data.
        is_stopping : callable
            Whether to stop waiting.
        loopback : bool
            Whether to use loopback in place of a socket; must be the same at every start.
        """
        self._base = directory
        self.endpoint: Endpoint = (LoopbackEndpoint if loopback else SocketEndpoint)(directory)
        self._data = directory / "data"
        self._say = say
        self._durable = durable
        self._is_stopping = is_stopping
        self._in_use: IO[bytes] | None = None
        self._logged = 0

    def __enter__(self) -> "EmbeddedServer":
        """Use the server, starting it if needed; see `ensure_running` for errors."""
        self._make_directory()
        with placing(self._base):
            self._in_use = (self._base / "users.lock").open("ab")
        keeper.take(self._in_use, shared=True)
        try:
            self.ensure_running()
            self._ensure_keeper()
        except BaseException:
            self._in_use.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._in_use is not None:
            self._in_use.close()
            self._in_use = None

    @property
    def is_made(self) -> bool:
        """Whether a database was ever created here."""
        return is_there(self._data)

    @property
    def conninfo(self) -> str:
        """The connection string."""
        return self._conninfo(DATABASE)

    @property
    def url(self) -> str:
        """The connection URL."""
        return self.endpoint.url(DATABASE)

    def alive_pid(self) -> int | None:
        """The process of the server, if it may be running."""
        return self.endpoint.alive_pid(self.programs())

    def programs(self) -> Programs:
        """PostgreSQL's programs, run as the server's account."""
        return programs_for(server_account(self._data), self._base)

    def keep_running(self) -> None:
        """Keep the server running after its last user, until `stop`."""
        with placing(self._pinned):
            self._pinned.touch()

    def stop(self) -> bool:
        """Stop the server now, even if in use. Returns whether it ran; see `ensure_running` for errors."""
        if not self.is_made:
            return False
        self._make_directory()
        with self._starting():
            self._pinned.unlink(missing_ok=True)
            if self.alive_pid() is None:
                return False
            try:
                self.programs().run("pg_ctl", ["-D", self._data, "-m", "fast", "-w", "-t", "3600", "stop"])
            except FacesetsError:
                # The keeper may have been quicker.
                if self.alive_pid() is not None:
                    raise
        return True

    def ensure_running(self) -> None:
        """Start the server unless it is running; the first start creates the data.

        Raises
        ------
        FacesetsError
            It cannot be set up or does not start; the message gives the reason.
        Unreachable
            It runs but refuses connections, or did not answer in time.
        DamagedFile, CannotWrite
            Its data is incomplete; no space or no permission.
        """
        refused: psycopg.OperationalError | None = None
        with self._starting():
            for _ in range(_STARTS):
                if self._ping() is not Ping.OK:
                    if not self._data.exists():
                        programs = self.programs()
                        admitted = self.endpoint.authentication(programs.account)
                        make_data(self._data, programs, admitted, durable=self._durable)
                    check_version(self._data, self.programs())
                    self._start()
                # If it is killed between its start and this, it is started again.
                try:
                    self._ensure_database()
                except psycopg.OperationalError as error:
                    refused = error
                    if self.alive_pid() is None:
                        self.endpoint.leave_to_others()
                else:
                    return
        if refused is not None and self._ping() is Ping.OK:
            raise self.endpoint.refusal(refused) from refused
        raise Unreachable(
            f"The embedded PostgreSQL stops as soon as it is used. See the log {printable(self._log)}."
        )

    @property
    def _pinned(self) -> Path:
        return self._base / "pinned"

    @contextmanager
    def _starting(self) -> Iterator[None]:
        """Let only one process start or stop the server."""
        with placing(self._base):
            lock = (self._base / "start.lock").open("ab")
        with lock:
            keeper.take(lock)
            yield

    def _make_directory(self) -> None:
        account = server_account(self._data)
        with placing(self._base):
            for directory in (*reversed(self._base.parents), self._base):
                if not directory.exists():
                    directory.mkdir(exist_ok=True)
                    directory.chmod(0o700 if account.is_me else 0o755)
        check_reachable(self._base, account)
        for directory in (self.endpoint.directory, self._base / "log"):
            make_private(directory, account)

    def _start(self) -> None:
        began = heard = time.monotonic()
        starts = 0
        is_reported = False
        while (answer := self._ping()) is not Ping.OK:
            now = time.monotonic()
            if not is_reported and now - began > _SLOW_AFTER_S:
                self._say("The embedded PostgreSQL is starting; recovery after a crash can take minutes.")
                is_reported = True
            if answer is Ping.REJECT:
                heard = now
            elif self.alive_pid() is None and not self.endpoint.is_taken():
                if starts == _STARTS:
                    raise self._does_not_start()
                starts += 1
                self._pinned.unlink(missing_ok=True)
                self.endpoint.forget_dead()
                self._launch()
                heard = time.monotonic()
            if self._is_stopping():
                raise Unreachable("Stopped while the embedded PostgreSQL was starting. Nothing was changed.")
            if now - heard > _SILENT_FOR_S:
                raise self._does_not_answer()
            if now - began > _RECOVERS_WITHIN_S:
                raise Unreachable(
                    "The embedded PostgreSQL is still recovering; try again later. See the log "
                    f"{printable(self._log)}."
                )
            time.sleep(_POLL_S)

    def _does_not_start(self) -> FacesetsError:
        reason = self._last_words()
        if "No space left" in reason:
            return disk_full(f"the library in {printable(self._base)}")
        return Unreachable(
            f"The embedded PostgreSQL cannot start: “{reason}”. See the log {printable(self._log)}."
        )

    def _does_not_answer(self) -> FacesetsError:
        pid = self.alive_pid()
        if pid is None:
            return Unreachable(
                f"A program outside this container is using the library in {printable(self._base)} "
                "but does not answer. Stop it, then try again."
            )
        return Unreachable(
            f"The embedded PostgreSQL does not answer. It seems to be process {pid}. If so, stop it; "
            f"otherwise remove {printable(self._data / 'postmaster.pid')}, then try again."
        )

    @property
    def _log(self) -> Path:
        return self._base / "log" / "server.log"

    def _launch(self) -> None:
        self._logged = self._log.stat().st_size if is_there(self._log) else 0
        programs = self.programs()
        options = shlex.join([*self.endpoint.options(programs), *start_settings()])
        programs.run("pg_ctl", ["-D", self._data, "-W", "-l", self._log, "-o", options, "start"])
        deadline = time.monotonic() + 1
        while self.alive_pid() is None and time.monotonic() < deadline:
            time.sleep(_POLL_S)

    def _last_words(self) -> str:
        """Return why the server stopped, from its log."""
        with suppress(OSError), self._log.open("rb") as log:
            log.seek(self._logged)
            return why_it_ended(log.read()) or "nothing"
        return "nothing"

    def _ping(self) -> Ping:
        """Return whether the server accepts connections, is starting or stopping, or does not answer.

        A process or a file proves nothing. Any refusal counts as OK, except from a server that starts or
        stops.
        """
        return Ping(PGconn.ping(os.fsencode(self._conninfo("postgres", _PING_TIMEOUT_S))))

    def _conninfo(self, database: str, timeout_s: int | None = None) -> str:
        named: dict[str, Any] = {**self.endpoint.parameters(), "dbname": database}
        return psycopg.conninfo.make_conninfo(**named, connect_timeout=timeout_s)

    def _ensure_database(self) -> None:
        with psycopg.connect(self._conninfo("postgres", _CONNECT_TIMEOUT_S), autocommit=True) as connection:
            there = connection.execute("SELECT 1 FROM pg_database WHERE datname = 'facesets'").fetchone()
            if there is None:
                connection.execute("CREATE DATABASE facesets")

    def _ensure_keeper(self) -> None:
        """Make sure that a process waits to stop the server.

        Call while holding the users' lock; `keeper` explains why the test is then reliable.
        """
        lock = self._base / "keeper.lock"
        with placing(lock), lock.open("ab") as file:
            if not keeper.take(file, wait=False):
                return
        programs = self.programs()
        account = programs.account
        arguments: list[str | Path] = [lock, self._base / "users.lock", self._pinned]
        arguments += [programs.path("pg_ctl"), self._data]
        arguments += ["", ""] if account.is_me else [str(account.uid), str(account.gid)]
        command: list[str | Path] = [sys.executable, "-I", "-S", keeper.__file__, *arguments]
        process = subprocess.Popen(  # noqa: S603 - our own file
            command,
            cwd=programs.directory.anchor,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            creationflags=APART,
        )
        if not hasattr(os, "fork"):
            # It outlives this process, and is not waited for.
            process.returncode = 0
        if process.wait():
            raise FacesetsError("Cannot start the process that stops the embedded PostgreSQL after use.")
