"""What the commands that write into an export have in common on the command line."""

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from facesets import settings
from facesets.cli import console
from facesets.cli.flags import Only
from facesets.cli.opening import work_on_store
from facesets.files import printable
from facesets.operations.options.cache import ExportSwapOptions
from facesets.operations.options.declaration import Option
from facesets.plurals import counted
from facesets.words.phrases import by_gate, learned_lines

if TYPE_CHECKING:
    from collections.abc import Iterator

    from facesets.assembly.crop_checker import EmbedderOnDemand
    from facesets.interfaces import Progress, Store
    from facesets.operations.face_sets.export_summary import EmptySet, ExportSwapSummary
    from facesets.stop import Stop


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
) -> "Iterator[tuple[Store, EmbedderOnDemand, Progress, Stop]]":
    """The cache, or the library, and what looks at crops; its models are fetched unless it is a dry run."""
    from facesets.assembly.crop_checker import crop_checker

    with work_on_store(cache, database) as (store, progress, stop):
        conf, fetch = settings.load(), not options.dry_run
        checker = crop_checker(store, pack, provider, conf, console, progress, stop, fetch=fetch)
        yield store, checker, progress, stop


def left_out(summary: "ExportSwapSummary") -> str:
    """How many faces an export left out, by reason, and what was learned from the user's own changes."""
    reasons = by_gate(summary.dropped_by)
    total = f"{counted(summary.dropped, 'face')} left out" + (f": {reasons}." if reasons else ".")
    hint = [summary.hint] if summary.hint else []
    return "\n".join([total, *map(_not_made, summary.empty), *hint, *learned_lines(summary.learned)])


def _not_made(empty: "EmptySet") -> str:
    reasons = [by_gate(empty.dropped_by)] if empty.dropped_by else []
    reasons += [f"{counted(empty.failed, 'photo')} could not be read"] if empty.failed else []
    return (
        f"{printable(empty.name) or 'A new person'}: none of {counted(empty.faces, 'face')} passed "
        f"({', '.join(reasons)}), so there is no face set."
    )
