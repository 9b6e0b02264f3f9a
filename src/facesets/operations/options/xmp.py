"""What `export-xmp` can be told."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from facesets.operations.options.declaration import Checked, Option
from facesets.operations.options.shared import DryRun


@dataclass(frozen=True, slots=True)
class ExportXmpOptions(Checked):
    """Which sidecars are written, and how."""

    target: Annotated[
        tuple[Path, ...],
        Option(
            "Only photos below this folder; with several, below any of them.",
            metavar="DIR",
            unset="the whole library",
            flag="--under --target",
            variable="FACESETS_EXPORT_XMP_UNDER FACESETS_EXPORT_XMP_TARGET",
        ),
    ] = ()
    microsoft: Annotated[bool, Option("Microsoft's regions, too, for programs that know no others.")] = False
    replace: Annotated[
        bool,
        Option(
            "Write ours again where somebody changed it since, and regions beside those of a picture of "
            "another size."
        ),
    ] = False
    dry_run: DryRun = False
