"""Whether a server is alive, told from what a crash leaves behind.

PostgreSQL leaves `postmaster.pid` and its socket's lock behind when it is killed. The number in them may
belong to nobody, to another process (in a restarted container usually), or to a dead process that nobody
has reaped (where process 1 of a container does not). PostgreSQL then refuses to start; here the three
are told apart.
"""

import os
import time
from contextlib import suppress
from pathlib import Path

_LEFTOVERS_END_WITHIN_S = 30.0


def alive_pid(data: Path) -> int | None:
    """The process of the server on this data directory, if it lives."""
    pid = _recorded_pid(data)
    return pid if pid is not None and _is_server(pid, data) else None


def forget_dead(data: Path, sockets: Path) -> None:
    """Remove what a dead server left behind in its data and socket directories, so that a new one starts.

    Waits for its last processes to end first: two servers on one directory would destroy it.
    """
    deadline = time.monotonic() + _LEFTOVERS_END_WITHIN_S
    while _at_work_in(data) and time.monotonic() < deadline:
        time.sleep(0.05)
    if not _at_work_in(data) and alive_pid(data) is None:
        for left in (data / "postmaster.pid", *sockets.glob(".s.PGSQL.*")):
            with suppress(FileNotFoundError):
                left.unlink()


def _recorded_pid(data: Path) -> int | None:
    try:
        return abs(int((data / "postmaster.pid").read_text("utf-8", "replace").splitlines()[0]))
    except (OSError, ValueError, IndexError):
        return None


def _is_server(pid: int, data: Path) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    proc = Path("/proc") / str(pid)
    if not proc.exists():
        return not Path("/proc/self").exists()
    return not _is_zombie(proc) and _works_in(proc, data)


def _is_zombie(proc: Path) -> bool:
    try:
        return (proc / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()[0] == "Z"
    except (OSError, IndexError):
        return True


def _works_in(proc: Path, data: Path) -> bool:
    """Whether a process has its working directory there, as all of a server's have."""
    try:
        return (proc / "cwd").readlink() == data.resolve()
    except OSError:
        return False


def _at_work_in(data: Path) -> bool:
    processes = Path("/proc").glob("[0-9]*") if Path("/proc/self").exists() else []
    return any(_works_in(proc, data) and not _is_zombie(proc) for proc in processes)
