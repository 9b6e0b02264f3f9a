"""The options of the commands on people."""

from dataclasses import dataclass
from typing import Annotated

from facesets.operations.options.declaration import Checked, Option


@dataclass(frozen=True, slots=True)
class SplitOptions(Checked):
    """Into what somebody is split."""

    parts: Annotated[
        int | None, Option("How many parts.", least=2, unset="as many as the faces fall into")
    ] = None
    min_size: Annotated[int, Option("Fewest faces of a part.", least=1)] = 3
