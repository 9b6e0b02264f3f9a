"""The options of `pipeline`; its steps have those of the commands of their names."""

from dataclasses import dataclass
from typing import Annotated

from facesets.errors import Field, WrongUsage
from facesets.operations.options.declaration import Checked, Option, check_ranges
from facesets.operations.options.shared import DryRun

AFTER_TRAINING = 0.75
"""Cosine similarity from which a face is somebody's, in the second round of `full`."""


@dataclass(frozen=True, slots=True)
class PipelineOptions(Checked):
    """Which steps there are between `index` and `stats`."""

    dual: Annotated[
        bool,
        Option("In place of cluster, assign and centroids: cluster --dual."),
    ] = False
    full: Annotated[
        bool,
        Option(
            "In place of them: cluster --dual, then train, then cluster --dual again with the person "
            f"threshold {AFTER_TRAINING:g}."
        ),
    ] = False
    dry_run: DryRun = False

    def __post_init__(self) -> None:
        check_ranges(self)
        if self.dual and self.full:
            raise WrongUsage(f"Give {Field('dual')} or {Field('full')}, not both.")
