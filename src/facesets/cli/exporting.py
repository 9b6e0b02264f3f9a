"""What the commands that write into an export have in common on the command line."""

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from facesets import settings
from facesets.cli import console
from facesets.cli.flags import Only
from facesets.cli.opening import work_on_store
from facesets.operations.options.declaration import Option
from facesets.operations.options.results import ExportSwapOptions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from facesets.assembly.crop_checker import EmbedderOnDemand
    from facesets.interfaces import Store
    from facesets.work import Work


def _under(command: str) -> Option:
    """The folders below which photos count, of a command as names in the environment write it."""
    return Option(
        "Only photos below this folder; with several, below any of them.",
        metavar="DIR",
        flag="--under --source-root",
        variable=f"FACESETS_{command}_UNDER FACESETS_{command}_SOURCE_ROOT",
    )


UnderOfDiscover = Annotated[tuple[Path, ...], _under("DISCOVER")]
UnderOfEras = Annotated[tuple[Path, ...], _under("SPLIT_ERAS")]
_CROPS = (
    "top_n",
    "outlier_threshold",
    "pad_ratio",
    "out_size",
    "min_face_short",
    "select",
    "formats",
    "sheet",
    "replace",
    "dry_run",
)
CropOptions = Annotated[ExportSwapOptions, Only(*_CROPS, "era")]
"""Options of every command that makes sets of its own in an export."""
FolderCropOptions = Annotated[ExportSwapOptions, Only(*_CROPS, "era", "min_norm")]
"""The same where no gate came before those of the export."""
EraCropOptions = Annotated[ExportSwapOptions, Only(*_CROPS)]
"""The same where the sets are eras themselves."""


@contextmanager
def exporting(
    cache: Path | None, database: str | None, pack: str | None, provider: str, options: ExportSwapOptions
) -> "Iterator[tuple[Store, EmbedderOnDemand, Work]]":
    """The cache, or the library, and what looks at crops; its models are fetched unless it is a dry run."""
    from facesets.assembly.crop_checker import crop_checker

    with work_on_store(cache, database) as (store, work):
        conf, fetch = settings.load(), not options.dry_run
        checker = crop_checker(store, pack, provider, conf, console, work, fetch=fetch)
        yield store, checker, work
