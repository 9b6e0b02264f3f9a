"""Detect whether a server is running, even after a crash.

When killed, PostgreSQL leaves `postmaster.pid` and its socket's lock behind. The process id in them may
belong to no process, to another process (usually in a restarted container), or to a dead process that was not
reaped (if process 1 of a container does not reap). PostgreSQL then refuses to start; this module
distinguishes the three. If the system does not show enough, a server counts as alive: two servers on one
directory would destroy it.
"""

import os
import socket
import time
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

_LEFTOVERS_END_WITHIN_S = 30.0
_PROGRAM = "postgres"


def alive_pid(data: Path) -> int | None:
    """Return the process of the server of this data directory, if it may be running."""
    pid = recorded_pid(data)
    return pid if pid is not None and _may_be_server(pid, data) else None


def listens(sockets: Path) -> bool:
    """Whether a process holds a server's socket open, perhaps in another container."""
    return any(_takes(path) for path in sockets.glob(".s.PGSQL.*") if path.suffix != ".lock")


def forget_dead(data: Path, sockets: Path) -> None:
    """Remove the leftovers of a dead server, so that a new one can start.

    Waits for its last processes to end first. If they do not, nothing is removed, and PostgreSQL sees for
    itself whether it may start.
    """
    deadline = time.monotonic() + _LEFTOVERS_END_WITHIN_S
    while _at_work_in(data) and time.monotonic() < deadline:
        time.sleep(0.05)
    if not _at_work_in(data) and alive_pid(data) is None and not listens(sockets):
        for left in (data / "postmaster.pid", *sockets.glob(".s.PGSQL.*")):
            with suppress(FileNotFoundError):
                left.unlink()


def _takes(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(0)
        try:
            connection.connect(os.fspath(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:
            return True
    return True


def recorded_pid(data: Path) -> int | None:
    """Return the process recorded for the server, running or not."""
    try:
        return abs(int((data / "postmaster.pid").read_text("utf-8", "replace").splitlines()[0]))
    except (OSError, ValueError, IndexError):
        return None


def _may_be_server(pid: int, data: Path) -> bool:
    if not _exists(pid):
        return False
    proc = Path("/proc") / str(pid)
    if not proc.exists():
        # The system has no such directory, hides other users' processes, or the process just ended.
        return _exists(pid)
    return not _is_zombie(proc) and _may_work_in(proc, data)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _may_work_in(proc: Path, data: Path) -> bool:
    """Whether a process may have its working directory there, as a server does."""
    try:
        return (proc / "cwd").readlink() == data.resolve()
    except (FileNotFoundError, ProcessLookupError):
        return False
    except OSError:
        return _may_serve(proc, data)


def _may_serve(proc: Path, data: Path) -> bool:
    """Return the same from publicly readable information.

    In a container root lacks CAP_SYS_PTRACE, and may not see the working directories of others' processes.
    """
    arguments = _read(proc / "cmdline").split("\0")
    # Under an emulator the program's own name comes second; a server's process begins with "postgres: ".
    names = {Path(argument).name.partition(":")[0] for argument in arguments[:2]}
    if _PROGRAM not in names | {_name(proc)}:
        return False
    directory = dict(pairwise(arguments)).get("-D", "")
    if directory.startswith("/"):
        return Path(directory).resolve() == data.resolve()
    if _user(proc) not in (None, data.stat().st_uid):
        return False
    parent = Path("/proc") / _parent(proc)
    # Without its postmaster a server's process does not name its data directory.
    return _may_work_in(parent, data) if _name(parent) == _PROGRAM else True


def _is_zombie(proc: Path) -> bool:
    return _stat(proc)[:1] in (["Z"], ["X"]) or not proc.exists()


def _name(proc: Path) -> str:
    return _read(proc / "comm").strip()


def _parent(proc: Path) -> str:
    return next(iter(_stat(proc)[1:]), "0")


def _stat(proc: Path) -> list[str]:
    """Return the fields of a process status after its name."""
    return _read(proc / "stat").rpartition(")")[2].split()


def _user(proc: Path) -> int | None:
    """Return the effective user of a process."""
    for line in _read(proc / "status").splitlines():
        if line.startswith("Uid:"):
            return int(line.split()[2])
    return None


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", "surrogateescape")
    except OSError:
        return ""


def _at_work_in(data: Path) -> bool:
    processes = Path("/proc").glob("[0-9]*") if Path("/proc/self").exists() else []
    return any(_may_work_in(proc, data) and not _is_zombie(proc) for proc in processes)
