"""Guessing of passwords, made slow: whoever is wrong often waits before the next try counts."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

from starlette.datastructures import Headers
from starlette.types import Scope

_FREE = 5
"""Wrong passwords that cost nothing: people mistype."""
_LONGEST_S = 30.0
_FORGOTTEN_AFTER_S = 900.0
_MOST_CLIENTS = 1000


@dataclass(slots=True)
class _Client:
    wrong: int = 0
    last: float = 0.0
    not_before: float = 0.0


class Attempts:
    """Wrong passwords by the address they came from. For one thread."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        """Remember nothing yet."""
        self._now = now
        self._clients: OrderedDict[str, _Client] = OrderedDict()

    def wait_s(self, client: str) -> float:
        """How long a client has to wait before its next try counts; 0 for not at all."""
        known = self._clients.get(client)
        return max(0.0, known.not_before - self._now()) if known is not None else 0.0

    def failed(self, client: str) -> None:
        """Note a wrong password: each doubles the wait, to half a minute."""
        now = self._now()
        known = self._clients.setdefault(client, _Client())
        if now - known.last > _FORGOTTEN_AFTER_S:
            known.wrong = 0
        known.wrong += 1
        known.last = now
        if known.wrong >= _FREE:
            known.not_before = now + min(_LONGEST_S, 2.0 ** min(known.wrong - _FREE, 10))
        self._clients.move_to_end(client)
        while len(self._clients) > _MOST_CLIENTS:
            self._clients.popitem(last=False)

    def succeeded(self, client: str) -> None:
        """Forget what was wrong before."""
        self._clients.pop(client, None)


def client_of(scope: Scope) -> str:
    """Who asks, by address; behind a proxy on this machine, whom that names last, which nobody can forge."""
    address = (scope.get("client") or ("",))[0]
    try:
        if ip_address(address).is_loopback:
            address = Headers(scope=scope).get("x-forwarded-for", "").rpartition(",")[2].strip() or address
        found = ip_address(address)
    except ValueError:
        return str(address)[:64]
    # Who has one address of the new kind has all 2^64 beside it.
    return str(IPv6Address(int(found) >> 64 << 64)) if found.version == 6 else str(found)
