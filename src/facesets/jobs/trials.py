"""What may take long to find out, found out beside other work: whether a service works, what is in a folder.

A service loads a model first, or hangs; a network drive whose server is gone holds whoever looks at it.
"""

import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from pathlib import Path

from facesets.files import has_something, printable
from facesets.stop import Stop

_WAITED_S = 1.0
"""For what is known at once: what comes of anything else is seen the next time it is asked for."""

_LOOKS_AGAIN_S = 0.2

_ANSWERS_WITHIN_S = 10.0
"""A disk that sleeps has begun to turn by then."""


class BeingTried(str):
    """Why something does not do what a job needs: nobody knows yet whether it does."""

    __slots__ = ()


class _Trial(threading.Thread):
    """Finds out in a thread why something does not do; the end of the program does not wait."""

    def __init__(self, find_out: Callable[[], str]) -> None:
        super().__init__(name="trial", daemon=True)
        self.began_s = time.monotonic()
        self._find_out = find_out
        self._lacking = ""
        self._error: Exception | None = None

    def run(self) -> None:
        """Find out."""
        try:
            self._lacking = self._find_out()
        except Exception as error:  # noqa: BLE001 - raised again where it is asked for
            self._error = error

    def result(self) -> str:
        """What was found out, or what went wrong, once it has ended."""
        if self._error is not None:
            raise self._error
        return self._lacking


class Trials:
    """What is being found out, by a key; of one key one thing at a time. Safe to use from several threads."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._going: dict[Hashable, _Trial] = {}
        self._lock = threading.Lock()

    def begin(self, key: Hashable, find_out: Callable[[], str]) -> bool:
        """Find something out, and wait a moment for it; False if that is going on already."""
        with self._lock:
            if key in self._going:
                return False
            trial = self._going[key] = _Trial(find_out)
            trial.start()
        trial.join(_WAITED_S)
        return True

    def result(self, key: Hashable) -> str | None:
        """What was found out, once; None as long as nobody knows."""
        with self._lock:
            trial = self._going.get(key)
            if trial is None or trial.is_alive():
                return None
            del self._going[key]
        return trial.result()

    def lasts_s(self, key: Hashable) -> float:
        """Since when it has been going on."""
        trial = self._going.get(key)
        return 0.0 if trial is None else time.monotonic() - trial.began_s


def tried_once(find_out: Callable[[], str], stop: Stop, *, ends_within_s: float) -> str | None:
    """What is found out where there is nothing else to do meanwhile; None if that does not end in time."""
    trial = _Trial(find_out)
    trial.start()
    while trial.is_alive() and time.monotonic() - trial.began_s < ends_within_s and not stop.requested:
        trial.join(_LOOKS_AGAIN_S)
    return None if trial.is_alive() else trial.result()


@dataclass(frozen=True, slots=True)
class TriedDrives:
    """Looks at what may lie on a drive that does not answer: folders of photos, and model packs."""

    _trials: Trials = field(default_factory=Trials)

    def lacks_folder(self, folder: str) -> str:
        """Why there is nothing to read in a folder; empty if there is, `BeingTried` if that takes long."""
        name = printable(folder)
        return self.lacks(
            folder, lambda: "" if has_something(Path(folder)) else f"there is nothing in {name}", name
        )

    def lacks(self, key: Hashable, find_out: Callable[[], str], place: str) -> str:
        """What a look at a place finds lacking, and whether that takes long, likewise.

        Parameters
        ----------
        key : hashable
            What is looked for: once at a time.
        """
        self._trials.begin(key, find_out)
        lacking = self._trials.result(key)
        if lacking is not None:
            return lacking
        if self._trials.lasts_s(key) < _ANSWERS_WITHIN_S:
            return BeingTried(f"{place} is being looked at")
        return f"the drive of {place} does not answer"
