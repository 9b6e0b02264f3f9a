"""The flags that say how to group faces, and how similar those of one person have to be."""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from facesets.errors import WrongUsage
from facesets.operations.options.declaration import Option, number_or_auto
from facesets.operations.options.grouping import Threshold

if TYPE_CHECKING:
    from facesets.clustering.methods import Measure

MaxCosineDistanceOption = Annotated[
    float | None,
    Option(
        "Faces of one person are at most so far apart: on average (agglomerative), or each from another "
        "one (components). Lower is stricter.",
        unset="agglomerative 0.55; components 0.35",
    ),
]
MinCosineSimilarityOption = Annotated[
    float | None, Option("The same as a similarity, which is 1 less the distance. Higher is stricter.")
]

_MEASURES: "dict[str, Measure | None]" = {
    "max_cosine_distance": "max_cosine_distance",
    "min_cosine_similarity": "min_cosine_similarity",
    "threshold": None,
}
"""What the number after each flag is; None where the command tells."""


def typed_flags(context: typer.Context) -> set[str]:
    """Names of what was given on the command line, and not by the environment or facesets.toml."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    return {name for name, source in sources.items() if source is not None and source.name == "COMMANDLINE"}


def said_threshold(flags: Mapping[str, Any], typed: Collection[str] = ()) -> Threshold | None:
    """The one threshold that was said; one of the command line wins over those of settings.

    Parameters
    ----------
    flags : mapping
        Values by the names of flags in code.
    typed : collection of str
        Those of the command line.

    Raises
    ------
    WrongUsage
        There are several, or it is no number.
    """
    given = [name for name in _MEASURES if flags[name] is not None]
    chosen = [name for name in given if name in typed] or given
    if len(chosen) > 1:
        names = " and ".join(f"--{name.replace('_', '-')}" for name in chosen)
        raise WrongUsage(f"{names} are ways to say one thing. Give only one of them.")
    for name in chosen:
        value = flags[name]
        number = number_or_auto(f"--{name}", value) if isinstance(value, str) else value
        return Threshold(number, _MEASURES[name], is_setting=name not in typed)
    return None
