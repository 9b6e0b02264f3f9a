"""Distances from a person's centroid: how near strangers come to it depends on the recogniser."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from facesets.operations.options.declaration import Option, declared

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Options = TypeVar("Options", bound="DataclassInstance")


@dataclass(frozen=True, slots=True)
class CentroidDistance(Option):
    """An option that is None unless given: `usual`, or as much less as the recogniser needs."""

    usual: float = 0.0


def centroid_distance(text: str, *, usual: float) -> CentroidDistance:
    """Declare such an option by its help."""
    unset = f"{usual:.2f}, or 0.40 with the open pack"
    return CentroidDistance(text, least=0, most=2, unset=unset, usual=usual)


def for_recogniser(options: Options, recogniser: str) -> Options:
    """The same options where vectors are of the network in a file of that name; what was given stays."""
    # The package brings SciPy, which no help text needs.
    from facesets.clustering.recognisers import recogniser_named

    most = recogniser_named(recogniser).max_from_centroid
    return replace(
        options,
        **{
            each.field: min(each.option.usual, most)
            for each in declared(type(options))
            if isinstance(each.option, CentroidDistance) and getattr(options, each.field) is None
        },
    )


def settled(distance: float | None) -> float:
    """Such a distance once `for_recogniser` has seen to it. Raises ValueError before."""
    if distance is None:
        raise ValueError("it depends on the recogniser, which is not known yet")
    return distance
