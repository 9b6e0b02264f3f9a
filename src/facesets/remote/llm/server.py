"""Send requests to a paid server, retrying only those that were certainly not charged."""

import ipaddress
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

import httpx

from facesets.descriptions.asking import Doubtful, NotSent
from facesets.errors import WrongUsage
from facesets.files import printable
from facesets.remote.access import client_of, json_or_none
from facesets.remote.retry import Pause, Stopped, TransientError, doubling, retry_after_s, retrying

WAITS_S = doubling(2.0, attempts=6)

Result = TypeVar("Result")

# Answers which mean that the server did nothing.
_UNDONE = frozenset({408, 425, 429, 503, 529})
_FAILED = 500
"""These failures are not charged, but a batch may exist."""
_LETTERS = 300


def until_taken(place: str, once: Callable[[], Result], waits_s: Sequence[float], pause: Pause) -> Result:
    """Send a request, retrying while it is certainly not charged. Raises `NotSent`."""
    try:
        return retrying(once, waits_s, pause)
    except TransientError as fault:
        raise NotSent(
            f"{place} does not accept requests now: {fault.reason}. Results so far are saved; run the "
            "same command again later."
        ) from fault
    except Stopped as error:
        raise NotSent("Stopped while waiting. Results so far are saved.") from error


def is_this_machine(host: str) -> bool:
    """Whether a host is this machine."""
    name = host.rstrip(".").casefold()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False


class LlmServer:
    """Requests to one server. May be called from several threads at once."""

    def __init__(
        self,
        base: httpx.URL,
        label: str,
        headers: Mapping[str, str],
        *,
        pause: Pause,
        waits_s: Sequence[float] = WAITS_S,
        timeout_s: float = 600.0,
    ) -> None:
        """Store the server; nothing is sent yet. Raises `WrongUsage` if the address is invalid."""
        self.label = label
        self._pause = pause
        self._waits_s = waits_s
        path = base.path.rstrip("/") + "/"
        self._client = client_of(base.copy_with(path=path), httpx.Timeout(timeout_s, connect=15.0), headers)

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def post(self, path: str, body: Mapping[str, Any], *, failed_is_undone: bool = True) -> httpx.Response:
        """Send a request that may cost money.

        Parameters
        ----------
        failed_is_undone : bool
            An answer 500 means that nothing was done.

        Raises
        ------
        NotSent
            The server did not take it, over all attempts.
        Doubtful
            It may have taken it: its answer was lost.
        """
        return self._tried(partial(self._post_once, path, body, failed_is_undone=failed_is_undone))

    def get(self, path: str, query: Mapping[str, str] | None = None) -> httpx.Response:
        """Send a request that costs nothing. Raises `NotSent`."""
        return self._tried(partial(self._get_once, path, query or {}))

    @contextmanager
    def lines(self, path: str) -> Iterator[Iterator[str]]:
        """Yield the lines of an answer. Raises `NotSent`, also within the block."""
        try:
            with self._client.stream("GET", path) as response:
                if not response.is_success:
                    response.read()
                    raise self.refusal(response)
                yield response.iter_lines()
        except httpx.HTTPError as error:
            raise NotSent(
                f"The connection to {self.label} was lost. Results so far are saved; run the same "
                "command again."
            ) from error

    def refusal(self, response: httpx.Response) -> WrongUsage | NotSent:
        """Translate an answer that affects all photos."""
        if response.status_code in {401, 403}:
            return WrongUsage(f"{self.label} rejected the API key. Check the key and its permissions.")
        return NotSent(
            f"{self.label} rejected the request ({response.status_code}: {message_of(response)}), at "
            "no cost. Run the same command again when this is resolved."
        )

    def _tried(self, once: Callable[[], httpx.Response]) -> httpx.Response:
        response = until_taken(self.label, once, self._waits_s, self._pause)
        if response.is_redirect:
            raise WrongUsage(
                f"{self.label} redirects to another address. Neither key nor photos are sent there. "
                "If it is correct, give that address."
            )
        return response

    def _post_once(self, path: str, body: Mapping[str, Any], *, failed_is_undone: bool) -> httpx.Response:
        try:
            response = self._client.post(path, json=body)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise TransientError("no connection") from error
        except (httpx.WriteError, httpx.WriteTimeout) as error:
            raise TransientError("the connection was lost while sending") from error
        except httpx.RequestError as error:
            raise Doubtful("no answer came") from error
        _raise_if_undone(response)
        if response.status_code == _FAILED and failed_is_undone:
            raise _transient(response)
        if response.status_code >= _FAILED:
            raise Doubtful(f"the server returned {response.status_code}")
        return response

    def _get_once(self, path: str, query: Mapping[str, str]) -> httpx.Response:
        try:
            response = self._client.get(path, params=dict(query))
        except httpx.RequestError as error:
            raise TransientError("no connection") from error
        _raise_if_undone(response)
        if response.status_code >= 500:
            raise TransientError(f"it returned {response.status_code}")
        return response


def _raise_if_undone(response: httpx.Response) -> None:
    if response.status_code in _UNDONE:
        raise _transient(response)


def _transient(response: httpx.Response) -> TransientError:
    return TransientError(
        f"it returned {response.status_code} ({message_of(response)})",
        wait_s=retry_after_s(response.headers.get("retry-after")),
    )


def message_of(response: httpx.Response) -> str:
    """Return the error message of an answer, for display."""
    content = json_or_none(response.content)
    error = content.get("error") if isinstance(content, dict) else None
    message = error.get("message") if isinstance(error, dict) else error
    return printable(str(message or "without a reason"))[:_LETTERS]
