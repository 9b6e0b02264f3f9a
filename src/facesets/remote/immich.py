"""Call an Immich server's published API.

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
from facesets.remote.access import Access, base_url, checked_key, client_of, json_or_none, label_of
from facesets.remote.circuit import Circuit
from facesets.remote.immich_answers import (
    RequestFailed,
    check_response,
    page_number,
    raise_if_transient,
    reason_of,
    redirect_target,
)
from facesets.remote.immich_records import (
    Asset,
    Owner,
    ServerFace,
    ServerPerson,
    Version,
    parse_albums,
    parse_asset,
    parse_faces,
    parse_owner,
    parse_people,
    parse_version,
)
from facesets.remote.retry import TransientError, doubling, pausing, retrying
from facesets.work import Stop

PAGE_SIZE = 1000
_CHUNK_BYTES = 1 << 18
_MAX_ORIGINAL_BYTES = 1_000_000_000

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Downloaded:
    """The length and digests of a download."""

    size: int
    sha1: str
    sha256: str


class Immich:
    """The calls that staging needs."""

    def __init__(self, access: Access, *, stop: Stop) -> None:
        """Store the server's address; nothing is sent yet.

        Raises
        ------
        WrongUsage
            The address or the key is invalid.
        """
        base = base_url(access.url)
        self.label = label_of(base)
        self._key = {"x-api-key": checked_key(access.api_key)}
        self._stop = stop
        self._pause = pausing(stop)
        self._waits_s = doubling(access.first_wait_s, attempts=access.attempts)
        self._client = client_of(
            base,
            httpx.Timeout(access.timeout_s, connect=access.connect_timeout_s),
            {"accept-encoding": "identity"},
            access.connections + 2,
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
            The server does not answer.
        WrongUsage
            The answering server is not Immich.
        """
        try:
            response = retrying(self._version_once, self._waits_s, self._pause)
        except TransientError as fault:
            raise Unreachable(
                f"{self.label} is not responding ({fault.reason}). Check the address and the "
                "connection, or try again later."
            ) from fault
        if response.is_redirect:
            target = redirect_target(response)
            raise WrongUsage(
                f"{self.label} redirects to {target or 'another address'}. The API key is not sent "
                "there. If that is your server, give its address."
            )
        version = parse_version(json_or_none(response.content))
        if version is None:
            raise WrongUsage(f"{self.label} is not an Immich server. Check the address.")
        return version

    def _version_once(self) -> httpx.Response:
        try:
            response = self._client.get("server/version")
        except httpx.RequestError as error:
            raise TransientError(reason_of(error)) from error
        raise_if_transient(response)
        return response

    def permissions(self) -> frozenset[str] | None:
        """Return the key's permissions; None if the server does not report them.

        Raises
        ------
        WrongUsage
            The server does not accept the key.
        Unreachable
            The server fails.
        """
        try:
            answer = self._required("GET", "api-keys/me")
        except RequestFailed:
            return None
        named = answer.get("permissions") if isinstance(answer, dict) else None
        return frozenset(map(str, named)) if isinstance(named, list) else None

    def owner(self) -> Owner | None:
        """Return the owner of the key; None if the key lacks that permission. Raises as `permissions`."""
        try:
            return parse_owner(self._required("GET", "users/me"))
        except RequestFailed:
            return None

    def estimate(self, query: Mapping[str, Any]) -> int | None:
        """Return the server's estimate of matching assets; None without one."""
        try:
            answer = self._required("POST", "search/statistics", json=dict(query))
        except RequestFailed:
            return None
        total = answer.get("total") if isinstance(answer, dict) else None
        return total if isinstance(total, int) else None

    def assets(self, query: Mapping[str, Any]) -> Iterator[list[Asset]]:
        """Yield pages of matching assets, oldest first.

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
            answer = self._required("POST", "search/metadata", json=body)
            listing = answer.get("assets") if isinstance(answer, dict) else None
            items = listing.get("items") if isinstance(listing, dict) else None
            if not isinstance(listing, dict) or not isinstance(items, list):
                raise Unreachable(
                    f"{self.label} returned an invalid search result. Check that it is an Immich server."
                )
            found = [asset for item in items if (asset := parse_asset(item)) is not None]
            yield found
            token = listing.get("nextPage")
            if token is None:
                return
            following = page_number(token)
            ids = [asset.id for asset in found]
            if following is None or following <= page or ids == ids_before:
                raise Unreachable(
                    f"{self.label} names page {printable(str(token))[:40]} after page {page}, so its "
                    "list never ends. Results so far are saved. Report this to the server's "
                    "administrator."
                )
            page, ids_before = following, ids

    def albums(self) -> list[tuple[str, str]]:
        """Return id and title of each album of the key's owner. Raises as `assets`."""
        return parse_albums(self._required("GET", "albums"))

    def search_people(self, text: str) -> list[ServerPerson]:
        """Search people by the beginning of a word of their name, including hidden ones.

        Raises
        ------
        RequestFailed
            The key may not ask.
        Unreachable
            The server fails.
        """
        query = {"name": text, "withHidden": "true"}
        return parse_people(self._required("GET", "search/person", params=query))

    def faces(self, asset_id: str) -> list[ServerFace]:
        """Return the faces that the server found in an asset. Raises as `download`."""
        return parse_faces(self._json("GET", "faces", params={"id": asset_id}))

    def owner_of(self, asset_id: str) -> str:
        """Return the owner of an asset; empty if the server does not report it. Raises as `download`."""
        asset = parse_asset(self._json("GET", f"assets/{asset_id}"))
        return asset.owner_id if asset else ""

    def download(self, asset: Asset, file: IO[bytes]) -> Downloaded:
        """Download an asset's original to a file, verified by the server's checksum.

        Raises
        ------
        RequestFailed, NotFound
            It is unavailable, or differs from the server's checksum.
        WrongUsage, Unreachable
            As `permissions`.
        Stopped
            The run was asked to end.
        """
        return self._with_retries(partial(self._download_once, asset, file))

    def _download_once(self, asset: Asset, file: IO[bytes]) -> Downloaded:
        file.seek(0)
        file.truncate()
        sha1, sha256, size = hashlib.sha1(usedforsecurity=False), hashlib.sha256(), 0
        self._circuit.check()
        try:
            path = f"assets/{asset.id}/original"
            with self._client.stream("GET", path, headers=self._key) as response:
                self._check(response)
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
            raise TransientError(f"the download was interrupted ({reason_of(error)})") from error
        self._circuit.succeeded()
        if asset.sha1 and sha1.hexdigest() != asset.sha1:
            raise TransientError("the download does not match the server's checksum")
        return Downloaded(size, sha1.hexdigest(), sha256.hexdigest())

    def _required(self, method: str, path: str, **body: Any) -> Any:  # noqa: ANN401 - whatever JSON can hold
        """Send a request that the run cannot continue without."""
        try:
            return self._json(method, path, **body)
        except RequestFailed as error:
            if error.transient:
                raise Unreachable(
                    f"{self.label} failed: {error.reason}. Results so far are saved; run the same "
                    "command again."
                ) from error
            raise

    def _json(self, method: str, path: str, **body: Any) -> Any:  # noqa: ANN401 - whatever JSON can hold
        return self._with_retries(partial(self._json_once, method, path, **body))

    def _json_once(self, method: str, path: str, **body: Any) -> Any:  # noqa: ANN401 - whatever JSON can hold
        response = self._once(method, path, **body)
        try:
            answer = response.json()
        except (ValueError, RecursionError) as error:
            self._circuit.failed()
            raise TransientError("the answer is not JSON") from error
        self._circuit.succeeded()
        return answer

    def _once(self, method: str, path: str, **body: Any) -> httpx.Response:  # noqa: ANN401 - whatever JSON can hold
        """Send a request once and check its answer."""
        self._circuit.check()
        try:
            response = self._client.request(method, path, headers=self._key, **body)
        except httpx.RequestError as error:
            self._circuit.failed()
            raise TransientError(reason_of(error)) from error
        self._check(response)
        return response

    def _check(self, response: httpx.Response) -> None:
        """Return a good answer; raise for the others."""
        try:
            check_response(response, self.label)
        except TransientError:
            self._circuit.failed()
            raise
        except FacesetsError:
            self._circuit.succeeded()
            raise

    def _with_retries(self, call: Callable[[], Result]) -> Result:
        try:
            return retrying(call, self._waits_s, self._pause)
        except TransientError as fault:
            raise RequestFailed(fault.reason, transient=True) from fault

    def _answers(self) -> bool:
        """Probe for the circuit breaker."""
        try:
            return parse_version(json_or_none(self._client.get("server/version").content)) is not None
        except httpx.RequestError:
            return False
