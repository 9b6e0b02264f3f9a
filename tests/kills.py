"""Work that is killed in the middle, at a moment that does not depend on the machine."""

import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Any

_CHANGES = frozenset(
    {"os.rename", "os.remove", "os.link", "os.symlink", "os.mkdir", "os.rmdir", "os.truncate", "os.utime"}
)


def in_a_child(work: Callable[[], object], kill_at: int) -> bool:
    """Do some work in a process that is killed before its n-th change to files; whether it was killed.

    A change is a file that is opened for writing, renamed, linked or removed, or a folder that is made or
    removed.
    """
    child = os.fork()
    if child == 0:
        try:
            left = kill_at

            def counted(event: str, args: tuple[Any, ...]) -> None:
                nonlocal left
                if event in _CHANGES or (event == "open" and _is_for_writing(args)):
                    left -= 1
                    if left == 0:
                        os.kill(os.getpid(), signal.SIGKILL)

            sys.addaudithook(counted)
            work()
            os._exit(0)
        except BaseException:  # noqa: BLE001 - the parent sees that the child failed
            traceback.print_exc()
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, status
    return os.WIFSIGNALED(status)


def _is_for_writing(args: tuple[Any, ...]) -> bool:
    """Whether a file is opened that may then be changed; one that is open already has no path."""
    path, _, flags = args
    return not isinstance(path, int) and bool(flags & (os.O_WRONLY | os.O_RDWR)) and path != os.devnull
