"""Who may look and who may change: sessions in browsers, tokens of programs, and which host names count.

A browser tab of another site can send requests here, but cannot read pages. So what changes something needs
what only our own pages know (a token, together with the session's cookie), or an `Authorization` header with
a bearer token, which no browser sends by itself. Names that lead here by a foreign DNS server are refused
(DNS rebinding), and so is what browsers say that another site made them send.
"""

import base64
import hashlib
import hmac
import math
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import parse_qsl, quote, urlencode

from fastapi import Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from facesets.errors import Command, Field
from facesets.web.attempts import Attempts, client_of
from facesets.web.hosts import is_foreign, is_named
from facesets.web.wording import worded

CSRF_HEADER = "x-csrf-token"
_SAFE = {"GET", "HEAD", "OPTIONS"}
_OPEN = {"/health", "/login"}
_OPEN_BELOW = "/static/"
_SESSION_S = 30 * 86400


class TooManyTries(Exception):
    """Wrong passwords came from there: none counts for so many seconds."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(wait_s)
        self.wait_s = math.ceil(wait_s)

    @property
    def sentence(self) -> str:
        """What to say."""
        unit = "second" if self.wait_s == 1 else "seconds"
        return f"There were too many wrong passwords. Wait {self.wait_s} {unit}, then try again."


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
    is_made : bool
        Whether the program made the secret: nobody guesses that, so it may be tried as often as one likes,
        and a link may carry it.
    kept_in : str
        The file that holds it, where everybody who is refused may hear of that; else empty.
    """

    secret: str = field(repr=False)
    must_log_in: bool
    hosts: frozenset[str] = frozenset()
    is_made: bool = False
    kept_in: str = ""
    attempts: Attempts = field(default_factory=Attempts, repr=False, compare=False)

    def opens(self, password: str, client: str) -> bool:
        """Whether a client knows the secret. Raises `TooManyTries`."""
        is_right = hmac.compare_digest(password.strip().encode(errors="replace"), self.secret.encode())
        if self.is_made:
            # Nobody else on this machine is to shut out its owner by wrong ones.
            return is_right
        wait = self.attempts.wait_s(client)
        if wait:
            raise TooManyTries(wait)
        if is_right:
            self.attempts.succeeded(client)
        else:
            self.attempts.failed(client)
        return is_right

    def link(self, address: str) -> str:
        """What to open at an address of this server, with the token where that is in links."""
        return f"{address}/?token={self.secret}" if self.must_log_in and self.is_made else address

    @property
    def whereabouts(self) -> str:
        """Where the token is, as a further sentence."""
        return f" The token is in {self.kept_in}." if self.kept_in else ""

    def session_cookie(self, name: str, headers: Headers, *, logged_in: bool) -> str:
        """The header that keeps a new session in a browser: no script reads it, no other site sends it.

        Where a proxy says that the browser talks to it by TLS, it is sent by TLS only. Of a token that was
        made it outlives the browser's end: nobody types that each time.
        """
        lasting = f"; Max-Age={_SESSION_S}" if logged_in and self.is_made else ""
        secure = "; Secure" if headers.get("x-forwarded-proto", "").lower() == "https" else ""
        session = self.new_session(logged_in=logged_in)
        return f"{name}={session}; Path=/; HttpOnly; SameSite=Strict{lasting}{secure}"

    def new_session(self, *, logged_in: bool) -> str:
        """A session, as its cookie holds it."""
        start = f"{secrets.token_urlsafe(18)}.{int(time.time())}.{int(logged_in)}"
        return f"{start}.{self._signed('session', start)}"

    def is_session(self, cookie: str) -> bool:
        """Whether a cookie is one of ours, not too old, that lets look."""
        start, _, signature = cookie.rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._signed("session", start).encode()):
            return False
        _, made, logged_in = start.rsplit(".", 2)
        return time.time() - int(made) < _SESSION_S and (logged_in == "1" or not self.must_log_in)

    @property
    def csrf(self) -> str:
        """The token that changes from pages need besides a session.

        It is the same for all sessions: a link from elsewhere opens a page without the cookie, which gets
        another session then, and pages that were open before must go on to work.
        """
        return self._signed("csrf", "")

    def _signed(self, what: str, text: str) -> str:
        made = hmac.new(self.secret.encode(), f"{what}\0{text}".encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(made).decode().rstrip("=")


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
        session = self._session(headers)
        answer = (
            self._misaddressed(scope, headers)
            or self._by_link(scope, headers)
            or self._refusal(scope, headers, session)
        )
        if answer is not None:
            await answer(scope, receive, send)
            return
        is_new = session is None and not self._access.must_log_in
        scope.setdefault("state", {})["csrf"] = self._access.csrf if session or is_new else ""

        async def with_cookie(message: Message) -> None:
            if is_new and message["type"] == "http.response.start" and _is_page(message):
                cookie = self._access.session_cookie(self._cookie, headers, logged_in=False)
                MutableHeaders(scope=message).append("set-cookie", cookie)
            await send(message)

        await self._app(scope, receive, with_cookie)

    def _session(self, headers: Headers) -> str | None:
        found = (value for name, value in _cookies(headers) if name == self._cookie)
        return next((value for value in found if self._access.is_session(value)), None)

    def _misaddressed(self, scope: Scope, headers: Headers) -> Response | None:
        """An answer to what was never meant for this program, or only by another site."""
        if not scope["path"].startswith("/"):
            return _refused(scope, HTTPStatus.BAD_REQUEST, "A request names a path that begins with /.")
        if not is_named(headers.get("host", ""), self._access.hosts):
            return _refused(
                scope,
                HTTPStatus.MISDIRECTED_REQUEST,
                f"This program is not called by that name. Use its address in numbers, or start it by "
                f"{Command('serve', Field('name', 'NAME'))}.",
            )
        if is_foreign(headers, self._access.hosts, changes=scope["method"] not in _SAFE):
            return _refused(
                scope,
                HTTPStatus.FORBIDDEN,
                "Another site sent this request, so nothing was done. Open the page here, and do it there.",
            )
        return None

    def _by_link(self, scope: Scope, headers: Headers) -> Response | None:
        """The answer to a link with a token: the page without it, and a session for the right one.

        So the token is in no history, in no address that a page passes on, and in no message about it.
        """
        if not _opens_page(scope, headers):
            return None
        fields = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        tokens = [value for name, value in fields if name == "token"]
        if not tokens:
            return None
        others = urlencode([(name, value) for name, value in fields if name != "token"])
        to = quote(scope["path"]) + f"?{others}".rstrip("?")
        answer = RedirectResponse(own_address(to), HTTPStatus.SEE_OTHER)
        if self._access.is_made and self._access.opens(tokens[0], client_of(scope)):
            cookie = self._access.session_cookie(self._cookie, headers, logged_in=True)
            answer.headers.append("set-cookie", cookie)
        return answer

    def _refusal(self, scope: Scope, headers: Headers, session: str | None) -> Response | None:
        kind, _, token = headers.get("authorization", "").partition(" ")
        is_program = kind.lower() == "bearer"
        if is_program:
            try:
                if not self._access.opens(token, client_of(scope)):
                    sentence = f"That is not the token.{self._access.whereabouts}"
                    return _refused(scope, HTTPStatus.UNAUTHORIZED, sentence)
            except TooManyTries as error:
                refusal = _refused(scope, HTTPStatus.TOO_MANY_REQUESTS, error.sentence)
                refusal.headers["retry-after"] = str(error.wait_s)
                return refusal
            return None
        path: str = scope["path"]
        is_open = path in _OPEN or path.startswith(_OPEN_BELOW)
        if session is None and self._access.must_log_in and not is_open:
            if _opens_page(scope, headers):
                query = scope.get("query_string", b"").decode("latin-1")
                to = quote(f"{path}?{query}" if query else path)
                return RedirectResponse(f"/login?to={to}", HTTPStatus.SEE_OTHER)
            sentence = f"Log in, or send the token: `Authorization: Bearer TOKEN`.{self._access.whereabouts}"
            return _refused(scope, HTTPStatus.UNAUTHORIZED, sentence)
        if scope["method"] in _SAFE or path == "/login":
            return None
        given = headers.get(CSRF_HEADER, "")
        if session is not None and hmac.compare_digest(given.encode(), self._access.csrf.encode()):
            return None
        return _refused(
            scope,
            HTTPStatus.FORBIDDEN,
            "A change needs a token. Load the page again; programs send `Authorization: Bearer TOKEN`."
            f"{self._access.whereabouts}",
        )


def _cookies(headers: Headers) -> Iterator[tuple[str, str]]:
    """All cookies: other programs on this machine set theirs too, and not all of them are well formed."""
    for header in headers.getlist("cookie"):
        for part in header.split(";"):
            name, _, value = part.partition("=")
            yield name.strip(), value.strip()


def _is_page(message: Message) -> bool:
    return MutableHeaders(scope=message).get("content-type", "").startswith("text/html")


def _opens_page(scope: Scope, headers: Headers) -> bool:
    """Whether somebody asks for a page, to look at it."""
    return scope["method"] in {"GET", "HEAD"} and "text/html" in headers.get("accept", "")


def own_address(address: str) -> str:
    """An address of ours: others would lead whoever logs in to a foreign site."""
    is_own = address.startswith("/") and not address.startswith(("//", "/\\")) and address.isprintable()
    return address if is_own else "/people"


def _refused(scope: Scope, status: HTTPStatus, sentence: str) -> Response:
    from facesets.web.problems import answered

    response = answered(Request(scope), status, worded(sentence))
    if status == HTTPStatus.UNAUTHORIZED:
        response.headers["www-authenticate"] = "Bearer"
    return response


def csrf_of(request: Request) -> str:
    """The token that pages send along with changes."""
    return str(request.scope.get("state", {}).get("csrf", ""))
