"""Check addresses and keys of servers before use, and show them without secrets."""

import ipaddress
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field

import httpx

from facesets.errors import WrongUsage
from facesets.files import printable

_SHARED = ipaddress.ip_network("100.64.0.0/10")
"""Addresses of carriers, and of private networks laid over the internet such as Tailscale's."""
_LOCAL_SUFFIXES = (".localhost", ".local", ".lan", ".home", ".internal", ".home.arpa", ".ts.net")


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach a server. The key never appears in `repr`.

    Attributes
    ----------
    url : str
        The server's address, with or without `/api`.
    timeout_s : float
        How long the server may be silent.
    first_wait_s : float
        Before a failed request is tried again; each further wait is twice as long.
    attempts : int
        At one request.
    patience_s : float
        Wait before the one probe that decides whether the server is gone.
    """

    url: str
    api_key: str = field(repr=False)
    connections: int = 8
    timeout_s: float = 60.0
    connect_timeout_s: float = 10.0
    first_wait_s: float = 1.0
    attempts: int = 4
    patience_s: float = 5.0


def plain_url(text: str, *, what: str, example: str) -> tuple[httpx.URL, str]:
    """Return the address of a service, and how to call it in messages. Raises `WrongUsage`."""
    try:
        url = httpx.URL(text.strip())
    except httpx.InvalidURL as error:
        raise WrongUsage(f"The address of the {what} is not a URL. Give {example}.") from error
    if url.scheme not in ("http", "https") or not url.host:
        raise WrongUsage(
            f"The address of the {what} needs http:// or https:// and a host, such as {example}."
        )
    return url.copy_with(query=None, fragment=None), label_of(url)


def base_url(text: str) -> httpx.URL:
    """Return where an Immich server's API is, from its address with or without `/api`.

    Raises
    ------
    WrongUsage
        It is no address.
    """
    url, _ = plain_url(text, what="Immich server", example="http://HOST:2283")
    path = url.path.rstrip("/").removesuffix("/api")
    return url.copy_with(path=f"{path}/api/")


def label_of(url: httpx.URL) -> str:
    """Return the address without a password, for messages."""
    shown = url.copy_with(username=None, password=None, query=None, fragment=None)
    return printable(str(shown).removesuffix("/").removesuffix("/api"))


def is_nearby(host: str) -> bool:
    """Whether a host is this machine or in a private network, by address or name."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        name = host.rstrip(".").casefold()
        return "." not in name or name.endswith(_LOCAL_SUFFIXES)
    return address.is_private or address in _SHARED


def client_of(
    url: httpx.URL, timeout: httpx.Timeout, headers: Mapping[str, str], connections: int | None = 100
) -> httpx.Client:
    """Make a client of one server without redirects, with a maximum number of connections.

    A proxy that the environment names is for the internet: what is nearby is asked directly, so that keys
    and photos do not go through it. Certificates that the environment names count all the same.

    Raises
    ------
    WrongUsage
        The server is elsewhere, and the proxy that the environment names cannot be used.
    """
    # Connections stay open for later requests: opening one takes longer than an answer.
    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
    try:
        return httpx.Client(
            base_url=url,
            timeout=timeout,
            limits=limits,
            transport=_direct(url, limits) if is_nearby(url.host) else None,
            headers={"user-agent": "facesets", **headers},
            follow_redirects=False,
        )
    except (ImportError, ValueError, httpx.InvalidURL) as error:
        raise WrongUsage(
            "The proxy set in the environment (http_proxy, https_proxy, all_proxy) is invalid. "
            f"Correct it, or add {url.host} to no_proxy."
        ) from error


def _direct(url: httpx.URL, limits: httpx.Limits) -> httpx.HTTPTransport:
    """Make connections that bypass any proxy."""
    # Reading all certificates takes longer than a request; without encryption none is needed.
    verify = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if url.scheme == "http" else True
    return httpx.HTTPTransport(verify=verify, limits=limits)


def checked_key(key: str) -> str:
    """Return a key as it goes into a header. Raises `WrongUsage`, without showing it."""
    stripped = key.strip()
    if not stripped or not stripped.isascii() or not stripped.isprintable() or " " in stripped:
        raise WrongUsage("The API key is empty or contains invalid characters. Copy it again from Immich.")
    return stripped


def json_or_none(content: bytes | str) -> object:
    """Return an answer as JSON; None if it is not JSON."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None
