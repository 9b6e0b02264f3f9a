"""What may take long to find out, found out beside other work: whether a service works, what is in a folder.

A service loads a model first, or hangs; a network drive whose server is gone holds whoever looks at it.
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
"""Pixels of each edge of the picture that a service is tried with."""

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


@dataclass(frozen=True, slots=True)
class TriedServices:
    """What services were found to do, each with its model: loading one may take them a minute."""

    _fit: set[tuple[str, str]] = field(default_factory=set)
    _trials: Trials = field(default_factory=Trials)

    def lacks(self, own: str | None, needs: Needs, library: Library) -> str:
        """Why a service does not do what a job needs; empty if it does, `BeingTried` if that takes a moment.

        Parameters
        ----------
        own : str or None
            Address of the service that a worker has; None for the one that the job names.

        Raises
        ------
        WrongUsage
            The worker's address cannot be one.
        """
        known = library.settings
        uri = own or needs.service
        try:
            client = service_client(uri, known, (needs.pack or None, None, None), stop=Stop(), waits_s=())
        except WrongUsage:
            if own:
                raise
            return "it names no valid address of a machine-learning service"
        service = f"the machine-learning service {client.label}"
        pack = client.settings.pack
        foreign = ""
        if own and needs.faces and known is not None and service_model(known) is None and not needs.service:
            of_library = f"the library's faces come from the model pack {printable(known.pack)}"
            without = f"start the worker without {Field('ml_uri')}, where that pack is"
            foreign = f"{of_library}, not from {service}: {without}"
        is_tried = not needs.faces or (uri, pack) in self._fit
        unfit = _without_model(client, own, needs, known)
        # What is found out for one job is not said of another, which may need something else of the service.
        key = (uri, pack, is_tried, foreign, unfit)
        if not self._trials.begin(key, lambda: _found_out(client, foreign, unfit, is_tried=is_tried)):
            client.close()
        lacking = self._trials.result(key)
        if lacking is None:
            return BeingTried(f"{service} is being tried")
        if not lacking and needs.faces:
            self._fit.add((uri, pack))
        return lacking


def _without_model(client: MlService, own: str | None, needs: Needs, known: CacheSettings | None) -> str:
    """What is said of a service that has other models than the one that is needed."""
    if needs.pack:
        whose = "which the job names"
    elif known is not None and service_model(known) is not None:
        whose = "from which the library's faces come"
    else:
        whose = "which is used where none is named"
    start = f"start the worker with {Field('ml_uri', 'URL')} of a service that has it"
    otherwise = start if own else "name another service when it is queued"
    return (
        f"the machine-learning service {client.label} does not work with the model "
        f"{printable(client.settings.recogniser)}, {whose}: load it there, or {otherwise}"
    )


def _found_out(client: MlService, foreign: str, unfit: str, *, is_tried: bool) -> str:
    """Why a service does not do what is needed, by asking it.

    Parameters
    ----------
    foreign : str
        Why it could not though it answered; empty where it can.
    unfit : str
        Why it does not if it refuses a picture.
    is_tried : bool
        It did before, or need not be tried: it is only to answer.
    """
    try:
        if not client.answers():
            return f"the machine-learning service {client.label} does not answer"
        if is_tried or foreign:
            return foreign
        client.embed([np.zeros((TRIED_WITH, TRIED_WITH, 3), np.uint8)])
    except (CannotInfer, Unreachable):
        return unfit
    finally:
        client.close()
    return ""
