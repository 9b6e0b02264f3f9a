"""Middleware for all requests: limits of size and time, security headers, and unexpected errors."""

import asyncio
import logging
from collections.abc import Iterator
from http import HTTPStatus

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from facesets.web.problems import answered

_log = logging.getLogger("facesets.web")

MAX_BODY_BYTES = 1_000_000
_BODY_WITHIN_S = 20.0
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "img-src 'self' data:",
        "style-src 'self'",
        "script-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
_STATIC = "/static/"


class BoundedRequests:
    """Middleware that reads the whole body, within limits of size and time."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on a request whose body arrived in time and is small enough."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if b"%00" in scope.get("raw_path", b"") or b"%00" in scope["query_string"]:
            await _with_zero(scope)(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "0")
        if not declared.isdecimal() or int(declared) > MAX_BODY_BYTES:
            await _too_large(scope)(scope, receive, send)
            return
        try:
            async with asyncio.timeout(_BODY_WITHIN_S):
                body = await _read(receive)
        except TimeoutError:
            sentence = "The request timed out before it arrived completely. Send it again."
            late = answered(Request(scope), HTTPStatus.REQUEST_TIMEOUT, sentence)
            late.headers["connection"] = "close"
            await late(scope, receive, send)
            return
        except _GoneError:
            return
        if body is None:
            await _too_large(scope)(scope, receive, send)
            return
        if b"\0" in body or b"\\u0000" in body:
            await _with_zero(scope)(scope, receive, send)
            return
        is_given = False

        async def again() -> Message:
            nonlocal is_given
            if is_given:
                return await receive()
            is_given = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, again, send)


class _GoneError(Exception):
    """The client disconnected in the middle of a request."""


async def _read(receive: Receive) -> bytes | None:
    """Read the whole body; None if it is too large. Raises `_GoneError`."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _GoneError
        part = message.get("body", b"")
        size += len(part)
        if size > MAX_BODY_BYTES:
            return None
        parts.append(part)
        if not message.get("more_body"):
            return b"".join(parts)


def _with_zero(scope: Scope) -> Response:
    # No valid value has one, and the database accepts it in no text.
    return answered(Request(scope), HTTPStatus.BAD_REQUEST, "The request must not contain a null character.")


def _too_large(scope: Scope) -> Response:
    # The connection stays for a moment: a client that still sends would not see the answer otherwise.
    sentence = f"The request is too large: the limit is {MAX_BODY_BYTES} bytes."
    return answered(Request(scope), HTTPStatus.REQUEST_ENTITY_TOO_LARGE, sentence)


class HeadLikeGet:
    """Middleware that answers HEAD like GET; the server drops the body."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass HEAD on as GET."""
        if scope["type"] == "http" and scope["method"] == "HEAD":
            scope = {**scope, "method": "GET"}
        await self._app(scope, receive, send)


def safe_headers(path: str) -> Iterator[tuple[str, str]]:
    """Return header names and values for a path. Browsers revalidate cached scripts and styles each time."""
    yield from _HEADERS.items()
    yield "cache-control", "no-cache" if path.startswith(_STATIC) else "no-store"


class SafeHeaders:
    """Middleware that adds security headers: only our own scripts, no framing, no caching by default."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Add the headers to the answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in safe_headers(scope["path"]):
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, with_headers)


class Unexpected:
    """Middleware that answers unexpected errors."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer an unexpected error with a sentence, and log it."""
        has_begun = False

        async def noted(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._app(scope, receive, noted)
        except Exception:
            if scope["type"] != "http" or has_begun:
                raise
            _log.exception("%s %s failed", scope["method"], scope["path"])
            sentence = "An unexpected error occurred. See the server's log for details."
            answer = answered(Request(scope), HTTPStatus.INTERNAL_SERVER_ERROR, sentence)
            await answer(scope, receive, send)
