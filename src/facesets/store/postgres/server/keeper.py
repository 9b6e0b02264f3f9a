"""The process that stops the embedded server after its last user, and its locks.

Every command holds a shared lock on one file while it runs, and the system releases it however the command
ends. This process waits for the exclusive lock on that file. It runs separately, as
`python keeper.py LOCK USERS PINNED PG_CTL DATA UID GID`, and imports nothing of the package, so that it is
small and starts at once. The last two are empty if it stops the server as its own user.

Windows has no shared locks here: each shared holder locks one byte of a range, and an exclusive holder locks
all of them.
"""

import errno
import os
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import IO, Any

_STOP_WITHIN_S = "3600"
_SHARES = 1000
_POLL_S = 0.05
_HELD = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)


def _found(module: str) -> Any:  # noqa: ANN401 - of one system or the other, without types on this one
    try:
        return import_module(module)
    except ImportError:
        return None


_fcntl, _msvcrt = _found("fcntl"), _found("msvcrt")


def take(file: IO[bytes], *, shared: bool = False, wait: bool = True) -> bool:
    """Lock a file until it is closed or its holder dies. Returns whether it was locked."""
    while not _take_now(file, shared=shared, wait=wait):
        if not wait:
            return False
        time.sleep(_POLL_S)
    return True


def let_go(file: IO[bytes]) -> None:
    """Release an exclusive lock before the file is closed."""
    if _fcntl:
        _fcntl.flock(file, _fcntl.LOCK_UN)
    else:
        os.lseek(file.fileno(), 0, os.SEEK_SET)
        _msvcrt.locking(file.fileno(), _msvcrt.LK_UNLCK, _SHARES)


def _take_now(file: IO[bytes], *, shared: bool, wait: bool) -> bool:
    """Try to take a lock, waiting if the system can."""
    try:
        if _fcntl:
            how = _fcntl.LOCK_SH if shared else _fcntl.LOCK_EX
            _fcntl.flock(file, how if wait else how | _fcntl.LOCK_NB)
            return True
        return any(_lock(file, place, 1) for place in range(_SHARES)) if shared else _lock(file, 0, _SHARES)
    except BlockingIOError:
        return False


def _lock(file: IO[bytes], place: int, length: int) -> bool:
    os.lseek(file.fileno(), place, os.SEEK_SET)
    try:
        _msvcrt.locking(file.fileno(), _msvcrt.LK_NBLCK, length)
    except OSError as error:
        if error.errno not in _HELD:
            raise
        return False
    return True


def main() -> None:
    """Leave the caller's session, then wait and stop the server; a second keeper ends at once."""
    # Elsewhere the starting process does not wait for it.
    if hasattr(os, "fork"):
        if os.fork():
            os._exit(0)
        os.setsid()
    lock, users, pinned, pg_ctl, data, uid, gid = sys.argv[1:]
    with Path(lock).open("ab") as keeper_lock, Path(users).open("ab") as users_lock:
        if not take(keeper_lock, wait=False):
            return
        take(users_lock)
        if not Path(pinned).exists():
            _stop(pg_ctl, data, uid, gid)
        # Release in this order: a holder of the users' lock may then trust that a keeper is waiting if
        # and only if the keeper's lock is taken.
        let_go(keeper_lock)


def _stop(pg_ctl: str, data: str, uid: str, gid: str) -> None:
    command = [pg_ctl, "-D", data, "-m", "fast", "-w", "-t", _STOP_WITHIN_S, "stop"]
    subprocess.run(  # noqa: S603 - our own server's program
        command,
        user=int(uid) if uid else None,
        group=int(gid) if uid else None,
        extra_groups=[] if uid else None,
        cwd=Path(pg_ctl).anchor,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )


if __name__ == "__main__":
    main()
