"""How similar faces of one person have to be: the ways to say it, and what the methods make of it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from facesets.errors import Field, WrongUsage
from facesets.operations.options.declaration import check_number

if TYPE_CHECKING:
    from facesets.clustering.methods import Measure

Method = Literal["auto", "agglomerative", "components", "hdbscan", "dbscan"]


@dataclass(frozen=True, slots=True)
class Threshold:
    """A threshold as it was said.

    Attributes
    ----------
    value : float or None
        None is to be measured on the faces.
    measure : str or None
        What it is; None where only the command tells, as with plain `--threshold`.
    is_setting : bool
        It comes from the environment or from `facesets.toml`: methods that take none pass it by.
    """

    value: float | None
    measure: "Measure | None" = None
    is_setting: bool = False

    def in_measure(self, measure: "Measure", least: float, most: float) -> float:
        """The same in the measure of a method, if it is between these limits of that one.

        Raises
        ------
        WrongUsage
            It is not, or it is to be measured.
        """
        flag = f"--{(self.measure or 'threshold').replace('_', '-')}"
        if self.value is None:
            raise WrongUsage(f"{flag} has to be a number.")
        if self.measure in (None, measure):
            check_number(flag, self.value, least, most)
            return self.value
        check_number(flag, self.value, other_measure(most), other_measure(least))
        return other_measure(self.value)


def other_measure(threshold: float) -> float:
    """The cosine distance that a cosine similarity is, and the other way round: 0.45 for 0.55."""
    return round(1 - threshold, 12)


def measure_of(method: Method) -> "Measure | None":
    """What the threshold of a method is; None if it has none."""
    # The package brings SciPy, which no help text needs.
    from facesets.clustering.methods import METHODS

    return METHODS[method].threshold


def measures_itself(method: Method) -> bool:
    """Whether a method finds a threshold by itself."""
    from facesets.clustering.methods import METHODS

    return METHODS[method].measures


def refuse(method: Method) -> WrongUsage:
    """What to raise where a method was given a threshold that it does not have."""
    return WrongUsage(
        f"{Field('method', method)} has no threshold. Leave the threshold out, or take another method."
    )
