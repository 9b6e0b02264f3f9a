"""The options of `dedup`."""

from dataclasses import dataclass
from typing import Annotated

from facesets.operations.options.declaration import Checked, Option
from facesets.operations.options.shared import DryRun


@dataclass(frozen=True, slots=True)
class DedupOptions(Checked):
    """How `dedup` compares."""

    # Measured on portraits (docs/manifests.md): unrelated pictures begin at 70, copies scaled or
    # recompressed end at 18.
    max_bits: Annotated[
        int, Option("Most bits of 256 in which the look of two near-duplicates differs.", least=0, most=256)
    ] = 48
    dry_run: DryRun = False
