"""Retry after temporary failures, with interruptible waits."""

import time
from collections.abc import Callable, Sequence
from email.utils import parsedate_to_datetime
from typing import TypeVar

from facesets.work import Stop

_SLICE_S = 0.1
_LONGEST_WAIT_S = 120.0

Result = TypeVar("Result")
Pause = Callable[[float], None]
"""Waits some seconds; raises `Stopped` if the run is asked to stop."""


class TransientError(Exception):
    """A temporary failure.

    Attributes
    ----------
    reason : str
        What went wrong, as part of a sentence.
    wait_s : float
        How long the server asked to be left alone.
    """

    def __init__(self, reason: str, *, wait_s: float = 0.0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.wait_s = wait_s


class Stopped(Exception):
    """The run was asked to stop."""


def doubling(first_wait_s: float, *, attempts: int) -> tuple[float, ...]:
    """Return the waits between attempts, each twice the previous one."""
    return tuple(first_wait_s * 2**i for i in range(attempts - 1))


def retrying(call: Callable[[], Result], waits_s: Sequence[float], pause: Pause) -> Result:
    """Call a function, retrying after each wait.

    Raises
    ------
    TransientError
        The last attempt failed like the others.
    Stopped
        The run was asked to end during a wait.
    """
    for wait_s in waits_s:
        try:
            return call()
        except TransientError as fault:
            pause(min(max(wait_s, fault.wait_s), _LONGEST_WAIT_S))
    return call()


def pausing(stop: Stop) -> Pause:
    """Return a wait that raises `Stopped` if the run is asked to stop."""

    def pause(seconds: float) -> None:
        until = time.monotonic() + seconds
        while not stop.requested:
            left = until - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, _SLICE_S))
        raise Stopped

    return pause


def retry_after_s(header: str | None) -> float:
    """Return the seconds of a `Retry-After` header; 0 if missing or invalid."""
    if header is None:
        return 0.0
    try:
        return max(float(header), 0.0)
    except ValueError:
        pass
    try:
        return max(parsedate_to_datetime(header).timestamp() - time.time(), 0.0)
    except ValueError:
        return 0.0
