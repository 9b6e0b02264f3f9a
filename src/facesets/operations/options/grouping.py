"""Options to group faces, for all commands: method, threshold, and engine."""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from facesets.errors import Field, WrongUsage
from facesets.files import printable
from facesets.operations.options.declaration import Option, check_number

if TYPE_CHECKING:
    from facesets.clustering.methods import Measure

Method = Literal["auto", "agglomerative", "components", "hdbscan", "dbscan"]


@dataclass(frozen=True, slots=True)
class Threshold:
    """A threshold as given by the user.

    Attributes
    ----------
    value : float or None
        The threshold; None to measure it on the faces.
    measure : str or None
        Its measure; None if the command decides, as with plain `--threshold`.
    is_setting : bool
        Whether it comes from the environment or `facesets.toml`: methods without a threshold ignore it then.
    """

    value: float | None
    measure: "Measure | None" = None
    is_setting: bool = False

    def in_measure(self, measure: "Measure", least: float, most: float) -> float:
        """Convert it to the measure of a method, and check it against that method's limits.

        Raises
        ------
        WrongUsage
            It is outside of the limits, or must be measured.
        """
        flag = f"--{(self.measure or 'threshold').replace('_', '-')}"
        if self.value is None:
            raise WrongUsage(f"{flag} must be a number.")
        if self.measure in (None, measure):
            check_number(flag, self.value, least, most)
            return self.value
        check_number(flag, self.value, other_measure(most), other_measure(least))
        return other_measure(self.value)


def other_measure(threshold: float) -> float:
    """Convert between cosine distance and cosine similarity: 0.45 for 0.55."""
    return round(1 - threshold, 12)


def measure_of(method: Method) -> "Measure | None":
    """Return the measure of a method's threshold; None if it has none."""
    # The package imports SciPy, which help texts do not need.
    from facesets.clustering.methods import METHODS

    return METHODS[method].threshold


def measures_itself(method: Method) -> bool:
    """Whether a method finds a threshold by itself."""
    from facesets.clustering.methods import METHODS

    return METHODS[method].measures


def refuse(method: Method) -> WrongUsage:
    """Return the error for a method that was given a threshold but has none."""
    return WrongUsage(
        f"{Field('method', method)} has no threshold. Omit the threshold, or choose another method."
    )


LOCAL = "local"

_ADDRESS = re.compile(r"dask://(?P<address>(?:\[[0-9a-fA-F:.]+\]|[^\s/:@\[\]]+):\d{1,5})/?")


@dataclass(frozen=True, slots=True)
class Workers:
    """Workers that compare faces: of a dask scheduler at `host:port`, or local processes if None."""

    scheduler: str | None = None


def workers_named(flag: str, text: str) -> Workers:
    """Read `local` or `dask://host:port`. Raises `WrongUsage`."""
    if text == LOCAL:
        return Workers()
    found = _ADDRESS.fullmatch(text)
    if found is None:
        raise WrongUsage(
            f"{flag} {printable(text)} is not an engine. Give {LOCAL}, or the address of a dask scheduler "
            "such as dask://10.0.0.5:8786."
        )
    return Workers(found["address"])


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """Options of the engine that compares very many faces; by default this process."""

    engine: Annotated[
        Workers | None,
        Option(
            "Compare faces in several processes, for collections larger than memory: local for this "
            "machine, or the workers of a dask scheduler. Needs the extra scale. Results are the "
            "same.",
            metavar="local|dask://HOST:PORT",
            unset="in this process",
            parse=workers_named,
            advanced=True,
        ),
    ] = None
    shards: Annotated[
        Path | None,
        Option(
            "With --engine: folder for temporary arrays, 8 kB per face. All workers must see it at "
            "the same path.",
            metavar="DIR",
            unset="in the user's cache directory",
            advanced=True,
        ),
    ] = None

    def for_method(self, method: Method) -> "EngineOptions":
        """Return the options for a method; without an engine for one that needs no graph of similar pairs."""
        # The package imports SciPy, which help texts do not need.
        from facesets.clustering.methods import METHODS

        return self if METHODS[method].scales else replace(self, engine=None)
