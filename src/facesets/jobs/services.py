"""Whether a machine-learning service can do what a job needs.

A service that loads a model first, or hangs, is not waited for: it is tried beside a worker's other work.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from facesets.assembly.describing import service_client
from facesets.errors import CannotInfer, Unreachable, WrongUsage
from facesets.files import printable
from facesets.jobs.orders import Needs
from facesets.remote.ml_service import MlService
from facesets.remote.service_embedder import service_model
from facesets.stop import Stop
from facesets.store.postgres.library import Library

_EDGE = 64
"""Pixels of the picture that a service is tried with."""

_WAITED_S = 1.0
"""For a service that answers at once: what comes of another is seen the next time it is asked for."""


class BeingTried(str):
    """Why a service does not do what a job needs: nobody knows yet whether it does."""

    __slots__ = ()


class _Trial(threading.Thread):
    """Finds out in a thread why a service does not do something; the end of the program does not wait."""

    def __init__(self, find_out: Callable[[], str]) -> None:
        super().__init__(name="trial of a service", daemon=True)
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


@dataclass(frozen=True, slots=True)
class TriedServices:
    """What services were found to do, each with its model: loading one may take them a minute."""

    _fit: set[tuple[str, str]] = field(default_factory=set)
    _going: dict[tuple[str, str, bool], _Trial] = field(default_factory=dict)

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
        if own and known is not None and service_model(known) is None and not needs.service:
            of_library = f"the library's faces come from the model pack {printable(known.pack)}"
            foreign = f"{of_library}, not from {service}"
        is_tried = own is None or (uri, pack) in self._fit
        key = (uri, pack, is_tried)
        trial = self._going.get(key)
        if trial is None:
            trial = self._going[key] = _Trial(lambda: _found_out(client, foreign, is_tried=is_tried))
            trial.start()
            trial.join(_WAITED_S)
        else:
            client.close()
        if trial.is_alive():
            return BeingTried(f"{service} is being tried")
        del self._going[key]
        lacking = trial.result()
        if not lacking and own is not None:
            self._fit.add((uri, pack))
        return lacking


def _found_out(client: MlService, foreign: str, *, is_tried: bool) -> str:
    """Why a service does not do what is needed, by asking it.

    Parameters
    ----------
    foreign : str
        Why it could not though it answered; empty where it can.
    is_tried : bool
        It did before, or need not be tried: it is only to answer.
    """
    service = f"the machine-learning service {client.label}"
    try:
        if not client.answers():
            return f"{service} does not answer"
        if is_tried or foreign:
            return foreign
        client.embed([np.zeros((_EDGE, _EDGE, 3), np.uint8)])
    except (CannotInfer, Unreachable):
        return f"{service} does not work with the model {printable(client.settings.recogniser)}"
    finally:
        client.close()
    return ""
