"""The context of long work: its progress, its stop flag, and its author."""

import signal
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from facesets.interfaces import Progress

HANGUP = tuple(getattr(signal, name) for name in ("SIGHUP", "SIGBREAK") if hasattr(signal, name))
"""The signal when the terminal is closed; on Windows, when its window is closed or Ctrl-Break is pressed."""


class SilentProgress:
    """Reports nothing: for scripts and for use as a library."""

    def begin(self, what: str, total: int | None = None, *, in_bytes: bool = False) -> None:
        """Ignore the start of a stage."""

    def advance(self, count: int = 1) -> None:
        """Ignore progress."""

    def say(self, line: str) -> None:
        """Ignore a notice."""

    def end(self) -> None:
        """Ignore the end of a stage."""


class Stop:
    """A request to end cleanly at the next good moment. Safe to set from a signal handler."""

    def __init__(self) -> None:
        self._event = threading.Event()

    @property
    def requested(self) -> bool:
        """Whether the end was requested."""
        return self._event.is_set()

    def request(self) -> None:
        """Ask every loop that checks this flag to finish its current item and return."""
        self._event.set()


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """The context of a piece of work; by default without progress and without a stop.

    Attributes
    ----------
    by : str
        Who does it, for the log of changes.
    """

    progress: "Progress" = field(default_factory=SilentProgress)
    stop: Stop = field(default_factory=Stop)
    by: str = ""
