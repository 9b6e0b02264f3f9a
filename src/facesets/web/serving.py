"""The server: one process, one socket, and an end as soon as somebody wants one."""

import asyncio
import socket
from collections.abc import Callable

import uvicorn
from starlette.types import ASGIApp

from facesets.errors import WrongUsage

_MOST_CONNECTIONS = 500
_BACKLOG = 256
_CLOSE_WITHIN_S = 1


def bound_socket(host: str, port: int) -> socket.socket:
    """A socket that nobody else has; port 0 takes any that is free. Raises `WrongUsage`."""
    try:
        (family, *_), *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        bound = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise WrongUsage(f"{host} is no address of this machine: {error.strerror or error}.") from error
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise WrongUsage(
            f"Cannot listen on {host} port {port}: {error.strerror or error}. Choose another port, or 0."
        ) from error
    return bound


def address_of(bound: socket.socket) -> str:
    """What to type into a browser."""
    host, port = bound.getsockname()[:2]
    if host in {"0.0.0.0", "::"}:  # noqa: S104 - compared, not listened on
        host = socket.gethostname()
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(app: ASGIApp, bound: socket.socket, *, when_ready: Callable[[], None]) -> None:
    """Answer until a signal ends it.

    Parameters
    ----------
    when_ready : function
        Called once connections are accepted.
    """
    config = uvicorn.Config(
        app,
        access_log=False,
        log_level="warning",
        lifespan="off",
        server_header=False,
        proxy_headers=False,
        limit_concurrency=_MOST_CONNECTIONS,
        backlog=_BACKLOG,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=_CLOSE_WITHIN_S,
    )
    server = _Server(config, when_ready)
    asyncio.run(server.serve(sockets=[bound]))


class _Server(uvicorn.Server):
    """Says when it is ready."""

    def __init__(self, config: uvicorn.Config, when_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._when_ready = when_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to listen."""
        await super().startup(sockets)
        self._when_ready()
