"""How clients reach an embedded server: by a socket that only its account reaches, or over loopback.

Loopback is for systems without such sockets (Windows), and runs on all. Everybody on the machine can connect
there, so that the server asks for a password, which lies in a folder of its account's; and since anybody may
listen there while the server does not run, clients give that password to no server that does not know it.

On Windows itself none of this was tried. Its programs of PostgreSQL were, on Wine: what is made, started,
asked whether it runs, and stopped here. It remains to be seen there: locks by `msvcrt`, the keeper that has
no window, and an administrator's account, whose rights these programs give up. Folders whose names the code
page of the system cannot write they cannot open.
"""

import hashlib
import os
import secrets
import socket
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

import psycopg

from facesets.errors import Command, FacesetsError, WrongUsage
from facesets.files import printable
from facesets.store.postgres.refusals import refusal
from facesets.store.postgres.server import postmaster
from facesets.store.postgres.server.accounts import Account, placing
from facesets.store.postgres.server.configuration import USER
from facesets.store.postgres.server.programs import Programs

HAS_SOCKETS = hasattr(socket, "AF_UNIX") and os.name != "nt"
"""Whether this system has sockets in folders."""

LABEL = "the embedded PostgreSQL"
_LONGEST_SOCKET_DIRECTORY = 90
_HOST = "127.0.0.1"
_PASSWORD_BYTES = 32


class Endpoint(Protocol):
    """What the server and its clients need to know about the way between them."""

    @property
    def directory(self) -> Path:
        """A folder that only the server's account may enter."""
        ...

    def parameters(self) -> dict[str, str]:
        """What to connect with, as libpq calls it."""
        ...

    def url(self, database: str) -> str:
        """The same as a URL, for other programs."""
        ...

    def authentication(self, account: Account) -> list[str]:
        """Arguments for `initdb`: whom the new server lets in."""
        ...

    def options(self, programs: Programs) -> list[str]:
        """Arguments for the server, which is to be started now."""
        ...

    def alive_pid(self, programs: Programs) -> int | None:
        """The process of the server, if it lives or may live."""
        ...

    def is_taken(self) -> bool:
        """Whether a server whose process is not to be seen is there."""
        ...

    def forget_dead(self) -> None:
        """Remove what a dead server left behind, so that a new one starts."""
        ...

    def leave_to_others(self) -> None:
        """Look elsewhere for the server: it is not the one that answers here."""
        ...

    def refusal(self, error: psycopg.OperationalError) -> FacesetsError:
        """Why the server lets nobody in."""
        ...


@dataclass(frozen=True, slots=True)
class SocketEndpoint:
    """A socket in a folder. Whoever may enter the folder is let in."""

    base: Path

    @property
    def directory(self) -> Path:
        """Where the socket lies; the system limits how long that path may be."""
        own = self.base / "run"
        if len(os.fsencode(own)) <= _LONGEST_SOCKET_DIRECTORY:
            return own
        name = hashlib.sha256(os.fsencode(self.base)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"facesets-{name}"

    def parameters(self) -> dict[str, str]:
        """The folder."""
        return {"host": str(self.directory), "user": USER}

    def url(self, database: str) -> str:
        """The folder as a host."""
        return f"postgresql://{USER}@/{database}?host={quote(str(self.directory), safe='')}"

    def authentication(self, account: Account) -> list[str]:  # noqa: ARG002
        """Whoever reaches the socket."""
        return ["-A", "trust"]

    def options(self, programs: Programs) -> list[str]:  # noqa: ARG002
        """Where the socket is to be."""
        return ["-k", str(self.directory)]

    def alive_pid(self, programs: Programs) -> int | None:  # noqa: ARG002
        """By what the system shows of processes: the server may be one in a container."""
        return postmaster.alive_pid(self.base / "data")

    def is_taken(self) -> bool:
        """Whether somebody holds the socket open."""
        return postmaster.listens(self.directory)

    def forget_dead(self) -> None:
        """Remove its number and its socket."""
        postmaster.forget_dead(self.base / "data", self.directory)

    def leave_to_others(self) -> None:
        """Nobody else can be here."""

    def refusal(self, error: psycopg.OperationalError) -> FacesetsError:
        """What libpq says of it."""
        return refusal(error, LABEL)


@dataclass(frozen=True, slots=True)
class LoopbackEndpoint:
    """A port of this machine alone. Whoever has the password is let in."""

    base: Path

    @property
    def directory(self) -> Path:
        """Where port and password lie."""
        return self.base / "run"

    def parameters(self) -> dict[str, str]:
        """The port, the password, and that the server is to prove that it knows it."""
        return {
            "host": _HOST,
            "port": str(self._port()),
            "user": USER,
            "password": self._password(),
            "require_auth": "scram-sha-256",
            "sslmode": "disable",
            "gssencmode": "disable",
        }

    def url(self, database: str) -> str:
        """Port and password, in the form that all programs know."""
        return f"postgresql://{USER}:{self._password()}@{_HOST}:{self._port()}/{database}?sslmode=disable"

    def authentication(self, account: Account) -> list[str]:
        """Whoever knows a new password."""
        self._keep_password(secrets.token_urlsafe(_PASSWORD_BYTES), account)
        return ["-A", "scram-sha-256", f"--pwfile={self._password_file}"]

    def options(self, programs: Programs) -> list[str]:
        """The port of last time unless somebody else has it; a password that was lost is made anew."""
        if not self._password():
            fresh = secrets.token_urlsafe(_PASSWORD_BYTES)
            single: list[str | Path] = ["--single", "-D", self.base / "data", "postgres"]
            programs.run("postgres", single, f"ALTER ROLE {USER} PASSWORD '{fresh}'\n")
            self._keep_password(fresh, programs.account)
        port = self._port()
        if not (port and _is_free(port)):
            port = _free_port()
            with placing(self._port_file):
                self._port_file.write_text(str(port), "utf-8")
        return [f"-p{port}", f"-clisten_addresses={_HOST}", "-cunix_socket_directories="]

    def alive_pid(self, programs: Programs) -> int | None:
        """By what PostgreSQL says, which alone can tell on Windows."""
        if programs.obeys("pg_ctl", ["-D", self.base / "data", "status"]):
            return postmaster.recorded_pid(self.base / "data")
        return None

    def is_taken(self) -> bool:
        """A port says nothing about whose it is."""
        return False

    def forget_dead(self) -> None:
        """PostgreSQL does that itself, for it knows who is alive."""

    def leave_to_others(self) -> None:
        """Let the next start choose another port, if somebody else has this one."""
        if not _is_free(self._port()):
            self._port_file.unlink(missing_ok=True)

    def refusal(self, error: psycopg.OperationalError) -> FacesetsError:
        """That the password is wrong, and how to get another."""
        if "password" not in str(error):
            return refusal(error, LABEL)
        return WrongUsage(
            f"The embedded PostgreSQL refuses the password in {printable(self._password_file)}. Run "
            f"{Command('db stop')}, remove that file, then try again: the server gets a new one."
        )

    @property
    def _password_file(self) -> Path:
        return self.directory / "password"

    @property
    def _port_file(self) -> Path:
        return self.directory / "port"

    def _password(self) -> str:
        return _read(self._password_file)

    def _port(self) -> int:
        """Where the server is; 0, which libpq refuses, where it was never started."""
        text = _read(self._port_file)
        return int(text) if text.isascii() and text.isdigit() and int(text) < 1 << 16 else 0

    def _keep_password(self, password: str, account: Account) -> None:
        with placing(self._password_file):
            self._password_file.unlink(missing_ok=True)
            self._password_file.touch(mode=0o600)
            if not account.is_me:
                os.chown(self._password_file, account.uid, account.gid)
            self._password_file.write_text(password + "\n", "utf-8")


def _read(path: Path) -> str:
    with suppress(OSError, UnicodeDecodeError):
        return path.read_text("utf-8").strip()
    return ""


def _is_free(port: int) -> bool:
    try:
        socket.create_server((_HOST, port)).close()
    except OSError:
        return False
    return True


def _free_port() -> int:
    with socket.create_server((_HOST, 0)) as found:
        return int(found.getsockname()[1])
