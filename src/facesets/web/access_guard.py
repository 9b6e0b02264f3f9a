"""Access control: valid host names, permission to read and change, and the login page.

A browser tab of another site can send requests here, but cannot read pages. So a change needs what only our
own pages know (a token, together with the session's cookie), or an `Authorization` header with a bearer
token, which no browser sends by itself. Host names that a foreign DNS server points here are refused (DNS
rebinding), and so are requests that browsers mark as made by another site.
"""

import hmac
import ipaddress
import platform
import re
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from urllib.parse import parse_qs, parse_qsl, quote, urlencode, urlsplit

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from facesets.errors import Command, Field
from facesets.web.access import Access, TooManyTries, client_of
from facesets.web.problems import answered
from facesets.web.render import csrf_of, render, worded

CSRF_HEADER = "x-csrf-token"
_SAFE = {"GET", "HEAD", "OPTIONS"}
_OPEN = {"/health", "/login"}
_OPEN_BELOW = "/static/"
_MAX_FIELDS = 10
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]{1,5})?", re.ASCII)
_OURS = {"same-origin", "none"}
"""The `Sec-Fetch-Site` of requests that no other site made; `none` is the address bar."""

router = APIRouter()


def host_names(others: Iterable[str], *, of_machine: bool) -> frozenset[str]:
    """Return the host names under which the server may be addressed.

    Parameters
    ----------
    of_machine : bool
        Whether the machine's own name is valid, too: only if other machines reach the server. The network's
        DNS can point a name elsewhere.
    """
    node = platform.node()
    names = ("localhost", *others, *((node, f"{node.partition('.')[0]}.local") if of_machine else ()))
    return frozenset(name.lower().rstrip(".") for name in names if name)


def is_named(host: str, names: frozenset[str]) -> bool:
    """Return whether a `Host` header is one of these names or an IP address.

    IP addresses need no DNS, so no other site can point them here.
    """
    found = _HOST.fullmatch(host.lower())
    if found is None:
        return False
    name = found.group(1)
    if name.startswith("["):
        return _is_address(name[1:-1])
    name = name.rstrip(".")
    return name in names or _is_address(name)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def is_foreign(headers: Headers, names: frozenset[str], *, changes: bool) -> bool:
    """Return whether a page of another site made a browser send this request.

    Following a link from there to one of our pages is allowed. Programs send no such headers.
    """
    site = headers.get("sec-fetch-site")
    if site is not None and site not in _OURS:
        return changes or headers.get("sec-fetch-mode") != "navigate"
    origin = headers.get("origin")
    if origin is None or not changes:
        return False
    try:
        parts = urlsplit(origin)
    except ValueError:
        return True
    if parts.scheme not in {"http", "https"}:
        return True
    # For browsers without the better header: a proxy may use another port.
    return parts.netloc.lower() != headers.get("host", "").lower() and not is_named(parts.netloc, names)


class AccessGuard:
    """Middleware that checks `Access` and gives new visitors a session."""

    def __init__(self, app: ASGIApp, access: Access, cookie: str) -> None:
        """Guard an application; `cookie` is the name of the session's cookie."""
        self._app = app
        self._access = access
        self._cookie = cookie

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
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
        """Refuse requests for another host or from another site."""
        if not scope["path"].startswith("/"):
            return _refused(scope, HTTPStatus.BAD_REQUEST, "The request's path must begin with /.")
        if not is_named(headers.get("host", ""), self._access.hosts):
            return _refused(
                scope,
                HTTPStatus.MISDIRECTED_REQUEST,
                f"This server doesn't accept that host name. Use its IP address, or start it with "
                f"{Command('serve', Field('name', 'NAME'))}.",
            )
        if is_foreign(headers, self._access.hosts, changes=scope["method"] not in _SAFE):
            return _refused(
                scope,
                HTTPStatus.FORBIDDEN,
                "Another site sent this request, so nothing was changed. Open the page here and try again.",
            )
        return None

    def _by_link(self, scope: Scope, headers: Headers) -> Response | None:
        """Answer a link with a token: redirect to the page without it, with a session if the token is right.

        So the token stays out of the history, out of referrers and out of messages.
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
                    sentence = f"The token is wrong.{self._access.whereabouts}"
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
            "Changes need a token. Reload the page; programs send `Authorization: Bearer TOKEN`."
            f"{self._access.whereabouts}",
        )


def _cookies(headers: Headers) -> Iterator[tuple[str, str]]:
    """Return all cookies: other programs on this machine set theirs too, some of them malformed."""
    for header in headers.getlist("cookie"):
        for part in header.split(";"):
            name, _, value = part.partition("=")
            yield name.strip(), value.strip()


def _is_page(message: Message) -> bool:
    return MutableHeaders(scope=message).get("content-type", "").startswith("text/html")


def _opens_page(scope: Scope, headers: Headers) -> bool:
    """Return whether a browser asks for a page."""
    return scope["method"] in {"GET", "HEAD"} and "text/html" in headers.get("accept", "")


def own_address(address: str) -> str:
    """Return an address of this server: others would redirect to a foreign site after the login."""
    is_own = address.startswith("/") and not address.startswith(("//", "/\\")) and address.isprintable()
    return address if is_own else "/people"


def _refused(scope: Scope, status: HTTPStatus, sentence: str) -> Response:
    response = answered(Request(scope), status, worded(sentence))
    if status == HTTPStatus.UNAUTHORIZED:
        response.headers["www-authenticate"] = "Bearer"
    return response


@router.get("/")
def start() -> Response:
    """Redirect to the people."""
    return RedirectResponse("/people", status_code=303)


@router.get("/login")
def form(request: Request, to: str = "/people", *, again: bool = False) -> Response:
    """Show the login form, or redirect if the browser is logged in.

    A browser that follows a link from another site sends no cookie: only one of our pages can redirect it so
    that it does.
    """
    if csrf_of(request):
        return RedirectResponse(own_address(to), status_code=303)
    if not again and request.headers.get("sec-fetch-site") in {"cross-site", "same-site"}:
        return render(request, "onward.html", title="One moment", to=own_address(to))
    return _form(request, to, status=200, wrong="")


@router.post("/login")
async def log_in(request: Request) -> Response:
    """Start a session if the password is right."""
    try:
        given = parse_qs((await request.body()).decode(errors="replace"), max_num_fields=_MAX_FIELDS)
    except ValueError:
        given = {}
    to = "".join(given.get("to", ["/people"]))
    access: Access = request.app.state.access
    wrong, status = f"The {'token' if access.is_made else 'password'} is wrong.", 403
    try:
        is_right = access.opens("".join(given.get("password", [])), client_of(request.scope))
    except TooManyTries as error:
        is_right, wrong, status = False, error.sentence, 429
    if not is_right:
        return _form(request, to, status=status, wrong=wrong)
    answer = RedirectResponse(own_address(to), status_code=303)
    cookie = access.session_cookie(request.app.state.cookie, request.headers, logged_in=True)
    answer.headers.append("set-cookie", cookie)
    return answer


def _form(request: Request, to: str, *, status: int, wrong: str) -> Response:
    access: Access = request.app.state.access
    values = {
        "to": own_address(to),
        "wrong": wrong,
        "is_made": access.is_made,
        "token_file": access.token_file,
    }
    return render(request, "login.html", status=status, title="Log in", **values)
