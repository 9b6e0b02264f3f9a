"""The server: one process, one socket, and an end as soon as somebody wants one."""

import asyncio
import errno
import gc
import ipaddress
import signal
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TypeAlias

import uvicorn
from starlette.types import ASGIApp

from facesets.errors import AlreadyRunning, Command, Field, WrongUsage
from facesets.files import printable
from facesets.stop import HANGUP
from facesets.web.connections import PatientConnection

# What is served, for callers that know no web framework.
App: TypeAlias = ASGIApp

_BACKLOG = 256
_ANSWERS_END_WITHIN_S = 0.3
_SIGNALS = (signal.SIGINT, signal.SIGTERM, *HANGUP)


def bound_socket(host: str, port: int) -> socket.socket:
    """A socket that nobody else has; port 0 takes any that is free.

    Raises
    ------
    AlreadyRunning
        Another program has the port.
    WrongUsage
        The address is none of this machine, or the port is not for this user.
    """
    try:
        (family, kind, _, _, address), *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        # Without the protocol's number asyncio leaves Nagle's algorithm on: 40 ms for every answer.
        bound = socket.socket(family, kind, socket.IPPROTO_TCP)
    except (OSError, ValueError) as error:
        # A name with a part that is too long, say, is a ValueError.
        reason = getattr(error, "strerror", None) or "it is no name of a machine"
        raise WrongUsage(f"{printable(host)} is no address of this machine: {reason}.") from error
    try:
        # On Windows a second program could take the port of a socket that is reusable as elsewhere.
        alone = getattr(socket, "SO_EXCLUSIVEADDRUSE", socket.SO_REUSEADDR)
        bound.setsockopt(socket.SOL_SOCKET, alone, 1)
        bound.bind(address)
        # At once: until somebody listens, the system lets a second program have the same port.
        bound.listen(_BACKLOG)
    except OSError as error:
        bound.close()
        if error.errno == errno.EADDRINUSE:
            raise AlreadyRunning(
                f"Port {port} of {printable(host)} is in use, perhaps by another {Command('serve')}. Give "
                f"{Field('port', 'PORT')}."
            ) from error
        raise WrongUsage(
            f"Cannot listen on {printable(host)} port {port}: {error.strerror or error}. Choose another port."
        ) from error
    return bound


def is_loopback(bound: socket.socket) -> bool:
    """Whether nobody but this machine reaches a socket, whatever the name was that led to it."""
    return ipaddress.ip_address(bound.getsockname()[0].partition("%")[0]).is_loopback


def address_of(bound: socket.socket) -> str:
    """What to type into a browser."""
    host, port = bound.getsockname()[:2]
    if host in {"0.0.0.0", "::"}:  # noqa: S104 - compared, not listened on
        host = socket.gethostname()
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def server_of(app: ASGIApp) -> uvicorn.Server:
    """The server that answers with an application, wherever it is run."""
    return _Server(_config(app), lambda: None)


def serve(app: ASGIApp, bound: socket.socket, *, when_ready: Callable[[], None]) -> int:
    """Answer until a signal ends it; returns its number.

    Parameters
    ----------
    when_ready : function
        Called once connections are accepted.
    """
    server = _Server(_config(app), when_ready)
    # What is there now stays: to look through it for garbage would hold up an answer for a tenth of a second.
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
    """Says when it is ready, and ends at once."""

    def __init__(self, config: uvicorn.Config, when_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._when_ready = when_ready
        self.ended_by = 0

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to listen."""
        await super().startup(sockets)
        self._when_ready()

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """End at a signal, and leave to others what follows."""

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
        """Take no further connections, and end those that are there: what is being answered has a moment."""
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
