"""Under which names this program may be addressed, and which pages may send it something."""

import ipaddress
import platform
import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]{1,5})?", re.ASCII)
_OURS = {"same-origin", "none"}
"""What browsers say of requests that no other site made; `none` is the address field."""


def host_names(others: Iterable[str], *, of_machine: bool) -> frozenset[str]:
    """Names by which this may be addressed.

    Parameters
    ----------
    of_machine : bool
        Whether by the machine's name, too: only where others reach it. A name is something that whoever
        answers this network's DNS can point elsewhere.
    """
    node = platform.node()
    names = ("localhost", *others, *((node, f"{node.partition('.')[0]}.local") if of_machine else ()))
    return frozenset(name.lower().rstrip(".") for name in names if name)


def is_named(host: str, names: frozenset[str]) -> bool:
    """Whether a `Host` header is one of these names, or an address in numbers.

    Those need no DNS, so nobody can make them lead here from a page of their own.
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
    """Whether a page of another site made a browser send this request.

    Following a link from there to a page of ours is no such thing. Programs say nothing, and are not meant.
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
    # Where the browser does not say it better: a proxy may have another port than we do.
    return parts.netloc.lower() != headers.get("host", "").lower() and not is_named(parts.netloc, names)
