"""The secret that opens `serve`, in a file of the user's or made once and kept; and whom it lets in.

Sessions of browsers are signed with it, and programs send it. Whoever is wrong often waits before the next
try counts.
"""

import base64
import hashlib
import hmac
import math
import os
import re
import secrets
import stat
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address
from pathlib import Path

from starlette.datastructures import Headers
from starlette.types import Scope

from facesets.errors import Field, Sentence, WrongUsage, quoted
from facesets.files import FileLock, atomic_write, printable

_SESSION_S = 30 * 86400
_FREE = 5
"""Wrong passwords that cost nothing: people mistype."""
_LONGEST_S = 30.0
_FORGOTTEN_AFTER_S = 900.0
_MOST_CLIENTS = 1000
_FEWEST_CHARACTERS = 12
_MADE = re.compile(r"[\w-]{32,}", re.ASCII)
"""What `_made` writes: too much to guess."""
_MOUNTED = (Path("/run/credentials"), Path("/run/secrets"))
"""Where systemd and containers put secrets of one service; the rights there say not who reaches them."""


class TooManyTries(Exception):
    """Wrong passwords came from there: none counts for so many seconds."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(wait_s)
        self.wait_s = math.ceil(wait_s)

    @property
    def sentence(self) -> str:
        """What to say."""
        unit = "second" if self.wait_s == 1 else "seconds"
        return f"There were too many wrong passwords. Wait {self.wait_s} {unit}, then try again."


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


@dataclass(frozen=True, slots=True)
class Access:
    """Who is let in.

    Attributes
    ----------
    secret : str
        What opens the door, and what sessions are signed with.
    must_log_in : bool
        Whether looking needs it, too; else only changes by programs do.
    hosts : frozenset of str
        Names under which this may be addressed, besides addresses in numbers.
    is_made : bool
        Whether the program made the secret: nobody guesses that, so it may be tried as often as one likes,
        and a link may carry it.
    kept_in : str
        The file that holds it, where everybody who is refused may hear of that; else empty.
    """

    secret: str = field(repr=False)
    must_log_in: bool
    hosts: frozenset[str] = frozenset()
    is_made: bool = False
    kept_in: str = ""
    attempts: Attempts = field(default_factory=Attempts, repr=False, compare=False)

    def opens(self, password: str, client: str) -> bool:
        """Whether a client knows the secret. Raises `TooManyTries`."""
        is_right = hmac.compare_digest(password.strip().encode(errors="replace"), self.secret.encode())
        if self.is_made:
            # Nobody else on this machine is to shut out its owner by wrong ones.
            return is_right
        wait = self.attempts.wait_s(client)
        if wait:
            raise TooManyTries(wait)
        if is_right:
            self.attempts.succeeded(client)
        else:
            self.attempts.failed(client)
        return is_right

    def link(self, address: str) -> str:
        """What to open at an address of this server, with the token where that is in links."""
        return f"{address}/?token={self.secret}" if self.must_log_in and self.is_made else address

    @property
    def whereabouts(self) -> str:
        """Where the token is, as a further sentence."""
        return f" The token is in {self.kept_in}." if self.kept_in else ""

    def session_cookie(self, name: str, headers: Headers, *, logged_in: bool) -> str:
        """The header that keeps a new session in a browser: no script reads it, no other site sends it.

        Where a proxy says that the browser talks to it by TLS, it is sent by TLS only. Of a token that was
        made it outlives the browser's end: nobody types that each time.
        """
        lasting = f"; Max-Age={_SESSION_S}" if logged_in and self.is_made else ""
        secure = "; Secure" if headers.get("x-forwarded-proto", "").lower() == "https" else ""
        session = self.new_session(logged_in=logged_in)
        return f"{name}={session}; Path=/; HttpOnly; SameSite=Strict{lasting}{secure}"

    def new_session(self, *, logged_in: bool) -> str:
        """A session, as its cookie holds it."""
        start = f"{secrets.token_urlsafe(18)}.{int(time.time())}.{int(logged_in)}"
        return f"{start}.{self._signed('session', start)}"

    def is_session(self, cookie: str) -> bool:
        """Whether a cookie is one of ours, not too old, that lets look."""
        start, _, signature = cookie.rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._signed("session", start).encode()):
            return False
        _, made, logged_in = start.rsplit(".", 2)
        return time.time() - int(made) < _SESSION_S and (logged_in == "1" or not self.must_log_in)

    @property
    def csrf(self) -> str:
        """The token that changes from pages need besides a session.

        It is the same for all sessions: a link from elsewhere opens a page without the cookie, which gets
        another session then, and pages that were open before must go on to work.
        """
        return self._signed("csrf", "")

    def _signed(self, what: str, text: str) -> str:
        made = hmac.new(self.secret.encode(), f"{what}\0{text}".encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(made).decode().rstrip("=")


def given_token(path: Path) -> str:
    """The content of a file that the user named.

    Raises
    ------
    WrongUsage
        There is no password in it.
    """
    try:
        token = path.read_text().strip()
    except FileNotFoundError:
        raise WrongUsage(f"There is no file {printable(path)}. Write a password into it.") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise WrongUsage(f"{printable(path)} cannot be read: {reason}. Write a password into it.") from None
    if len(token) < _FEWEST_CHARACTERS:
        raise WrongUsage(
            f"The password in {printable(path)} is too short. Write at least {_FEWEST_CHARACTERS} characters."
        )
    return token


def kept_token(path: Path, say: Callable[[str], None]) -> str:
    """The token that was made here, made now where there is none; `say` hears of one that was replaced.

    Programs that start at once have the same.

    Raises
    ------
    CannotWrite
        It cannot be kept.
    """
    if token := _read(path):
        return token
    with FileLock(path.with_name(f"{path.name}.lock"), what=printable(path), waits=_pause):
        if token := _read(path):
            return token
        if os.path.lexists(path):
            say(
                f"{printable(path)} did not hold a token that facesets made. There is a new one now: links "
                "and programs with the old one no longer work."
            )
        return _made(path)


def _read(path: Path) -> str:
    try:
        token = path.read_text("ascii").strip()
    except (OSError, ValueError):
        return ""
    return token if _MADE.fullmatch(token) else ""


def _pause() -> bool:
    time.sleep(0.01)
    return True


def _made(path: Path) -> str:
    token = secrets.token_urlsafe(32)
    with atomic_write(path) as file:
        file.write(f"{token}\n".encode())
    return token


def exposed(path: Path) -> str:
    """What to say of a file of a secret that other accounts of this machine can read; empty of others."""
    status = path.stat()
    if not hasattr(os, "geteuid") or not stat.S_ISREG(status.st_mode):
        return ""
    if any(path.absolute().is_relative_to(each) for each in _MOUNTED):
        return ""
    if status.st_uid not in (0, os.geteuid()):
        return Sentence(
            f"{printable(path)} belongs to another account, which can read and change it. Give "
            f"{Field('token_file', 'FILE')} with a file of your own."
        )
    # A file of root's may be for whoever is in its group.
    strangers, change = (0o077, "600") if status.st_uid == os.geteuid() else (0o007, "o=")
    if status.st_mode & strangers:
        return (
            f"Other accounts of this machine can read {printable(path)}: "
            f"run `chmod {change} {quoted(f'{path}')}`."
        )
    return ""
