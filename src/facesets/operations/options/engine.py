"""Which workers compute a clustering."""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from facesets.errors import WrongUsage
from facesets.files import printable
from facesets.operations.options.declaration import Option
from facesets.operations.options.threshold import Method

LOCAL = "local"

_ADDRESS = re.compile(r"dask://(?P<address>(?:\[[0-9a-fA-F:.]+\]|[^\s/:@\[\]]+):\d{1,5})/?")


@dataclass(frozen=True, slots=True)
class Workers:
    """Workers that compute: those of a dask scheduler at `host:port`; processes of this machine if None."""

    scheduler: str | None = None


def workers_named(flag: str, text: str) -> Workers:
    """From `local` or `dask://host:port` to what is meant. Raises `WrongUsage`."""
    if text == LOCAL:
        return Workers()
    found = _ADDRESS.fullmatch(text)
    if found is None:
        raise WrongUsage(
            f"{flag} {printable(text)} is no engine. Give {LOCAL}, or the address of a dask scheduler "
            "such as dask://10.0.0.5:8786."
        )
    return Workers(found["address"])


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """Where the pairs of very many faces are compared; in this process where no engine is named."""

    engine: Annotated[
        Workers | None,
        Option(
            "Compare faces by several processes, for collections larger than memory: local for processes "
            "of this machine, or the workers of a dask scheduler. Needs the extra scale. The labels are the "
            "same.",
            metavar="local|dask://HOST:PORT",
            unset="in this process",
            parse=workers_named,
        ),
    ] = None
    shards: Annotated[
        Path | None,
        Option(
            "With --engine: folder for arrays while it runs, 8 kB for each face. All workers see it by the "
            "same path.",
            metavar="DIR",
            unset="in the user's cache directory",
        ),
    ] = None

    def for_method(self, method: Method) -> "EngineOptions":
        """The same for a method; without an engine for one that works on no graph of similar pairs."""
        # The package brings SciPy, which no help text needs.
        from facesets.clustering.methods import METHODS

        return self if METHODS[method].scales else replace(self, engine=None)
