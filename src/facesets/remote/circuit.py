"""A circuit breaker: many failures in a row mean that the server is down."""

import threading
from collections.abc import Callable

from facesets.errors import Unreachable

CONSECUTIVE_ERRORS = 12
_PROBES_WITHOUT_SUCCESS = 3


class Circuit:
    """Counts failures in a row over all threads, and ends the run if the server is down.

    After `limit` of them the server is probed once, while every other thread waits for the verdict. A server
    that answers the probe gets another `limit` failures; one that answers only probes counts as down.
    """

    def __init__(
        self,
        label: str,
        probe: Callable[[], bool],
        *,
        limit: int = CONSECUTIVE_ERRORS,
        before_probe: Callable[[], None] = lambda: None,
        advice: str = "",
    ) -> None:
        """Start closed.

        Parameters
        ----------
        label : str
            What to call the server in messages.
        probe : callable
            Whether the server answers at all.
        limit : int
            Failures in a row that it takes.
        before_probe : callable
            Waits, so that a link has time to come back.
        advice : str
            What to look at where the server answers the probes and nothing else.
        """
        self._label = label
        self._probe = probe
        self._limit = limit
        self._before_probe = before_probe
        self._advice = advice
        self._lock = threading.Lock()
        self._failures = self._probes = 0
        self._open = self._answers = False

    def check(self) -> None:
        """Pass while the circuit is closed; wait while a probe is under way.

        Raises
        ------
        Unreachable
            The server is down.
        """
        with self._lock:
            self._raise_if_open()

    def succeeded(self) -> None:
        """Record a success."""
        with self._lock:
            self._failures = self._probes = 0

    def failed(self) -> None:
        """Record a failure; the last one allowed probes the server.

        Raises
        ------
        Unreachable
            The server is down, by this probe or an earlier one.
        """
        with self._lock:
            self._raise_if_open()
            self._failures += 1
            if self._failures < self._limit:
                return
            self._before_probe()
            self._probes += 1
            self._answers = self._probe()
            self._open = self._probes > _PROBES_WITHOUT_SUCCESS or not self._answers
            self._failures = 0
            self._raise_if_open()

    def _raise_if_open(self) -> None:
        if not self._open:
            return
        retry = "Results so far are saved; run the same command again when it is"
        if self._answers:
            advice = f" {self._advice}" if self._advice else ""
            raise Unreachable(f"{self._label} responds, but every request fails.{advice} {retry} working.")
        raise Unreachable(f"{self._label} stopped responding. {retry} back.")
