"""A process that stops the embedded server when the last command that uses it has ended.

Every command holds a shared lock on one file for as long as it lives, and the system lets go of it
however the command dies. This process waits for the exclusive lock on that file. It runs by itself, as
`python keeper.py LOCK USERS PINNED PG_CTL DATA UID GID`, and imports nothing of the package, so that
it is small and starts at once.
"""

import fcntl
import os
import subprocess
import sys
from pathlib import Path

_STOP_WITHIN_S = "3600"


def main() -> None:
    """Leave the caller's session, then wait and stop the server; a second keeper ends at once."""
    if os.fork():
        os._exit(0)
    os.setsid()
    lock, users, pinned, pg_ctl, data, uid, gid = sys.argv[1:]
    with Path(lock).open("ab") as keeper_lock, Path(users).open("ab") as users_lock:
        try:
            fcntl.flock(keeper_lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return
        fcntl.flock(users_lock, fcntl.LOCK_EX)
        if not Path(pinned).exists():
            _stop(pg_ctl, data, int(uid), int(gid))
        # Let go in this order: who holds the users' lock may then trust that a keeper is waiting if
        # and only if the keeper's lock is taken.
        fcntl.flock(keeper_lock, fcntl.LOCK_UN)


def _stop(pg_ctl: str, data: str, uid: int, gid: int) -> None:
    command = [pg_ctl, "-D", data, "-m", "fast", "-w", "-t", _STOP_WITHIN_S, "stop"]
    drop = os.geteuid() == 0
    subprocess.run(  # noqa: S603 - our own server's program
        command,
        user=uid if drop else None,
        group=gid if drop else None,
        extra_groups=[] if drop else None,
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )


if __name__ == "__main__":
    main()
