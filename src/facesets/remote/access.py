"""How to reach a server: addresses and keys, checked before use and shown without their secrets."""

from dataclasses import dataclass, field

import httpx

from facesets.errors import WrongUsage
from facesets.files import printable


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach a server. The key shows in no representation.

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
        raise WrongUsage(f"The address of the {what} is no URL. Give {example}.") from error
    if url.scheme not in ("http", "https") or not url.host:
        raise WrongUsage(f"The address of the {what} needs http:// or https:// and a host: {example}.")
    return url.copy_with(query=None, fragment=None), label_of(url)


def base_url(text: str) -> httpx.URL:
    """Return where an Immich server's API lies, from its address with or without `/api`.

    Raises
    ------
    WrongUsage
        It is no address.
    """
    url, _ = plain_url(text, what="Immich server", example="http://HOST:2283")
    path = url.path.rstrip("/").removesuffix("/api")
    return url.copy_with(path=f"{path}/api/")


def label_of(url: httpx.URL) -> str:
    """Return the address as it may be shown: without a password that may stand in it."""
    shown = url.copy_with(username=None, password=None, query=None, fragment=None)
    return printable(str(shown).removesuffix("/").removesuffix("/api"))


def checked_key(key: str) -> str:
    """Return a key as it goes into a header. Raises `WrongUsage`, without showing it."""
    stripped = key.strip()
    if not stripped or not stripped.isascii() or not stripped.isprintable() or " " in stripped:
        raise WrongUsage(
            "The API key is empty or holds characters that no key has. Copy it again from Immich."
        )
    return stripped
