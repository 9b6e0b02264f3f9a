"""What every answer tells browsers: nothing runs but our own scripts, nobody frames us, nothing is kept."""

from collections.abc import Iterator

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

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


def safe_headers(path: str) -> Iterator[tuple[str, str]]:
    """Names and values for the answer to a path. Scripts and styles are kept, but asked about each time."""
    yield from _HEADERS.items()
    yield "cache-control", "no-cache" if path.startswith(_STATIC) else "no-store"


class SafeHeaders:
    """The middleware that adds them; what may be kept says so itself."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with these headers."""
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
