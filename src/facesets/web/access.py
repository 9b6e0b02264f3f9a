"""The secret that protects `serve`, from a user's file or generated once, and what it gives access to.

Browser sessions are signed with it, and programs send it. Repeated wrong attempts are delayed.
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
"""Wrong passwords without a delay: people mistype."""
_LONGEST_S = 30.0
_FORGOTTEN_AFTER_S = 900.0
_MAX_CLIENTS = 1000
_MIN_CHARACTERS = 12
_MADE = re.compile(r"[\w-]{32,}", re.ASCII)
"""The format of generated tokens, which are too long to guess."""
_MOUNTED = (Path("/run/credentials"), Path("/run/secrets"))
"""Where systemd and containers put secrets of one service; file modes there don't tell who can read them."""


class TooManyTries(Exception):
    """A client sent too many wrong passwords and has to wait."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(wait_s)
        self.wait_s = math.ceil(wait_s)

    @property
    def sentence(self) -> str:
        """Return the message for the user."""
        unit = "second" if self.wait_s == 1 else "seconds"
        return f"Too many wrong passwords. Wait {self.wait_s} {unit}, then try again."


@dataclass(slots=True)
class _Client:
    wrong: int = 0
    last: float = 0.0
    not_before: float = 0.0


class Attempts:
    """Count wrong passwords by client address. For one thread."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        """Start without any attempts."""
        self._now = now
        self._clients: OrderedDict[str, _Client] = OrderedDict()

    def wait_s(self, client: str) -> float:
        """Return how long a client has to wait before its next attempt; 0 if it need not wait."""
        known = self._clients.get(client)
        return max(0.0, known.not_before - self._now()) if known is not None else 0.0

    def failed(self, client: str) -> None:
        """Note a wrong password: each doubles the wait, up to half a minute."""
        now = self._now()
        known = self._clients.setdefault(client, _Client())
        if now - known.last > _FORGOTTEN_AFTER_S:
            known.wrong = 0
        known.wrong += 1
        known.last = now
        if known.wrong >= _FREE:
            known.not_before = now + min(_LONGEST_S, 2.0 ** min(known.wrong - _FREE, 10))
        self._clients.move_to_end(client)
        while len(self._clients) > _MAX_CLIENTS:
            self._clients.popitem(last=False)

    def succeeded(self, client: str) -> None:
        """Forget earlier wrong passwords."""
        self._clients.pop(client, None)


def client_of(scope: Scope) -> str:
    """Return the client's address; behind a local proxy, the last one that the proxy reports."""
    address = (scope.get("client") or ("",))[0]
    try:
        if ip_address(address).is_loopback:
            address = Headers(scope=scope).get("x-forwarded-for", "").rpartition(",")[2].strip() or address
        found = ip_address(address)
    except ValueError:
        return str(address)[:64]
    # One client usually has a whole /64 of IPv6 addresses.
    return str(IPv6Address(int(found) >> 64 << 64)) if found.version == 6 else str(found)


@dataclass(frozen=True, slots=True)
class Access:
    """Who may use the server.

    Attributes
    ----------
    secret : str
        The password or token; sessions are signed with it, too.
    must_log_in : bool
        Whether reading needs it, too; else only changes by programs do.
    hosts : frozenset of str
        Host names under which the server may be addressed, besides IP addresses.
    is_made : bool
        Whether the program generated the secret: it can't be guessed, so attempts aren't delayed, and a
        link may contain it.
    token_file : str
        The file that holds it, if refused clients may learn its path; else empty.
    """

    secret: str = field(repr=False)
    must_log_in: bool
    hosts: frozenset[str] = frozenset()
    is_made: bool = False
    token_file: str = ""
    attempts: Attempts = field(default_factory=Attempts, repr=False, compare=False)

    def opens(self, password: str, client: str) -> bool:
        """Return whether a client knows the secret. Raises `TooManyTries`."""
        is_right = hmac.compare_digest(password.strip().encode(errors="replace"), self.secret.encode())
        if self.is_made:
            # Wrong passwords of other users of this machine must not lock out its owner.
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
        """Return the link to open, with the token if links contain it."""
        return f"{address}/?token={self.secret}" if self.must_log_in and self.is_made else address

    @property
    def whereabouts(self) -> str:
        """Return a sentence about the token's file; empty if clients may not learn its path."""
        return f" The token is in {self.token_file}." if self.token_file else ""

    def session_cookie(self, name: str, headers: Headers, *, logged_in: bool) -> str:
        """Return the header that stores a new session: no script reads it, no other site sends it.

        If a proxy reports TLS, the cookie is sent by TLS only. With a generated token it outlives the
        browser, so that the token need not be entered each time.
        """
        lasting = f"; Max-Age={_SESSION_S}" if logged_in and self.is_made else ""
        secure = "; Secure" if headers.get("x-forwarded-proto", "").lower() == "https" else ""
        session = self.new_session(logged_in=logged_in)
        return f"{name}={session}; Path=/; HttpOnly; SameSite=Strict{lasting}{secure}"

    def new_session(self, *, logged_in: bool) -> str:
        """Return a new session as its cookie holds it."""
        start = f"{secrets.token_urlsafe(18)}.{int(time.time())}.{int(logged_in)}"
        return f"{start}.{self._signed('session', start)}"

    def is_session(self, cookie: str) -> bool:
        """Return whether a cookie is a valid session that may read."""
        start, _, signature = cookie.rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._signed("session", start).encode()):
            return False
        _, made, logged_in = start.rsplit(".", 2)
        return time.time() - int(made) < _SESSION_S and (logged_in == "1" or not self.must_log_in)

    @property
    def csrf(self) -> str:
        """Return the token that changes from pages need in addition to a session.

        It is the same for all sessions: a link from another site opens a page without the cookie, which gets
        a new session, and pages that were open before must keep working.
        """
        return self._signed("csrf", "")

    def _signed(self, what: str, text: str) -> str:
        made = hmac.new(self.secret.encode(), f"{what}\0{text}".encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(made).decode().rstrip("=")


def given_token(path: Path) -> str:
    """Return the password in a user's file.

    Raises
    ------
    WrongUsage
        It holds no usable password.
    """
    try:
        token = path.read_text().strip()
    except FileNotFoundError:
        raise WrongUsage(
            f"Token file not found: {printable(path)}. Create it with a password in it."
        ) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise WrongUsage(f"Cannot read {printable(path)}: {reason}. Write a password into it.") from None
    if len(token) < _MIN_CHARACTERS:
        raise WrongUsage(
            f"The password in {printable(path)} is too short. Use at least {_MIN_CHARACTERS} characters."
        )
    return token


def stored_token(path: Path, say: Callable[[str], None]) -> str:
    """Return the generated token, and generate it if there is none; `say` reports a replaced one.

    Programs that start at the same time get the same token.

    Raises
    ------
    CannotWrite
        The token cannot be saved.
    """
    if token := _read(path):
        return token
    with FileLock(path.with_name(f"{path.name}.lock"), what=printable(path), waits=_pause):
        if token := _read(path):
            return token
        if os.path.lexists(path):
            say(
                f"{printable(path)} didn't contain a token made by facesets, so it was replaced. Links and "
                "programs with the old token no longer work."
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
    """Return a warning if other accounts of this machine can read a secret's file; else an empty text."""
    status = path.stat()
    if not hasattr(os, "geteuid") or not stat.S_ISREG(status.st_mode):
        return ""
    if any(path.absolute().is_relative_to(each) for each in _MOUNTED):
        return ""
    if status.st_uid not in (0, os.geteuid()):
        return Sentence(
            f"{printable(path)} belongs to another account, which can read and change it. Pass "
            f"{Field('token_file', 'FILE')} with a file that you own."
        )
    # The file may belong to root, and be readable by its group on purpose.
    strangers, change = (0o077, "600") if status.st_uid == os.geteuid() else (0o007, "o=")
    if status.st_mode & strangers:
        return (
            f"Other accounts of this machine can read {printable(path)}: "
            f"run `chmod {change} {quoted(f'{path}')}`."
        )
    return ""
