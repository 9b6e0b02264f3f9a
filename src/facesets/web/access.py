"""Who may look and who may change: sessions in browsers, tokens of programs, and which host names count.

A browser tab of another site can send requests here, but cannot read pages. So what changes something needs
what only our own pages know (a token bound to the session's cookie), or an `Authorization` header, which
no other site can send along. Names that lead here by a foreign DNS server are refused (DNS rebinding).
"""

import base64
import hashlib
import hmac
import ipaddress
import platform
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from urllib.parse import quote

from fastapi import Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

CSRF_HEADER = "x-csrf-token"
_SAFE = {"GET", "HEAD", "OPTIONS"}
_OPEN = ("/static/", "/health", "/login")
"""What may be had without having logged in."""


@dataclass(frozen=True, slots=True)
class Access:
    """Who is let in.

    Attributes
    ----------
    secret : str
        What opens the door, and what sessions are signed with.
    must_log_in : bool
        Whether looking needs it, too; else only changes by programs do.
    hosts : frozenset of str
        Names under which this may be addressed, besides addresses in numbers.
    """

    secret: str = field(repr=False)
    must_log_in: bool
    hosts: frozenset[str] = frozenset()

    def names_us(self, host: str) -> bool:
        """Whether a `Host` header names us. Addresses in numbers need no DNS, so nobody can rebind them."""
        name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
        name = name.lower().rstrip(".")
        if name in self.hosts:
            return True
        try:
            ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return False
        return True

    def opens(self, password: str) -> bool:
        """Whether somebody knows the secret."""
        return hmac.compare_digest(password.strip().encode(), self.secret.encode())

    def new_session(self, *, logged_in: bool) -> str:
        """A session, as its cookie holds it."""
        start = f"{secrets.token_urlsafe(18)}.{int(logged_in)}"
        return f"{start}.{self._signed('session', start)}"

    def is_session(self, cookie: str) -> bool:
        """Whether a cookie is one of ours that lets look."""
        start, _, signature = cookie.rpartition(".")
        is_ours = hmac.compare_digest(signature.encode(), self._signed("session", start).encode())
        return is_ours and (not self.must_log_in or start.endswith(".1"))

    def csrf(self, cookie: str) -> str:
        """The token that changes in a session need."""
        return self._signed("csrf", cookie)

    def _signed(self, what: str, text: str) -> str:
        made = hmac.new(self.secret.encode(), f"{what}\0{text}".encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(made).decode().rstrip("=")


def host_names(others: Iterable[str]) -> frozenset[str]:
    """Names of this machine, and others that the user gives it."""
    return frozenset(name.lower() for name in ("localhost", platform.node(), *others) if name)


class AccessGuard:
    """The middleware that asks `Access`, and gives new visitors a session."""

    def __init__(self, app: ASGIApp, access: Access, cookie: str) -> None:
        """Guard an application; `cookie` is the name of the session's cookie."""
        self._app = app
        self._access = access
        self._cookie = cookie

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if not self._access.names_us(headers.get("host", "")):
            refused = _refused(
                HTTPStatus.MISDIRECTED_REQUEST,
                "This program is not called by that name. Use its address, or start it with that host name.",
            )
            await refused(scope, receive, send)
            return
        session = self._session(headers)
        is_known = session is not None or self._is_authorized(headers)
        refusal = self._refusal(scope, headers, session, is_known=is_known)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        new = None
        if session is None and not self._access.must_log_in:
            session = new = self._access.new_session(logged_in=False)
        scope.setdefault("state", {})["csrf"] = self._access.csrf(session) if session else ""

        async def with_cookie(message: Message) -> None:
            if new is not None and message["type"] == "http.response.start" and _is_page(message):
                MutableHeaders(scope=message).append("set-cookie", session_cookie(self._cookie, new))
            await send(message)

        await self._app(scope, receive, with_cookie)

    def _session(self, headers: Headers) -> str | None:
        try:
            morsel = SimpleCookie(headers.get("cookie", "")).get(self._cookie)
        except CookieError:
            return None
        return morsel.value if morsel is not None and self._access.is_session(morsel.value) else None

    def _is_authorized(self, headers: Headers) -> bool:
        kind, _, value = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            return self._access.opens(value)
        if kind.lower() == "basic":
            try:
                _, _, password = base64.b64decode(value, validate=True).decode().partition(":")
            except ValueError:
                return False
            return self._access.opens(password)
        return False

    def _refusal(
        self, scope: Scope, headers: Headers, session: str | None, *, is_known: bool
    ) -> Response | None:
        path: str = scope["path"]
        if not is_known and self._access.must_log_in and not path.startswith(_OPEN):
            if scope["method"] == "GET" and "text/html" in headers.get("accept", ""):
                return RedirectResponse(f"/login?to={quote(path)}", HTTPStatus.SEE_OTHER)
            return _refused(HTTPStatus.UNAUTHORIZED, "Log in, or send the token: `Authorization: Bearer …`.")
        if scope["method"] in _SAFE or path == "/login" or self._is_authorized(headers):
            return None
        given = headers.get(CSRF_HEADER, "")
        if session is not None and hmac.compare_digest(given.encode(), self._access.csrf(session).encode()):
            return None
        return _refused(
            HTTPStatus.FORBIDDEN,
            "A change needs the token of this page, or an Authorization header. Load the page again.",
        )


def _is_page(message: Message) -> bool:
    return MutableHeaders(scope=message).get("content-type", "").startswith("text/html")


def session_cookie(name: str, value: str) -> str:
    """The header that keeps a session in a browser: no script reads it, no other site sends it."""
    return f"{name}={value}; Path=/; HttpOnly; SameSite=Strict"


def _refused(status: HTTPStatus, sentence: str) -> Response:
    from facesets.web.problems import problem

    response = problem(status, sentence)
    if status == HTTPStatus.UNAUTHORIZED:
        response.headers["www-authenticate"] = "Bearer"
    return response


def csrf_of(request: Request) -> str:
    """The token that pages send along with changes."""
    return str(request.scope.get("state", {}).get("csrf", ""))
