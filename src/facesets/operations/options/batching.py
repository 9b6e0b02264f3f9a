"""How pictures of many readers are put together for the models."""

from dataclasses import dataclass
from typing import Annotated

from facesets.operations.options.declaration import Checked, Option


@dataclass(frozen=True, slots=True)
class BatchingOptions(Checked):
    """How many pictures go through the models together, and how long the first of them waits for others."""

    max_batch: Annotated[
        int,
        Option(
            "With more readers than models work on at a time: most pictures that go to the models together.",
            least=1,
            most=256,
        ),
    ] = 32
    max_wait_ms: Annotated[
        float,
        Option(
            "With more readers than models work on at a time: milliseconds that a picture waits for others.",
            least=0,
            most=10_000,
        ),
    ] = 50.0
