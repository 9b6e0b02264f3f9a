"""The flag that long loops ask and that the command line's signal handler sets."""

import signal
import threading

HANGUP = tuple(getattr(signal, name) for name in ("SIGHUP", "SIGBREAK") if hasattr(signal, name))
"""The terminal is closed; of Windows, its window, or Ctrl-Break is pressed."""


class Stop:
    """A request to end cleanly at the next good moment. Safe to set from a signal handler."""

    def __init__(self) -> None:
        self._event = threading.Event()

    @property
    def requested(self) -> bool:
        """Whether somebody asked for the end."""
        return self._event.is_set()

    def request(self) -> None:
        """Ask every loop that looks at this flag to finish what it has and return."""
        self._event.set()
