"""How clients connect to the embedded server: by a private socket, or over loopback.

Loopback is for systems without such sockets (Windows), and works on all. All accounts can connect to it, so
the server requires a password, stored in a folder of its account. Since other programs may listen on the port
while the server is stopped, clients send the password only to a server that proves to know it.

None of this was tested on Windows itself. PostgreSQL's programs for Windows were tested on Wine: creating,
starting, probing and stopping a server. Not tested are locks by `msvcrt`, the keeper without a window, and an
administrator's account, whose rights these programs give up. They cannot open folders whose names the
system's code page cannot represent.
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
"""Whether this system has Unix sockets."""

LABEL = "the embedded PostgreSQL"
_MAX_SOCKET_DIRECTORY_LENGTH = 90
_HOST = "127.0.0.1"
_PASSWORD_BYTES = 32


class Endpoint(Protocol):
    """The connection between the server and its clients."""

    @property
    def directory(self) -> Path:
        """A folder that only the server's account may enter."""
        ...

    def parameters(self) -> dict[str, str]:
        """The libpq connection parameters."""
        ...

    def url(self, database: str) -> str:
        """The connection URL, for other programs."""
        ...

    def authentication(self, account: Account) -> list[str]:
        """The arguments of `initdb` for authentication."""
        ...

    def options(self, programs: Programs) -> list[str]:
        """Return the arguments to start the server."""
        ...

    def alive_pid(self, programs: Programs) -> int | None:
        """The process of the server, if it lives or may live."""
        ...

    def is_taken(self) -> bool:
        """Whether a server with an invisible process is running."""
        ...

    def forget_dead(self) -> None:
        """Remove the leftovers of a dead server, so that a new one can start."""
        ...

    def leave_to_others(self) -> None:
        """Give up this address because another server answers there."""
        ...

    def refusal(self, error: psycopg.OperationalError) -> FacesetsError:
        """Explain why the server refuses connections."""
        ...


@dataclass(frozen=True, slots=True)
class SocketEndpoint:
    """A socket in a folder; access to the folder grants access to the server."""

    base: Path

    @property
    def directory(self) -> Path:
        """The folder of the socket; the system limits its path length."""
        own = self.base / "run"
        if len(os.fsencode(own)) <= _MAX_SOCKET_DIRECTORY_LENGTH:
            return own
        name = hashlib.sha256(os.fsencode(self.base)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"facesets-{name}"

    def parameters(self) -> dict[str, str]:
        """The folder as a libpq host."""
        return {"host": str(self.directory), "user": USER}

    def url(self, database: str) -> str:
        """The folder as a host."""
        return f"postgresql://{USER}@/{database}?host={quote(str(self.directory), safe='')}"

    def authentication(self, account: Account) -> list[str]:  # noqa: ARG002
        """Trust everyone who reaches the socket."""
        return ["-A", "trust"]

    def options(self, programs: Programs) -> list[str]:  # noqa: ARG002
        """The options for the socket."""
        return ["-k", str(self.directory)]

    def alive_pid(self, programs: Programs) -> int | None:  # noqa: ARG002
        """Find the process in the system's process list."""
        return postmaster.alive_pid(self.base / "data")

    def is_taken(self) -> bool:
        """Whether a process holds the socket open."""
        return postmaster.listens(self.directory)

    def forget_dead(self) -> None:
        """Remove its process id and its socket."""
        postmaster.forget_dead(self.base / "data", self.directory)

    def leave_to_others(self) -> None:
        """Do nothing: no other server can use this folder."""

    def refusal(self, error: psycopg.OperationalError) -> FacesetsError:
        """Return the message of libpq."""
        return refusal(error, LABEL)


@dataclass(frozen=True, slots=True)
class LoopbackEndpoint:
    """A loopback port, protected by a password."""

    base: Path

    @property
    def directory(self) -> Path:
        """The folder of port and password."""
        return self.base / "run"

    def parameters(self) -> dict[str, str]:
        """The port and password, with authentication of the server."""
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
        """The connection URL with port and password."""
        return f"postgresql://{USER}:{self._password()}@{_HOST}:{self._port()}/{database}?sslmode=disable"

    def authentication(self, account: Account) -> list[str]:
        """Require a new password."""
        self._store_password(secrets.token_urlsafe(_PASSWORD_BYTES), account)
        return ["-A", "scram-sha-256", f"--pwfile={self._password_file}"]

    def options(self, programs: Programs) -> list[str]:
        """Reuse the last port if it is free; replace a lost password."""
        if not self._password():
            fresh = secrets.token_urlsafe(_PASSWORD_BYTES)
            single: list[str | Path] = ["--single", "-D", self.base / "data", "postgres"]
            programs.run("postgres", single, f"ALTER ROLE {USER} PASSWORD '{fresh}'\n")
            self._store_password(fresh, programs.account)
        port = self._port()
        if not (port and _is_free(port)):
            port = _free_port()
            with placing(self._port_file):
                self._port_file.write_text(str(port), "utf-8")
        return [f"-p{port}", f"-clisten_addresses={_HOST}", "-cunix_socket_directories="]

    def alive_pid(self, programs: Programs) -> int | None:
        """Find the process by PostgreSQL's own record."""
        if programs.obeys("pg_ctl", ["-D", self.base / "data", "status"]):
            return postmaster.recorded_pid(self.base / "data")
        return None

    def is_taken(self) -> bool:
        """Always False: a port does not tell its owner."""
        return False

    def forget_dead(self) -> None:
        """Do nothing: PostgreSQL does that itself."""

    def leave_to_others(self) -> None:
        """Let the next start choose another port if this one is taken."""
        if not _is_free(self._port()):
            self._port_file.unlink(missing_ok=True)

    def refusal(self, error: psycopg.OperationalError) -> FacesetsError:
        """Explain that the password is wrong, and how to replace it."""
        if "password" not in str(error):
            return refusal(error, LABEL)
        return WrongUsage(
            f"The embedded PostgreSQL refuses the password in {printable(self._password_file)}. Run "
            f"{Command('db stop')}, delete that file, then try again: a new password is created."
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
        """Return the server's port; 0 if it was never started."""
        text = _read(self._port_file)
        return int(text) if text.isascii() and text.isdigit() and int(text) < 1 << 16 else 0

    def _store_password(self, password: str, account: Account) -> None:
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
