"""Work that is killed in the middle, at a moment that does not depend on the machine."""

import os
import signal
import traceback
from collections.abc import Callable
from pathlib import Path


def in_a_child(work: Callable[[], object], kill_at: int) -> bool:
    """Do some work in a process that is killed when it makes its n-th file; whether it was killed."""
    child = os.fork()
    if child == 0:
        try:
            left = kill_at
            replace = Path.replace

            def counted(self: Path, target: Path) -> Path:
                nonlocal left
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                return replace(self, target)

            Path.replace = counted  # type: ignore[method-assign, assignment]
            work()
            os._exit(0)
        except BaseException:  # noqa: BLE001 - the parent sees that the child failed
            traceback.print_exc()
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, status
    return os.WIFSIGNALED(status)
