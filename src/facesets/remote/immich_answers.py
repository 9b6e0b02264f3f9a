"""Interpret answers of an Immich server: success, temporary and permanent failures."""

import httpx

from facesets.errors import FacesetsError, WrongUsage
from facesets.remote.access import json_or_none, label_of
from facesets.remote.retry import TransientError, retry_after_s

_TRANSIENT_STATUSES = frozenset({408, 425, 429})


class RequestFailed(FacesetsError):
    """A single request failed. The reason is recorded and the run continues.

    Attributes
    ----------
    reason : str
        Why, as part of a sentence.
    transient : bool
        Whether a retry may succeed, as the cause was not the requested item.
    """

    def __init__(self, reason: str, *, transient: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.transient = transient


class NotOnServer(RequestFailed):
    """The requested item no longer exists on the server."""


def raise_if_transient(response: httpx.Response) -> None:
    """Raise `TransientError` for a temporary failure."""
    status = response.status_code
    if status >= 500 or status in _TRANSIENT_STATUSES:
        raise TransientError(
            f"the server returned {status}", wait_s=retry_after_s(response.headers.get("retry-after"))
        )


def check_response(response: httpx.Response, label: str) -> None:
    """Return a good answer; raise for the others.

    Raises
    ------
    TransientError
        It may be another one in a moment.
    WrongUsage
        The key is not accepted.
    RequestFailed, NotOnServer
        The server refuses what was asked for, or does not have it.
    """
    raise_if_transient(response)
    status = response.status_code
    if response.is_success:
        return
    if status == 401:
        raise WrongUsage(
            f"{label} rejected the API key. Create one in Immich under Account Settings, and set it "
            "as IMMICH_API_KEY."
        )
    if status == 403:
        raise RequestFailed("the API key lacks the permission (403)")
    if response.is_redirect:
        raise RequestFailed(f"the server redirects it ({status}), which is not followed")
    # Immich answers 400 both for missing items and for requests it does not understand.
    if status == 404 or (status == 400 and _is_not_found(response)):
        raise NotOnServer("the server no longer has it")
    raise RequestFailed(f"the server rejected the request ({status})")


def redirect_target(response: httpx.Response) -> str:
    """Return the target of a redirect, for messages; empty if it has none."""
    location = response.headers.get("location")
    return label_of(response.request.url.join(location)) if location else ""


def page_number(token: object) -> int | None:
    """Parse the number of the next page."""
    try:
        return int(token)  # type: ignore[call-overload, no-any-return]
    except (TypeError, ValueError):
        return None


def _is_not_found(response: httpx.Response) -> bool:
    response.read()
    answer = json_or_none(response.content)
    return isinstance(answer, dict) and "not found" in str(answer.get("message", "")).casefold()


def reason_of(error: httpx.RequestError) -> str:
    """Describe an error without parts of the request."""
    if isinstance(error, httpx.TimeoutException):
        return "the request timed out"
    if isinstance(error, httpx.ConnectError):
        return "no connection"
    return "the connection was lost"
