"""An Immich server, through its published API only.

Safe for several threads. Every request passes the circuit breaker, and one that fails for a passing
reason is tried again. Redirects are never followed, so that the key stays with the server it is for.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import IO, Any, TypeVar

import httpx

from facesets.errors import FacesetsError, Unreachable, WrongUsage
from facesets.files import printable
from facesets.remote.access import Access, base_url, checked_key, label_of
from facesets.remote.circuit import Circuit
from facesets.remote.immich_records import (
    Asset,
    Owner,
    ServerFace,
    Version,
    parse_asset,
    parse_faces,
    parse_owner,
    parse_version,
)
from facesets.remote.retry import PassingFault, doubling, pausing, retry_after_s, retrying
from facesets.stop import Stop

PAGE_SIZE = 1000
_CHUNK_BYTES = 1 << 18
_MAX_ORIGINAL_BYTES = 1_000_000_000
_PASSING_STATUSES = frozenset({408, 425, 429})

Result = TypeVar("Result")


class RequestFailed(FacesetsError):
    """One thing cannot be had or done. The reason is recorded and the run goes on.

    Attributes
    ----------
    reason : str
        Why, as part of a sentence.
    passing : bool
        It may well work the next time: the fault was not that of what was asked for.
    """

    def __init__(self, reason: str, *, passing: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.passing = passing


class NotThere(RequestFailed):
    """The server does not have it any more."""


@dataclass(frozen=True, slots=True)
class Downloaded:
    """What came of a download: its length and digests."""

    size: int
    sha1: str
    sha256: str


class Immich:
    """The calls that staging needs."""

    def __init__(self, access: Access, *, stop: Stop) -> None:
        """Name the server; nothing is sent yet.

        Raises
        ------
        WrongUsage
            The address or the key cannot be one.
        """
        base = base_url(access.url)
        self.label = label_of(base)
        self._key = {"x-api-key": checked_key(access.api_key)}
        self._stop = stop
        self._pause = pausing(stop)
        self._waits_s = doubling(access.first_wait_s, attempts=access.attempts)
        self._client = httpx.Client(
            base_url=base,
            timeout=httpx.Timeout(access.timeout_s, connect=access.connect_timeout_s),
            limits=httpx.Limits(max_connections=access.connections + 2),
            headers={"accept-encoding": "identity", "user-agent": "facesets"},
            follow_redirects=False,
        )
        self._circuit = Circuit(
            self.label, self._answers, before_probe=partial(self._pause, access.patience_s)
        )

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def version(self) -> Version:
        """Ask for the server's version, without showing the key.

        Raises
        ------
        Unreachable
            Nothing answers there.
        WrongUsage
            Something does, but it is no Immich server.
        """
        try:
            response = self._client.get("server/version")
        except httpx.RequestError as error:
            raise Unreachable(
                f"{self.label} does not answer ({_sentence(error)}). Check the address and the connection."
            ) from error
        if response.is_redirect:
            there = label_of(httpx.URL(self._client.base_url).join(response.headers["location"]))
            raise WrongUsage(
                f"{self.label} sends requests on to {there}. The key is not sent there: if that is your "
                "server, give its address."
            )
        if response.status_code >= 500:
            raise Unreachable(
                f"{self.label} answers with an error ({response.status_code}). Try again later."
            )
        version = parse_version(_json_or_none(response))
        if version is None:
            raise WrongUsage(f"{self.label} is no Immich server. Check the address.")
        return version

    def permissions(self) -> frozenset[str] | None:
        """What the key may do; None where the server cannot say.

        Raises
        ------
        WrongUsage
            The server does not accept the key.
        Unreachable
            The server fails.
        """
        try:
            answer = self._at_start("GET", "api-keys/me")
        except RequestFailed:
            return None
        named = answer.get("permissions") if isinstance(answer, dict) else None
        return frozenset(map(str, named)) if isinstance(named, list) else None

    def owner(self) -> Owner | None:
        """Whose key it is; None where the key may not ask. Raises as `permissions`."""
        try:
            return parse_owner(self._at_start("GET", "users/me"))
        except RequestFailed:
            return None

    def estimate(self, query: Mapping[str, Any]) -> int | None:
        """How many assets the server believes to match; None where it does not say."""
        try:
            answer = self._at_start("POST", "search/statistics", json=dict(query))
        except RequestFailed:
            return None
        total = answer.get("total") if isinstance(answer, dict) else None
        return total if isinstance(total, int) else None

    def assets(self, query: Mapping[str, Any]) -> Iterator[list[Asset]]:
        """Pages of the assets that match, oldest first.

        Raises
        ------
        RequestFailed
            The server refuses the search.
        Unreachable
            It fails, or its pages go round in a circle.
        """
        page = 1
        ids_before = None
        while True:
            body = {**query, "order": "asc", "withExif": True, "page": page, "size": PAGE_SIZE}
            answer = self._at_start("POST", "search/metadata", json=body)
            listing = answer.get("assets") if isinstance(answer, dict) else None
            items = listing.get("items") if isinstance(listing, dict) else None
            if not isinstance(listing, dict) or not isinstance(items, list):
                raise Unreachable(
                    f"{self.label} answers a search with something else. Is it an Immich server?"
                )
            found = [asset for item in items if (asset := parse_asset(item)) is not None]
            yield found
            token = listing.get("nextPage")
            if token is None:
                return
            following = _page_number(token)
            ids = [asset.id for asset in found]
            if following is None or following <= page or ids == ids_before:
                raise Unreachable(
                    f"{self.label} names page {printable(str(token))[:40]} as the one after page {page}: its "
                    "list goes round in a circle. What was done is kept; report this to the server's keeper."
                )
            page, ids_before = following, ids

    def faces(self, asset_id: str) -> list[ServerFace]:
        """Faces that the server found in an asset. Raises as `download`."""
        return parse_faces(self._json("GET", "faces", params={"id": asset_id}))

    def download(self, asset: Asset, file: IO[bytes]) -> Downloaded:
        """Write an asset's original into a file, verified by the server's checksum.

        Raises
        ------
        RequestFailed, NotThere
            It cannot be had, or not as the server says it is.
        WrongUsage, Unreachable
            As `permissions`.
        Stopped
            The run was asked to end.
        """
        return self._persistently(partial(self._download_once, asset, file))

    def _download_once(self, asset: Asset, file: IO[bytes]) -> Downloaded:
        file.seek(0)
        file.truncate()
        sha1, sha256, size = hashlib.sha1(usedforsecurity=False), hashlib.sha256(), 0
        self._circuit.check()
        try:
            path = f"assets/{asset.id}/original"
            with self._client.stream("GET", path, headers=self._key) as response:
                self._judge(response)
                for chunk in response.iter_bytes(_CHUNK_BYTES):
                    size += len(chunk)
                    if self._stop.requested:
                        self._pause(0)
                    if size > _MAX_ORIGINAL_BYTES:
                        raise RequestFailed(
                            f"its original is larger than {_MAX_ORIGINAL_BYTES // 1_000_000} MB"
                        )
                    sha1.update(chunk)
                    sha256.update(chunk)
                    file.write(chunk)
        except httpx.RequestError as error:
            self._circuit.failed()
            raise PassingFault(f"the download broke off ({_sentence(error)})") from error
        self._circuit.succeeded()
        if asset.sha1 and sha1.hexdigest() != asset.sha1:
            raise PassingFault("what came does not match the server's checksum")
        return Downloaded(size, sha1.hexdigest(), sha256.hexdigest())

    def _at_start(self, method: str, path: str, **body: Any) -> Any:  # noqa: ANN401 - whatever JSON can hold
        """Answer that the whole run rests on: without it there is nothing to go on with."""
        try:
            return self._json(method, path, **body)
        except RequestFailed as error:
            if error.passing:
                raise Unreachable(
                    f"{self.label} fails: {error.reason}. What was done is kept: run the same command again."
                ) from error
            raise

    def _json(self, method: str, path: str, **body: Any) -> Any:  # noqa: ANN401 - whatever JSON can hold
        return self._persistently(partial(self._json_once, method, path, **body))

    def _json_once(self, method: str, path: str, **body: Any) -> Any:  # noqa: ANN401 - whatever JSON can hold
        response = self._once(method, path, **body)
        try:
            answer = response.json()
        except (ValueError, RecursionError) as error:
            self._circuit.failed()
            raise PassingFault("the answer is not JSON") from error
        self._circuit.succeeded()
        return answer

    def _once(self, method: str, path: str, **body: Any) -> httpx.Response:  # noqa: ANN401 - whatever JSON can hold
        """Send a request once; its answer is one that the server gives when all is well."""
        self._circuit.check()
        try:
            response = self._client.request(method, path, headers=self._key, **body)
        except httpx.RequestError as error:
            self._circuit.failed()
            raise PassingFault(_sentence(error)) from error
        self._judge(response)
        return response

    def _judge(self, response: httpx.Response) -> None:
        """Pass on an answer that is one, and name what the others mean."""
        status = response.status_code
        if status >= 500 or status in _PASSING_STATUSES:
            self._circuit.failed()
            raise PassingFault(
                f"the server answers {status}", wait_s=retry_after_s(response.headers.get("retry-after"))
            )
        if response.is_success:
            return
        self._circuit.succeeded()
        if status == 401:
            raise WrongUsage(
                f"{self.label} does not accept the API key. Make one in Immich under Account Settings, and "
                "put it into IMMICH_API_KEY."
            )
        if status == 403:
            raise RequestFailed("the key may not have it (403)")
        if response.is_redirect:
            raise RequestFailed(f"the server sends it on to another place ({status}), which is not followed")
        # Immich answers 400 for what it does not have as well as for what it does not understand.
        if status == 404 or (status == 400 and _says_not_found(response)):
            raise NotThere("the server does not have it any more")
        raise RequestFailed(f"the server refuses the request ({status})")

    def _persistently(self, call: Callable[[], Result]) -> Result:
        try:
            return retrying(call, self._waits_s, self._pause)
        except PassingFault as fault:
            raise RequestFailed(fault.reason, passing=True) from fault

    def _answers(self) -> bool:
        """Probe for the circuit breaker."""
        try:
            return parse_version(_json_or_none(self._client.get("server/version"))) is not None
        except httpx.RequestError:
            return False


def _page_number(token: object) -> int | None:
    """Number of the next page, which the server gives as text."""
    try:
        return int(token)  # type: ignore[call-overload, no-any-return]
    except (TypeError, ValueError):
        return None


def _json_or_none(response: httpx.Response) -> object:
    try:
        return response.json()
    except (ValueError, RecursionError):
        return None


def _says_not_found(response: httpx.Response) -> bool:
    response.read()
    answer = _json_or_none(response)
    return isinstance(answer, dict) and "not found" in str(answer.get("message", "")).casefold()


def _sentence(error: httpx.RequestError) -> str:
    """Return what went wrong, in words that hold nothing of the request."""
    if isinstance(error, httpx.TimeoutException):
        return "no answer in time"
    if isinstance(error, httpx.ConnectError):
        return "no connection"
    return "the connection broke"
