"""Whether a machine-learning service can do what a job needs.

A service that loads a model first, or hangs, is not waited for: it is tried beside a worker's other work.
"""

from dataclasses import dataclass, field

import numpy as np

from facesets.assembly.commands import Needs
from facesets.assembly.describing import service_client
from facesets.errors import CannotInfer, Field, Unreachable, WrongUsage
from facesets.files import printable
from facesets.jobs.trials import BeingTried, Trials
from facesets.records import CacheSettings
from facesets.remote.ml_service import MlService
from facesets.remote.service_embedder import service_model
from facesets.stop import Stop
from facesets.store.postgres.library import Library

TRIED_WITH = 64
"""Pixels of each edge of the picture that a service is tried with."""


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
