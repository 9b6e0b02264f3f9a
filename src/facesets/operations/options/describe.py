"""The options of `describe`."""

from dataclasses import dataclass
from typing import Annotated

from facesets.errors import Field, WrongUsage
from facesets.operations.options.declaration import Checked, Option, check_ranges
from facesets.operations.options.shared import DryRun


@dataclass(frozen=True, slots=True)
class DescribeOptions(Checked):
    """Which photos are described, what is sent of them, and what that may cost."""

    max_images: Annotated[int | None, Option("Send so many photos at most.", least=1)] = None
    no_batch: Annotated[
        bool,
        Option("Ask photo by photo: answers come at once, for twice the price where batches are offered."),
    ] = False
    retry_failed: Annotated[bool, Option("Send photos again where it failed, which is paid again.")] = False
    max_cost: Annotated[
        float | None,
        Option("Send nothing that could bring the cost of this run above this.", metavar="USD", least=0),
    ] = None
    blur_faces: Annotated[
        bool, Option("Blur every face that was found; photos that were not searched for faces wait.")
    ] = False
    send_names: Annotated[bool, Option("Send the names of the people on each photo.")] = False
    send_place: Annotated[bool, Option("Send where each photo was taken, as the camera noted it.")] = False
    check_batches: Annotated[bool, Option("Send nothing; keep the answers of batches that have ended.")] = (
        False
    )
    wait: Annotated[bool, Option("With --check-batches: look again and again until all have ended.")] = False
    dry_run: DryRun = False

    def __post_init__(self) -> None:
        check_ranges(self)
        if self.wait and not self.check_batches:
            raise WrongUsage(f"{Field('wait')} belongs to {Field('check_batches')}: add that.")
