"""The server: one process, one socket, and a quick shutdown.

Slow clients lose their connections, so that they don't block others. Uvicorn limits how long a connection may
idle between two requests, but not how long a request's head takes, how long a client takes to read an
answer, nor how long it keeps sending a refused request.
"""

import asyncio
import errno
import gc
import ipaddress
import signal
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, TypeAlias

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from facesets.errors import AlreadyRunning, Command, Field, WrongUsage
from facesets.files import printable
from facesets.web.middleware import safe_headers
from facesets.work import HANGUP

# What is served, for callers that know no web framework.
App: TypeAlias = ASGIApp

_BACKLOG = 256
_ANSWERS_END_WITHIN_S = 0.3
_SIGNALS = (signal.SIGINT, signal.SIGTERM, *HANGUP)
MOST = 500
"""Maximum connections; a further one replaces the one that is idle longest."""
HEAD_WITHIN_S = 15.0
READ_WITHIN_S = 30.0
_REFUSED_BODY_WITHIN_S = 3.0
_LEAVES_WITHIN_S = 5.0


def bound_socket(host: str, port: int) -> socket.socket:
    """Return a socket that no other program has; port 0 takes any free port.

    Raises
    ------
    AlreadyRunning
        Another program uses the port.
    WrongUsage
        The address is not of this machine, or this user may not use the port.
    """
    try:
        (family, kind, _, _, address), *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        # Without the protocol's number asyncio leaves Nagle's algorithm on: 40 ms for every answer.
        bound = socket.socket(family, kind, socket.IPPROTO_TCP)
    except (OSError, ValueError) as error:
        # A name with a part that is too long, say, is a ValueError.
        reason = getattr(error, "strerror", None) or "it is not a host name"
        raise WrongUsage(f"{printable(host)} is not an address of this machine: {reason}.") from error
    try:
        # On Windows a second program could take the port of a socket that is reusable as elsewhere.
        alone = getattr(socket, "SO_EXCLUSIVEADDRUSE", socket.SO_REUSEADDR)
        bound.setsockopt(socket.SOL_SOCKET, alone, 1)
        bound.bind(address)
        # At once: until a program listens, the system lets a second one bind the same port.
        bound.listen(_BACKLOG)
    except OSError as error:
        bound.close()
        if error.errno == errno.EADDRINUSE:
            raise AlreadyRunning(
                f"Port {port} on {printable(host)} is in use, perhaps by another {Command('serve')}. To "
                f"choose a different one, use {Field('port', 'PORT')}."
            ) from error
        raise WrongUsage(
            f"Cannot listen on {printable(host)} port {port}: {error.strerror or error}. Choose another port."
        ) from error
    return bound


def is_loopback(bound: socket.socket) -> bool:
    """Return whether only this machine can reach a socket."""
    return ipaddress.ip_address(bound.getsockname()[0].partition("%")[0]).is_loopback


def address_of(bound: socket.socket) -> str:
    """Return the address for a browser."""
    host, port = bound.getsockname()[:2]
    if host in {"0.0.0.0", "::"}:  # noqa: S104 - compared, not listened on
        host = socket.gethostname()
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class PatientConnection(H11Protocol):
    """A connection with time limits for everything that its client does."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._sending: asyncio.TimerHandle | None = None
        self._reading: asyncio.TimerHandle | None = None
        self._rests_since = self.loop.time()

    @property
    def _rests(self) -> bool:
        """Whether nothing is being answered."""
        return self.conn.our_state not in {h11.SEND_RESPONSE, h11.SEND_BODY}

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start a connection; if there are too many, close the one that is idle longest."""
        if len(self.connections) >= MOST:
            resting = [
                each for each in self.connections if isinstance(each, PatientConnection) and each._rests
            ]
            if not resting:
                transport.abort()
                self.transport = transport
                return
            min(resting, key=lambda each: each._rests_since).transport.abort()
        super().connection_made(transport)
        self._watch_sending()

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the time limits."""
        self._unwatch_sending()
        self._unwatch_reading()
        if self.flow is not None:
            super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Receive data."""
        super().data_received(data)
        self._watch_sending()

    def on_response_complete(self) -> None:
        """Become idle, or wait briefly for the rest of a refused request."""
        self._rests_since = self.loop.time()
        super().on_response_complete()
        self._watch_sending()

    def _watch_sending(self) -> None:
        """Limit the time of a head from its first byte; less for a body that is dropped."""
        if self.transport.is_closing() or self.conn.their_state is h11.ERROR:
            return
        is_dropped = self.conn.their_state is h11.SEND_BODY and self._rests
        if self.conn.their_state is not h11.IDLE and not is_dropped:
            self._unwatch_sending()
        elif self._sending is None:
            within = _REFUSED_BODY_WITHIN_S if is_dropped else HEAD_WITHIN_S
            self._sending = self.loop.call_later(within, self._leave)

    def _unwatch_sending(self) -> None:
        if self._sending is not None:
            self._sending.cancel()
            self._sending = None

    def _unwatch_reading(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    def _leave(self) -> None:
        """End the connection, even if the client does not read the rest."""
        transport = self.transport
        transport.close()
        self.loop.call_later(_LEAVES_WITHIN_S, transport.abort)

    def pause_writing(self) -> None:
        """Start the time limit for a client that reads too slowly."""
        super().pause_writing()
        if self._reading is None:
            self._reading = self.loop.call_later(READ_WITHIN_S, self.transport.abort)

    def resume_writing(self) -> None:
        """End the time limit once the client reads again."""
        self._unwatch_reading()
        super().resume_writing()

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection."""
        if not self.transport.is_closing():
            self._leave()

    def send_400_response(self, msg: str) -> None:
        """Answer invalid HTTP, with the same headers as other answers."""
        headers = [(name.encode(), value.encode()) for name, value in safe_headers("")]
        headers += [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
        # During an answer, a second one would be taken for a part of it.
        if self.conn.our_state is h11.IDLE:
            parts = (
                h11.Response(status_code=400, headers=headers, reason=b"Bad Request"),
                h11.Data(data=msg.encode("ascii")),
                h11.EndOfMessage(),
            )
            for part in parts:
                self.transport.write(self.conn.send(part) or b"")
        self._leave()


def server_of(app: ASGIApp) -> uvicorn.Server:
    """Return a server for an application."""
    return _Server(_config(app), lambda: None)


def serve(app: ASGIApp, bound: socket.socket, *, when_ready: Callable[[], None]) -> int:
    """Serve until a signal ends it; returns the number of the signal.

    Parameters
    ----------
    when_ready : function
        Called once connections are accepted.
    """
    server = _Server(_config(app), when_ready)
    # Collecting garbage among the objects of the start would delay an answer by a tenth of a second.
    gc.freeze()
    asyncio.run(server.serve(sockets=[bound]))
    return server.ended_by


def _config(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=PatientConnection,
        ws="none",
        access_log=False,
        log_level="critical",
        lifespan="off",
        server_header=False,
        proxy_headers=False,
        backlog=_BACKLOG,
        timeout_keep_alive=15,
    )


class _Server(uvicorn.Server):
    """A server that reports when it is ready, and ends at once."""

    def __init__(self, config: uvicorn.Config, when_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._when_ready = when_ready
        self.ended_by = 0

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start listening."""
        await super().startup(sockets)
        self._when_ready()

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Shut down at a signal, and restore the handlers afterwards."""

        def end(number: int, _frame: object) -> None:
            self.ended_by = number
            self.should_exit = True

        try:
            before = {number: signal.signal(number, end) for number in _SIGNALS}
        except ValueError:
            # Only the main thread gets signals.
            before = {}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close all connections, after a moment for pending answers."""
        for server in self.servers:
            server.close()
        for each in sockets or []:
            each.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        tasks = list(self.server_state.tasks)
        if tasks:
            await asyncio.wait(tasks, timeout=_ANSWERS_END_WITHIN_S)
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        for task in list(self.server_state.tasks):
            task.cancel()
