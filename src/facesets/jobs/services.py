"""Whether a machine-learning service can do what a job needs."""

from dataclasses import dataclass, field

import numpy as np

from facesets.assembly.describing import service_client
from facesets.errors import CannotInfer, Unreachable, WrongUsage
from facesets.files import printable
from facesets.jobs.orders import Needs
from facesets.remote.service_embedder import service_model
from facesets.stop import Stop
from facesets.store.postgres.library import Library

_EDGE = 64
"""Pixels of the picture that a service is tried with."""


@dataclass(frozen=True, slots=True)
class TriedServices:
    """What services were found to do, each with its model: loading one may take them a minute."""

    _fit: set[tuple[str, str]] = field(default_factory=set)

    def lacks(self, own: str | None, needs: Needs, library: Library) -> str:
        """Why a service does not do what a job needs; empty if it does.

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
        try:
            if not client.answers():
                return f"{service} does not answer"
            if own is None or (uri, client.settings.pack) in self._fit:
                return ""
            if known is not None and service_model(known) is None and not needs.service:
                pack = printable(known.pack)
                return f"the library's faces come from the model pack {pack}, not from {service}"
            client.embed([np.zeros((_EDGE, _EDGE, 3), np.uint8)])
        except (CannotInfer, Unreachable):
            return f"{service} does not work with the model {printable(client.settings.recogniser)}"
        finally:
            client.close()
        self._fit.add((uri, client.settings.pack))
        return ""
