"""Slow checks in the background: of services and folders.

A service loads a model first, or hangs; a network drive without its server blocks the caller.
"""

import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from facesets.assembly.commands import Needs
from facesets.assembly.describing import service_client
from facesets.errors import CannotInfer, Field, Unreachable, WrongUsage
from facesets.files import has_something, printable
from facesets.records import CacheSettings
from facesets.remote.ml_service import MlService
from facesets.remote.service_embedder import service_model
from facesets.store.postgres.library import Library
from facesets.work import Stop

TRIED_WITH = 64
"""Edge length in pixels of the picture that a service is tested with."""

_WAITED_S = 1.0
"""Wait this long for quick results; slower ones are returned by a later call."""

_LOOKS_AGAIN_S = 0.2

_ANSWERS_WITHIN_S = 10.0
"""Maximum wait for a drive, long enough for a sleeping disk to spin up."""


class BeingTried(str):
    """The reason while a check is still running."""

    __slots__ = ()


class _Trial(threading.Thread):
    """Runs a check in a daemon thread."""

    def __init__(self, find_out: Callable[[], str]) -> None:
        super().__init__(name="trial", daemon=True)
        self.began_s = time.monotonic()
        self._find_out = find_out
        self._lacking = ""
        self._error: Exception | None = None

    def run(self) -> None:
        """Run the check."""
        try:
            self._lacking = self._find_out()
        except Exception as error:  # noqa: BLE001 - raised again where it is asked for
            self._error = error

    def result(self) -> str:
        """Return the result of the check, or raise its error, once it has ended."""
        if self._error is not None:
            raise self._error
        return self._lacking


class Trials:
    """Checks in progress, one per key. Safe to use from several threads."""

    def __init__(self) -> None:
        """Begin without checks."""
        self._going: dict[Hashable, _Trial] = {}
        self._lock = threading.Lock()

    def begin(self, key: Hashable, find_out: Callable[[], str]) -> bool:
        """Start a check and wait a moment for it; False if it is already running."""
        with self._lock:
            if key in self._going:
                return False
            trial = self._going[key] = _Trial(find_out)
            trial.start()
        trial.join(_WAITED_S)
        return True

    def result(self, key: Hashable) -> str | None:
        """Return the result once; None while the check runs."""
        with self._lock:
            trial = self._going.get(key)
            if trial is None or trial.is_alive():
                return None
            del self._going[key]
        return trial.result()

    def lasts_s(self, key: Hashable) -> float:
        """Return how long the check has been running."""
        trial = self._going.get(key)
        return 0.0 if trial is None else time.monotonic() - trial.began_s


def tried_once(find_out: Callable[[], str], stop: Stop, *, ends_within_s: float) -> str | None:
    """Run a check and wait for it; None if it does not end in time."""
    trial = _Trial(find_out)
    trial.start()
    while trial.is_alive() and time.monotonic() - trial.began_s < ends_within_s and not stop.requested:
        trial.join(_LOOKS_AGAIN_S)
    return None if trial.is_alive() else trial.result()


@dataclass(frozen=True, slots=True)
class TriedDrives:
    """Checks folders that may be on a drive that does not respond."""

    _trials: Trials = field(default_factory=Trials)

    def lacks_folder(self, folder: str) -> str:
        """Return why a folder has nothing to read; empty if it has, `BeingTried` if the check is slow."""
        name = printable(folder)
        return self.lacks(
            folder, lambda: "" if has_something(Path(folder)) else f"{name} is empty or missing", name
        )

    def lacks(self, key: Hashable, find_out: Callable[[], str], place: str) -> str:
        """Return what is lacking at a place, or `BeingTried` if the check is slow.

        Parameters
        ----------
        key : hashable
            The subject of the check; each is checked once at a time.
        """
        self._trials.begin(key, find_out)
        lacking = self._trials.result(key)
        if lacking is not None:
            return lacking
        if self._trials.lasts_s(key) < _ANSWERS_WITHIN_S:
            return BeingTried(f"{place} is being checked")
        return f"the drive of {place} does not respond"


@dataclass(frozen=True, slots=True)
class TriedServices:
    """Checks of services with their models; loading one may take a minute."""

    _fit: set[tuple[str, str]] = field(default_factory=set)
    _trials: Trials = field(default_factory=Trials)

    def lacks(self, own: str | None, needs: Needs, library: Library) -> str:
        """Return why a service cannot do a job; empty if it can, `BeingTried` during the check.

        Parameters
        ----------
        own : str or None
            Address of the worker's service; None for the one named by the job.

        Raises
        ------
        WrongUsage
            The worker's address is invalid.
        """
        known = library.settings
        uri = own or needs.service
        try:
            client = service_client(uri, known, (needs.pack or None, None, None), stop=Stop(), waits_s=())
        except WrongUsage:
            if own:
                raise
            return "it has no valid address of a machine-learning service"
        service = f"the machine-learning service {client.label}"
        pack = client.settings.pack
        foreign = ""
        if own and needs.faces and known is not None and service_model(known) is None and not needs.service:
            of_library = f"the library's faces come from the model pack {printable(known.pack)}"
            without = f"start the worker without {Field('ml_uri')}, on a host with that pack"
            foreign = f"{of_library}, not from {service}: {without}"
        is_tried = not needs.faces or (uri, pack) in self._fit
        unfit = _without_model(client, own, needs, known)
        # The result for one job does not apply to another, which may need something else of the service.
        key = (uri, pack, is_tried, foreign, unfit)
        if not self._trials.begin(key, lambda: _found_out(client, foreign, unfit, is_tried=is_tried)):
            client.close()
        lacking = self._trials.result(key)
        if lacking is None:
            return BeingTried(f"{service} is being checked")
        if not lacking and needs.faces:
            self._fit.add((uri, pack))
        return lacking


def _without_model(client: MlService, own: str | None, needs: Needs, known: CacheSettings | None) -> str:
    """Explain that a service lacks the needed model."""
    if needs.pack:
        source = "which the job names"
    elif known is not None and service_model(known) is not None:
        source = "from which the library's faces come"
    else:
        source = "the default"
    start = f"start the worker with {Field('ml_uri', 'URL')} of a service that has it"
    advice = start if own else "name another service when queueing the job"
    return (
        f"the machine-learning service {client.label} does not work with the model "
        f"{printable(client.settings.recognizer)}, {source}: load it there, or {advice}"
    )


def _found_out(client: MlService, foreign: str, unfit: str, *, is_tried: bool) -> str:
    """Ask a service and return why it cannot be used.

    Parameters
    ----------
    foreign : str
        Why it cannot be used even if it answers; empty if it can.
    unfit : str
        Why it cannot be used if it rejects a picture.
    is_tried : bool
        It was tested before, or need not be: only check that it answers.
    """
    try:
        if not client.answers():
            return f"the machine-learning service {client.label} is not responding"
        if is_tried or foreign:
            return foreign
        client.embed([np.zeros((TRIED_WITH, TRIED_WITH, 3), np.uint8)])
    except (CannotInfer, Unreachable):
        return unfit
    finally:
        client.close()
    return ""
